"""Starting an AFK run of a project: the next issue at once, or one that is chosen."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.buttons import button
from app.pages.components.fields import choice_field
from app.pages.components.markup import clean, text
from app.pages.components.plain_sight import plain
from app.pages.visit import Visit
from app.state.card_words import issue_choices
from app.state.project_acts import ProjectActs
from app.state.wire import ApiProblem, NoAnswer


class AfkStart:
    """What the buttons and the menu of one project share."""

    def __init__(self, visit: Visit, acts: ProjectActs, project_id: str) -> None:
        self._visit = visit
        self._acts = acts
        self._id = project_id

    async def start(self, issue: int | None = None) -> None:
        """Start, and say which run it is; a refusal is shown by who shows the project."""
        run = await self._acts.start(self._id, issue)
        if run is not None:
            number = f" of #{run.issue}" if run.issue else ""
            self._visit.say(f"AFK run{number} started.", go=("Open the run", f"/runs/{run.id}"))

    async def choose(self) -> None:
        """Ask which issue, claimable ones first."""
        try:
            issues = await self._visit.api.issues(self._id)
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)
            return
        choices = {number: plain(words) for number, words in issue_choices(issues).items()}
        if not choices:
            self._visit.say("There is no open issue to start.")
        elif not self._visit.client.is_deleted:
            self._ask(choices)

    def _ask(self, choices: dict[int, str]) -> None:
        # the page's own level: the card it was asked from may go meanwhile
        with self._visit.client, ui.dialog() as dialog, ui.element("div").classes("sheet"):
            project = self._visit.board.get(self._id)
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
