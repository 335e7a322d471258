"""The form of a project's settings; its state is in `app.state.projects.settings_form`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectOut
from app.domain.projects.setting import Kind, Part
from app.domain.sandbox.settings import LIMIT_BOUNDS
from app.domain.words import BUILTIN
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.chips import correlation_chip_html
from app.pages.components.fields import Field, area_field, text_field
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.projects.checks import checks_field
from app.pages.projects.sandbox_fields import (
    chosen_field,
    rows_of,
    show_sandbox_fields,
    value_of,
    words_of,
)
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import dress_runs
from app.state.page.refused_input import blamed_by
from app.state.projects.project_settings import (
    SETTINGS,
    has_setting,
    is_code,
    settings_in_words,
)
from app.state.projects.settings_form import SettingsForm

AREAS = frozenset({Kind.COMMAND, Kind.TEXT, Kind.LINES})
MONO = frozenset({Kind.BRANCH, Kind.COMMAND, Kind.LINES})
MARKS = {"sandbox": "project-sandbox"}
# moving between the controls of a group does not leave it
LEFT = "(e) => { if (!e.currentTarget.contains(e.relatedTarget)) emit(); }"
NO_ANSWER = "The server did not answer. What you typed is still here: press Save again."
SOMETHING_ELSE = "Another change to this project is being saved. Press Save again."


ARCHIVED = "This project is archived: its settings can be read, not changed."
ARCHIVING = (
    "No run can be started in it any more, and its card goes behind Show archived. Its runs, "
    "issues and logs stay, and Unarchive takes it back."
)


class SettingsFormView:
    """The open form: shows the changes of others, except in fields being edited."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._id = session, project.id
        self._form = SettingsForm(project)
        self._fields: dict[str, Field] = {}
        self._is_at_forge = project.tracker != BUILTIN
        self._disputed: dict[str, str] = {}
        with ui.element("div").classes("form").props('role=form aria-label="Settings"'):
            for part in Part:
                self._draw_part(part)
            self._draw_foot()
        if hooks := self._fields.get("owner_hooks"):
            hooks.box.set_visibility(has_setting(project.origin, "owner_hooks"))
        self._show()
        self._show_hooks(project)

    def follow(self, project: ProjectOut) -> None:
        """Show the project's present settings in fields that are not being edited."""
        self._show(self._form.take(project))
        self._show_hooks(project)

    # --- drawing -------------------------------------------------------------------------------

    def _draw_part(self, part: Part) -> None:
        names = [name for row in rows_of(part) for name in row]
        if not any(self._session.may(_deed_of(name), self._id) for name in names):
            return  # not even its heading is drawn
        if part is Part.CAPS:
            with ui.element("details").classes("fold") as self._caps:
                ui.html(text(part), sanitize=clean, tag="summary")
                self._draw_rows(part)
        elif part is Part.FORGE:
            with ui.element("div").classes("form") as box:
                ui.html(text(part), sanitize=clean, tag="h2")
                self._draw_rows(part)
            box.set_visibility(self._is_at_forge)
        else:
            ui.html(text(part), sanitize=clean, tag="h2")
            self._draw_rows(part)

    def _draw_rows(self, part: Part) -> None:
        for row in rows_of(part):
            self._draw_row(row)

    def _draw_row(self, names: tuple[str, ...]) -> None:
        with ui.element("div").classes("pair" if len(names) > 1 else ""):
            for name in names:
                self._offer(name)

    def _offer(self, name: str) -> None:
        if self._session.may(_deed_of(name), self._id):
            self._fields[name] = self._draw_field(name)

    def _draw_field(self, name: str) -> Field:
        setting, words = SETTINGS[name], self._form.typed(name)
        mark = MARKS.get(name, f"setting-{name}")
        about = setting.about
        is_rows = about.kind is Kind.CHECKS
        if is_rows:
            say = self._session.announce
            field = checks_field(about.label, words, say, hint=about.hint, mark=mark)
        elif about.labels:
            field = chosen_field(setting, words, mark=mark)
        else:
            make, mono = area_field if about.kind in AREAS else text_field, about.kind in MONO
            field = make(about.label, words, hint=about.hint, mono=mono, mark=mark)
        control = field.control
        control.on_value_change(lambda change: self._put(name, words_of(change.value)))
        # of a group only these events arrive from the controls inside
        control.on("focusin" if is_rows else "focus", partial(self._form.enter, name))
        control.on(
            "focusout" if is_rows else "blur",
            lambda: self._show(self._form.leave(name)),
            js_handler=LEFT if is_rows else None,
        )
        if isinstance(control, ui.input):
            control.on("keydown.enter", self._save)
        return field

    def _draw_foot(self) -> None:
        # sticky, because the form is longer than a screen
        with ui.element("div").classes("saving"):
            self._meanwhile = testid(ui.element("div").classes("banners"), "settings-meanwhile")
            self._error = testid(ui.html("", sanitize=clean).props("role=alert"), "form-error")
            with ui.element("div").classes("foot"):
                self._told = ui.label("").classes("sub")
                self._discard_button = button("Discard", self._discard, mark="discard-settings")
                self._save_button = button("Save", self._save, kind="pri", mark="save-settings")
        for pressed in (self._discard_button, self._save_button):
            pressed.props(f"aria-describedby={self._told.html_id}")

    # --- actions --------------------------------------------------------------------------------

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
        form, session = self._form, self._session
        if form.busy or not form.edited():
            return
        self._clear()
        change, wrong = form.check()
        if wrong:
            self._refuse(await form.ask_what_else(session.api, change) | wrong)
            return
        saving = form.save(session.api, session.board, change)
        self._set_busy(True)
        try:
            if not await saving:
                self._show_error(SOMETHING_ELSE)
        except ApiProblem as problem:
            if not self._refuse(blamed_by(problem)):
                self._show_error(problem.detail, problem.correlation_id)
        except NoAnswer as silence:
            self._show_error(NO_ANSWER, silence.correlation_id)
        else:
            session.notify("Saved.")
        self._set_busy(False)
        latest = session.board.get(self._id)
        if latest is not None:
            self.follow(latest)

    # --- showing -------------------------------------------------------------------------------

    def _show(self, moved: Iterable[str] = ()) -> None:
        """Bring fields, notices and buttons in line with the form's state."""
        if self._session.client.is_deleted:
            return
        for name in self._fields.keys() & set(moved):
            self._fields[name].control.set_value(value_of(name, self._form.typed(name)))
        edited = self._form.edited()
        is_script = self._form.typed("agent").strip() == "script"
        has_command = bool(self._form.typed("agent_command")) or "agent_command" in edited
        if command := self._fields.get("agent_command"):
            command.box.set_visibility(is_script or has_command)
        if "sandbox" in self._fields:
            show_sandbox_fields(self._fields, self._form.typed, self._session.system.sandbox)
        self._show_disputed()
        self._told.set_text(f"{counted(len(edited), 'change')} not saved" if edited else "")
        for pressed in (self._discard_button, self._save_button):
            pressed.set_enabled(bool(edited) and not self._form.busy)

    def _show_hooks(self, project: ProjectOut) -> None:
        """Show why enabled hooks are not run, unless the field shows a conflict."""
        because = project.owner_hooks_because
        hooks = self._fields.get("owner_hooks")
        if hooks and "owner_hooks" not in self._disputed:
            hooks.tell(text(because) if because else "")

    def _show_disputed(self) -> None:
        disputed = self._form.disputed()
        if disputed == self._disputed:
            return
        for name in self._fields.keys() & (self._disputed.keys() | disputed.keys()):
            self._fields[name].tell(_theirs_html(name, disputed[name]) if name in disputed else "")
        is_news = bool(disputed.items() - self._disputed.items())
        self._disputed = disputed
        self._meanwhile.clear()
        if not disputed:
            return
        labels = ", ".join(SETTINGS[name].about.label for name in disputed)
        words = f"Someone else has changed: {labels}. What you typed is kept; Save replaces theirs."
        with self._meanwhile, ui.element("div").classes("banner wait"):
            ui.label(words)
            ui.element("span").classes("sp")
            button("Take theirs", self._take_theirs, kind="small", mark="take-theirs")
        if is_news:
            self._session.announce(words)

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
        rest = " ".join(words for name, words in wrong.items() if name not in known)
        if rest:
            self._show_error(rest)
        for name in list(known)[:1]:
            self._fields[name].go_to()
        return bool(known)

    def _show_error(self, words: str, correlation_id: str = "") -> None:
        chip = correlation_chip_html(correlation_id) if correlation_id else ""
        self._error.set_content(f'<div class="banner stop"><span>{text(words)}</span>{chip}</div>')


