"""Dialogs that help a project work again: where its repository is, and what its agent lacks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import Finding, ProjectChange, ProjectOut
from app.pages.components.buttons import add_folder_button, button
from app.pages.components.chips import copy_chip_html
from app.pages.components.fields import text_field
from app.pages.components.markup import clean, coded_html, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.page.refused_input import blamed_by
from app.state.projects.agent_setup import Lack, command_in, lacks_of
from app.state.projects.card_words import is_set_up

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def _sheet(session: PageSession, title: str) -> Generator[ui.dialog]:
    # attach the dialog to the page: the card may move to another section while it is open
    with session.client, ui.dialog() as dialog, ui.element("div").classes("sheet"):
        dialog.props["aria-label"] = title
        ui.html(text(title), sanitize=clean, tag="h2").classes("above")
        yield dialog
    dialog.on("hide", dialog.delete)
    dialog.open()


class LocateDialog:
    """Asks where a repository is now; another repository is refused at the field."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._project = session, project
        with _sheet(session, f"Locate {plain(project.name)}") as self._dialog:
            said = project.origin_because or project.state_because or ""
            ui.html(plain_html(said), sanitize=clean, tag="p").classes("sub")
            self._field = text_field(
                "Folder or address",
                hint="Where the same repository is now. It is recognized by its first commit.",
                placeholder=plain(project.origin),
                mono=True,
                mark="locate-origin",
            )
            self._field.control.on("keydown.enter", self._submit)
            add_folder_button(session, self._field.control, mark="locate-browse")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close)
                self._locate = button("Locate", self._submit, kind="pri", mark="locate-submit")

    async def _submit(self) -> None:
        origin = (self._field.control.value or "").strip()
        if not self._locate.enabled:
            return
        if not origin:
            self._field.refuse("Type the folder or the address.")
            return
        self._locate.disable()
        self._locate.set_text("Checking the repository…")
        try:
            change = ProjectChange(origin=origin)
            self._session.board.apply(
                await self._session.api.change_project(self._project.id, change)
            )
        except (ApiProblem, NoAnswer) as problem:
            blamed = blamed_by(problem) if isinstance(problem, ApiProblem) else {}
            self._field.refuse(blamed.get("origin") or getattr(problem, "detail", str(problem)))
        else:
            self._dialog.close()
            self._session.notify(f"{plain(self._project.name)} is at {plain(origin)} now.")
            return
        self._locate.set_text("Locate")
        self._locate.enable()


class SetupDialog:
    """Says what a project's agent or sandbox lacks, and the command that helps; looks again."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._id = session, project.id
        self._name = "the sandbox" if project.agent_ready else plain(project.agent)
        with _sheet(session, f"Set up {self._name}") as self._dialog:
            self._said = testid(ui.html("", sanitize=clean), "agent-lacks")
            with ui.element("div").classes("foot"):
                ui.link("All findings", "/settings").classes("under")
                ui.element("span").classes("sp")
                button("Close", self._dialog.close)
                self._again = button("Check again", self._check, kind="pri", mark="setup-check")
        self._show([])

    async def load(self) -> None:
        """Show what doctor has found of the agent so far."""
        try:
            self._show((await self._session.api.doctor("stale")).items)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)

    async def _check(self) -> None:
        self._again.disable()
        self._again.set_text("Checking…")
        try:
            found = await self._session.api.doctor("anew")
            project = await self._session.api.project(self._id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._session.board.apply(project)
            if is_set_up(project):
                self._dialog.close()
                name = f"{self._name[0].upper()}{self._name[1:]}"
                self._session.notify(f"{name} is ready.")
                return
            self._show(found.items)
        self._again.set_text("Check again")
        self._again.enable()

    def _show(self, findings: Sequence[Finding]) -> None:
        project = self._session.board.get(self._id)
        if project is not None and not self._session.client.is_deleted:
            self._said.set_content(lacks_html(project, lacks_of(project.agent, findings)))


def lacks_html(project: ProjectOut, lacks: Sequence[Lack]) -> str:
    """Return why the agent cannot work, and each finding with its advice and command."""
    rows = "".join(
        f"<li><b>{text(one.check)}</b> {plain_html(one.found)}{_advice_html(one)}</li>"
        for one in lacks
    )
    html = ""
    if project.agent_problem:
        html = f'<p class="alarm">{coded_html(project.agent_problem)}</p>'
    html += f'<ul class="lacks">{rows}</ul>' if rows else ""
    return html + _sandbox_html(project)


def _sandbox_html(project: ProjectOut) -> str:
    problem = project.sandbox_problem
    if problem is None:
        return ""
    command = command_in(problem)
    chip = copy_chip_html(command, command, about="command") if command else ""
    settings = f"/projects/{text(project.id)}?tab=settings"
    other = f'Or choose another level in the project\'s <a href="{settings}">settings</a>.'
    return (
        f'<div data-testid="sandbox-lacks"><p class="alarm">{coded_html(problem)}</p>{chip}'
        f'<p class="advice">{other}</p></div>'
    )


def _advice_html(lack: Lack) -> str:
    chip = copy_chip_html(lack.command, lack.command, about="command") if lack.command else ""
    is_command = lack.command == lack.advice
    return chip if is_command else f'<div class="advice">{plain_html(lack.advice)}</div>{chip}'
