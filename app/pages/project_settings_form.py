"""The form of a project's settings; what it remembers is state/settings_form."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from nicegui import ui

from app.domain.sandbox_rules import LIMIT_BOUNDS
from app.pages.components.buttons import button
from app.pages.components.correlation_chip import correlation_chip_html
from app.pages.components.fields import Field, area_field, text_field
from app.pages.components.marks import testid
from app.pages.components.markup import clean, counted, text
from app.pages.components.plain_sight import plain, plain_html
from app.pages.components.sandbox_fields import (
    CAPS,
    LIST_FIELDS,
    chosen_field,
    show_surroundings,
    value_of,
    words_of,
)
from app.pages.visit import Visit
from app.state.field_errors import blamed_by
from app.state.project_settings import SETTINGS, has_setting
from app.state.settings_form import SettingsForm
from app.state.wire import ApiProblem, NoAnswer, ProjectOut

LISTS = frozenset({"frameworks", *LIST_FIELDS})
AREAS = frozenset({"agent_command", "setup_command", "prompt"}) | LISTS
MONO = frozenset({"base_branch", "agent_command", "setup_command", "branch_pattern"}) | LISTS
TOUCHED = "What agents may touch"
MARKS = {"sandbox": "project-sandbox"}
# fields of one row stand beside each other where there is room
PARTS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("Project", (("name", "base_branch"), ("owner_hooks",))),
    ("Agent", (("agent",), ("agent_command",), ("setup_command",), ("prompt",))),
    (
        "Limits",
        (("budget_seconds", "stall_seconds"), ("max_concurrency", "resume_after_limit")),
    ),
    (
        TOUCHED,
        (
            ("sandbox",),
            ("network",),
            ("allowed_hosts",),
            ("allow",),
            ("toolchains",),
        ),
    ),
    ("Names", (("branch_pattern",), ("frameworks",))),
)
NO_ANSWER = "The server did not answer. What you typed is still here: press Save again."
SOMETHING_ELSE = "Something else of this project is being saved. Press Save again."


class SettingsFormView:
    """The open form: it follows what others change, but never over what is being edited."""

    def __init__(self, visit: Visit, project: ProjectOut) -> None:
        self._visit, self._id = visit, project.id
        self._form = SettingsForm(project)
        self._fields: dict[str, Field] = {}
        self._disputed: dict[str, str] = {}
        with ui.element("div").classes("form").props('role=form aria-label="Settings"'):
            for heading, rows in PARTS:
                ui.html(text(heading), sanitize=clean, tag="h2")
                for row in rows:
                    self._draw_row(row)
                if heading == TOUCHED:
                    self._draw_caps()
            self._draw_foot()
        self._fields["owner_hooks"].box.set_visibility(has_setting(project.origin, "owner_hooks"))
        self._show()
        self._show_hooks(project)

    def follow(self, project: ProjectOut) -> None:
        """Show the project as it is now, where nothing is being typed."""
        self._show(self._form.take(project))
        self._show_hooks(project)

    # --- drawing -------------------------------------------------------------------------------

    def _draw_row(self, names: tuple[str, ...]) -> None:
        with ui.element("div").classes("pair" if len(names) > 1 else ""):
            for name in names:
                self._fields[name] = self._draw_field(name)

    def _draw_caps(self) -> None:
        with ui.element("details").classes("fold") as self._caps:
            ui.html("Memory, processes, files", sanitize=clean, tag="summary")
            for row in CAPS:
                self._draw_row(row)

    def _draw_field(self, name: str) -> Field:
        setting, words = SETTINGS[name], self._form.typed(name)
        mark = MARKS.get(name, f"setting-{name}")
        if setting.choices:
            field = chosen_field(setting, words, mark=mark)
        else:
            make = area_field if name in AREAS else text_field
            field = make(setting.label, words, hint=setting.hint, mono=name in MONO, mark=mark)
        control = field.control
        control.on_value_change(lambda change: self._put(name, words_of(change.value)))
        control.on("focus", partial(self._form.enter, name))
        control.on("blur", lambda: self._show(self._form.leave(name)))
        if isinstance(control, ui.input):
            control.on("keydown.enter", self._save)
        return field

    def _draw_foot(self) -> None:
        # always in sight: the form is longer than a screen
        with ui.element("div").classes("saving"):
            self._meanwhile = testid(ui.element("div").classes("banners"), "settings-meanwhile")
            self._error = testid(ui.html("", sanitize=clean).props("role=alert"), "form-error")
            with ui.element("div").classes("foot"):
                self._told = ui.label("").classes("sub")
                self._discard_button = button("Discard", self._discard, mark="discard-settings")
                self._save_button = button("Save", self._save, kind="pri", mark="save-settings")
        for pressed in (self._discard_button, self._save_button):
            pressed.props(f"aria-describedby={self._told.html_id}")

    # --- what a person does --------------------------------------------------------------------

    def _put(self, name: str, words: str) -> None:
        self._form.put(name, words)
        self._show()

    def _discard(self) -> None:
        moved = self._form.discard()
        self._clear()
        self._show(moved)

    def _take_theirs(self) -> None:
        self._show(self._form.take_theirs())

    async def _save(self) -> None:
        form, visit = self._form, self._visit
        if form.busy or not form.edited():
            return
        self._clear()
        change, wrong = form.check()
        if wrong:
            self._refuse(await form.ask_what_else(visit.api, change) | wrong)
            return
        saving = form.save(visit.api, visit.board, change)
        self._set_busy(True)
        try:
            if not await saving:
                self._say_error(SOMETHING_ELSE)
        except ApiProblem as problem:
            if not self._refuse(blamed_by(problem)):
                self._say_error(problem.detail, problem.correlation_id)
        except NoAnswer as silence:
            self._say_error(NO_ANSWER, silence.correlation_id)
        else:
            visit.say("Saved.")
        self._set_busy(False)
        latest = visit.board.get(self._id)
        if latest is not None:
            self.follow(latest)

    # --- showing -------------------------------------------------------------------------------

    def _show(self, moved: Iterable[str] = ()) -> None:
        """Bring fields, notices and buttons in line with the form's state."""
        if self._visit.client.is_deleted:
            return
        for name in moved:
            self._fields[name].control.set_value(value_of(name, self._form.typed(name)))
        edited = self._form.edited()
        is_script = self._form.typed("agent").strip() == "script"
        has_command = bool(self._form.typed("agent_command")) or "agent_command" in edited
        self._fields["agent_command"].box.set_visibility(is_script or has_command)
        show_surroundings(self._fields, self._form.typed, self._visit.system.sandbox)
        self._show_disputed()
        self._told.set_text(f"{counted(len(edited), 'change')} not saved" if edited else "")
        for pressed in (self._discard_button, self._save_button):
            pressed.set_enabled(bool(edited) and not self._form.busy)

    def _show_hooks(self, project: ProjectOut) -> None:
        """Say why hooks that were switched on are not run, where nobody disputes about them."""
        because = project.owner_hooks_because
        if "owner_hooks" not in self._disputed:
            self._fields["owner_hooks"].tell(text(because) if because else "")

    def _show_disputed(self) -> None:
        disputed = self._form.disputed()
        if disputed == self._disputed:
            return
        for name in self._disputed.keys() | disputed.keys():
            self._fields[name].tell(_theirs_html(name, disputed[name]) if name in disputed else "")
        is_news = bool(disputed.items() - self._disputed.items())
        self._disputed = disputed
        self._meanwhile.clear()
        if not disputed:
            return
        labels = ", ".join(SETTINGS[name].label for name in disputed)
        words = f"Someone else has changed: {labels}. What you typed is kept; Save replaces theirs."
        with self._meanwhile, ui.element("div").classes("banner wait"):
            ui.label(words)
            ui.element("span").classes("sp")
            button("Take theirs", self._take_theirs, kind="small", mark="take-theirs")
        if is_news:
            self._visit.announce(words)

    def _set_busy(self, is_busy: bool) -> None:
        self._save_button.set_text("Saving…" if is_busy else "Save")
        self._save_button.props["aria-busy"] = str(is_busy).lower()
        self._show()

    def _clear(self) -> None:
        self._error.set_content("")
        for field in self._fields.values():
            field.clear()

    def _refuse(self, wrong: dict[str, str]) -> bool:
        known = {name: words for name, words in wrong.items() if name in self._fields}
        for name, words in known.items():
            self._fields[name].refuse(words)
        if known.keys() & LIMIT_BOUNDS.keys():
            self._caps.props("open")
        for name in list(known)[:1]:
            self._fields[name].control.run_method("focus")
            # clear of the bar with Save, also where the cursor was in it already
            self._fields[name].box.run_method("scrollIntoView", {"block": "center"})
        return bool(known)

    def _say_error(self, words: str, correlation_id: str = "") -> None:
        chip = correlation_chip_html(correlation_id) if correlation_id else ""
        self._error.set_content(f'<div class="banner stop"><span>{text(words)}</span>{chip}</div>')


def _theirs_html(name: str, words: str) -> str:
    shown = SETTINGS[name].in_words(words)
    lines = "\n".join(plain_html(line) for line in shown.splitlines())
    theirs = f'<span class="m pre">{lines}</span>' if plain(shown) else "empty"
    return f"Changed by someone else to: {theirs}"