def _theirs_html(name: str, words: str) -> str:
    shown = SETTINGS[name].in_words(words)
    lines = "\n".join(plain_html(line) for line in shown.splitlines())
    theirs = f'<span class="m pre">{lines}</span>' if plain(shown) else "empty"
    return f"Changed by someone else to: {theirs}"


def archive_button(
    session: PageSession, project_id: str, done: Callable[[], object] = lambda: None
) -> ConfirmButton:
    """Create the Archive button; archiving a project with a live run is refused."""

    async def archive() -> None:
        try:
            # archiving may delete the card and this button at once, so use the page's context
            with session.client:
                await session.board.archive(
                    project_id, lambda: session.api.archive_project(project_id), session.now()
                )
        except (ApiProblem, NoAnswer) as problem:
            session.refuse(problem)
            return
        session.notify("Archived. Its history can still be read.")
        done()

    return ConfirmButton(
        "Archive", "Press again to archive", archive, kind="danger", mark="archive-project"
    )


def unarchive_button(
    session: PageSession, project_id: str, done: Callable[[], object] = lambda: None
) -> ui.button:
    """Create the Unarchive button."""

    async def unarchive() -> None:
        try:
            with session.client:
                project = await session.api.unarchive_project(project_id)
                session.board.apply(project)
        except (ApiProblem, NoAnswer) as problem:
            session.refuse(problem)
            return
        session.notify(f"{project.name} is back. Auto is off.")
        done()

    return button("Unarchive", unarchive, mark="unarchive-project")


