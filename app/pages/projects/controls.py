"""A project's buttons as one element (assets/project_controls.js), and their actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from nicegui import events, ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectOut
from app.pages.components.buttons import button
from app.pages.components.fields import choice_field
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain, text
from app.pages.components.testids import testid
from app.pages.projects.dialogs import LocateDialog, SetupDialog
from app.pages.projects.settings import archive_button, unarchive_button
from app.pages.shell.first_content import DrawsItself, attributes, inert_html, props_of
from app.pages.shell.page_session import PageSession
from app.state.projects.card_words import DEED_OF_ACT, Act, Press, issue_choices, presses_of
from app.state.projects.project_actions import ProjectActs


class AfkStart:
    """Starts AFK runs of one project, for both its buttons and its menu."""

    def __init__(self, session: PageSession, acts: ProjectActs, project_id: str) -> None:
        self._session = session
        self._acts = acts
        self._id = project_id

    async def start(self, issue: int | None = None) -> None:
        """Start a run and show a link to it; the card or page header shows a refusal."""
        run = await self._acts.start(self._id, issue)
        if run is not None:
            number = f" of #{run.issue}" if run.issue else ""
            self._session.notify(
                f"AFK run{number} started.", go=("Open the run", f"/runs/{run.id}")
            )

    async def choose(self) -> None:
        """Ask which issue to start, claimable ones first."""
        try:
            issues = await self._session.api.issues(self._id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        choices = {number: plain(words) for number, words in issue_choices(issues).items()}
        if not choices:
            self._session.notify("There is no open issue to start.")
        elif not self._session.client.is_deleted:
            self._ask(choices)

    def _ask(self, choices: dict[int, str]) -> None:
        # attach the dialog to the page: the card may be deleted while it is open
        with self._session.client, ui.dialog() as dialog, ui.element("div").classes("sheet"):
            project = self._session.board.get(self._id)
            title = f"Start AFK run in {plain(project.name)}" if project else "Start AFK run"
            dialog.props["aria-label"] = title
            ui.html(text(title), sanitize=clean, tag="h2").classes("above")
            field = choice_field("Issue", choices, next(iter(choices)), mark="issue-picker")

            async def start() -> None:
                dialog.close()
                await self.start(field.control.value)

            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", dialog.close)
                button("Start AFK run", start, kind="pri", mark="start-issue")
        dialog.on("hide", dialog.delete)
        dialog.open()


class ProjectMenu:
    """The menu of one project: Open, All runs, New run, Start, Reset, archive."""

    def __init__(
        self, session: PageSession, acts: ProjectActs, start: AfkStart, project_id: str
    ) -> None:
        self._session = session
        self._acts = acts
        self._start = start
        self._id = project_id
        self._menu: ui.menu | None = None

    def turn(self) -> None:
        """Open the menu inside the current slot's element, or close it if it is open."""
        was_open = self._menu is not None and self._menu.value
        if self._menu is not None:
            self._menu.delete()
            self._menu = None
        if was_open:
            return
        # role=group, not menu: its links and buttons are reached with Tab, not with arrow keys
        with ui.menu().classes("menu").props("no-parent-event role=group") as self._menu:
            self._draw()
        self._menu.open()

    def _draw(self) -> None:
        project = self._session.board.get(self._id)
        _item("Open", f"/projects/{self._id}")
        _item("All runs", f"/runs?project_id={self._id}")
        if project is None:
            return
        may_archive = self._session.may("archive", self._id)
        if project.archived_at is not None:
            if may_archive:
                unarchive_button(self._session, self._id, self._close)
            return
        if project.state != "broken":
            if self._session.may("start", self._id):
                _item("New run…", f"/projects/{self._id}/run")
                button("Start AFK run…", self._choose, mark="choose-issue")
            if self._session.may("reset", self._id):
                button("Reset", self._reset, mark=Act.RESET)
        if may_archive:
            archive_button(self._session, self._id, self._close)

    async def _choose(self) -> None:
        self._close()
        await self._start.choose()

    async def _reset(self) -> None:
        self._close()
        await self._acts.reset(self._id)
        if self._acts.trouble(self._id) is None:
            self._session.notify("Failure count reset.")

    def _close(self) -> None:
        if self._menu is not None and not self._menu.is_deleted:
            self._menu.close()


def _item(words: str, path: str) -> None:
    testid(ui.link(words, path).classes("item"), "menu-item")