class SettingsTab:
    """The project's settings, as a form; read-only for an archived project."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._id = session, project.id
        dress_runs()
        with ui.element("div").classes("settings-tab"):
            self._form_box = ui.element("div").classes("grow")
            with self._form_box:
                self._form = SettingsFormView(session, project)
            with ui.element("div").classes("beside"):
                with ui.element("div").classes("banner") as self._note:
                    ui.html(text(ARCHIVED), sanitize=clean, tag="span")
                    ui.element("span").classes("sp")
                    unarchive_button(session, project.id)
                self._facts = testid(ui.html("", sanitize=clean).classes("card"), "fixed-settings")
                self._archive = ui.element("div").classes("card")
                with self._archive:
                    ui.html("Archive this project", sanitize=clean, tag="h2")
                    ui.html(text(ARCHIVING), sanitize=clean).classes("sub")
                    with ui.element("div").classes("line"):
                        archive_button(session, project.id)
        self._show(project)
        session.board.on_change(self._follow)

    async def load(self) -> None:
        """Do nothing: the project was fetched with its settings."""

    def _follow(self, changed: set[str]) -> None:
        project = self._session.board.get(self._id)
        if self._id in changed and project is not None and not self._session.client.is_deleted:
            with self._session.client:
                self._show(project)
                self._form.follow(project)

    def _show(self, project: ProjectOut) -> None:
        is_archived = project.archived_at is not None
        self._form_box.set_visibility(not is_archived)
        self._archive.set_visibility(not is_archived)
        self._note.set_visibility(is_archived)
        may_change_code = self._session.may("change_commands", project.id)
        self._facts.set_content(
            facts_html(
                settings_in_words(project, only_fixed=not is_archived, with_code=may_change_code)
            )
        )


def _deed_of(name: str) -> str:
    return "change_commands" if is_code(name) else "change_project"


def facts_html(facts: list[tuple[str, str]]) -> str:
    """Return names and values as a definition list."""
    rows = "".join(
        f'<dt>{text(name)}</dt><dd class="pre">{text(value)}</dd>' for name, value in facts
    )
    return f'<dl class="facts-list">{rows}</dl>'