class ProjectControls(ui.element, DrawsItself, component="../../../assets/project_controls.js"):
    """Start, Auto, Reset and the `⋯` menu of one project.

    The event `press` carries the test id of the pressed button.
    """

    MARK = "project-controls"
    TAG = "div"

    def __init__(self, session: PageSession, acts: ProjectActs, project: ProjectOut) -> None:
        super().__init__()
        self._session = session
        self._acts = acts
        self._id = project.id
        self._start = AfkStart(session, acts, project.id)
        self._menu = ProjectMenu(session, acts, self._start, project.id)
        self._calls: Mapping[str, Callable[[str], Awaitable[None]]] = {
            Act.AUTO: acts.toggle,
            Act.RESET: acts.reset,
            Act.TRY_CHECKS: acts.try_checks,
            Act.LOOK: acts.check_again,
            Act.LABEL: acts.make_label,
            Act.UNDO: acts.undo_containment,
            Act.DISMISS: acts.dismiss_notice,
        }
        fixed = {"tag": self.TAG, "data-testid": self.MARK, "data-project": project.id}
        # a new element is sent whole: its first properties need no notice of a change
        dict.update(self.props, fixed | self.changing_props(project))
        self.mark(self.MARK)
        self.on("press", self._press)

    def show(self, project: ProjectOut) -> None:
        """Update the element to the project's present state."""
        values = self.changing_props(project)
        shown = cast("dict[str, Any]", self.props)
        if any(shown.get(name) != value for name, value in values.items()):
            self.props.update(values)

    def first_html(self) -> tuple[str, str]:
        """Return what assets/project_controls.js draws, with buttons that do not react yet."""
        props = props_of(self)
        tag, about = self.TAG, attributes({"aria-label": props["about"]})
        marks = attributes({n: v for n, v in props.items() if n.startswith("data-")})
        states = "".join(f"{one} " for one in ("alert", "compact") if props.get(one))
        row = ' data-testid="project-row"' if props.get("compact") else ""
        more = '<button inert type="button" class="btn ico small bare"'
        before = (
            f'<{tag} class="{states}{" ".join(self.classes)}"{marks}><div class="cells"{row}>'
            f"{_facts_html(props)}{_notice_html(props)}{_presses_html(props)}"
            f'<div class="more">{more}{about}>{icon("ellipsis")}</button>'
        )
        return before, f"</div></div></{tag}>"

    def changing_props(self, project: ProjectOut) -> dict[str, Any]:
        """Return the properties of assets/project_controls.js that change with the project."""
        presses = [
            press
            for press in presses_of(project, self._acts.busy(project.id))
            if self._session.may(DEED_OF_ACT[press.act], project.id)
        ]
        return {
            "presses": tuple(_as_list(press) for press in presses),
            "about": f"More about {plain(project.name)}",
        }

    async def _press(self, event: events.GenericEventArguments) -> None:
        match event.args:
            case "card-menu":
                with self:
                    self._menu.turn()
            case Act.START:
                await self._start.start()
            case Act.LOCATE | Act.SETUP:
                await open_help(self._session, self._id, event.args)
            case str() as act if act in self._calls:
                await self._calls[act](self._id)
            case _:
                pass


async def open_help(session: PageSession, project_id: str, act: str) -> None:
    """Open the dialog of `Locate…` or `Set up…`; nothing for another word."""
    project = session.board.get(project_id)
    if project is None or project.archived_at is not None:
        return
    if act not in (Act.LOCATE, Act.SETUP) or not session.may(DEED_OF_ACT[Act(act)], project_id):
        return
    if act == Act.LOCATE:
        LocateDialog(session, project)
    else:
        await SetupDialog(session, project).load()


def _as_list(press: Press) -> tuple[str | bool, ...]:
    # a tuple: NiceGUI observes lists, which costs more than the rest of a card
    tone = f"{press.tone} {'weak' if press.is_weak else ''}".strip()
    return (press.act, press.head, press.rest, press.tail, press.note, tone, press.is_busy)


def _facts_html(props: Mapping[str, Any]) -> str:
    name, path, facts = props.get("name"), props.get("path"), props.get("facts")
    link = attributes({"href": path, "title": name})
    return (f'<a class="name"{link}>{text(name)}</a>' if name else "") + (
        f'<div class="facts">{inert_html(facts)}</div>' if facts else ""
    )


def _notice_html(props: Mapping[str, Any]) -> str:
    if not props.get("notice"):
        return ""
    return (
        f'<div class="notice"><span>{text(props["notice"])} </span>'
        '<button inert type="button" class="btn small bare">Undo</button>'
        '<button inert type="button" class="btn ico small bare">×</button></div>'
    )


def _presses_html(props: Mapping[str, Any]) -> str:
    made = [_press_html(*press) for press in props["presses"]]
    return f'<div class="acts">{"".join(made)}</div>' if made else ""


@lru_cache(256)
def _press_html(
    act: str, head: str, rest: str, tail: str, note: str, tone: str, is_busy: bool
) -> str:
    label = f"{head}{rest}{tail} {note}".strip() if rest else None
    busy = "true" if is_busy else None
    marks = attributes({"aria-label": label, "aria-busy": busy, "aria-disabled": busy})
    rest_html = f'<span class="rest">{text(rest)}</span>' if rest else ""
    note_html = f'<span class="n" data-testid="ready-count">{text(note)}</span>' if note else ""
    return (
        f'<button inert type="button" class="btn {text(act)} {text(tone)}"{marks}>'
        f"<span>{text(head)}{rest_html}{text(tail)}</span>{note_html}</button>"
    )
