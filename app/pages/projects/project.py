"""A project (`/projects/{id}`): its status, its next sweep, and tabs from issues to settings."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from nicegui import ui

from app.api.schemas import NextPlan, ProjectCounts, ProjectOut
from app.pages.components.buttons import button, link_button
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.paging import Tabs, chosen_tab
from app.pages.components.testids import testid
from app.pages.projects.card import failures_html
from app.pages.projects.charts import ChartsTab
from app.pages.projects.checks import SuggestedChecks
from app.pages.projects.controls import AfkStart, ProjectControls, open_help
from app.pages.projects.facts import setting_words, status_html, trouble_html
from app.pages.projects.settings import SettingsTab
from app.pages.projects.trust import ApproveText, TrustState
from app.pages.review.inbox_unread import OpenedItems
from app.pages.run_list.runs_list import RunsList
from app.pages.runs.new_run import can_start, opens_dialog
from app.pages.shell.frame import Page, enter_project, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_issues, dress_projects, dress_runs
from app.pages.tracker.changes_tab import ChangesTab
from app.pages.tracker.issues_view import IssuesTab
from app.state.page.connection import Connection
from app.state.projects.card_words import Act, sentence_of
from app.state.projects.next_step import Step, step_of
from app.state.projects.project_actions import ProjectActs
from app.state.runs.run_board import RunFilters

ROWS = 20


class NextSweep:
    """One line that unfolds; fetched again when the project or the number of live runs changes."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session = session
        self._id = project.id
        self._live_runs = session.board.live_runs
        self._look = session.looker(lambda: session.api.next_plan(project.id), self._show)
        with ui.element("details").classes("plan") as self._box:
            self._line = ui.html("", sanitize=clean, tag="summary")
            self._holds = ui.html("", sanitize=clean)
            self._approvals = ApproveText(session, project.id, self.refetch)
        testid(self._box, "next-plan").set_visibility(False)
        session.on("project.changed", self._follow)
        session.on_return(self.refetch)

    async def refetch(self) -> None:
        """Fetch and show the plan; an archived project has no next sweep."""
        project = self._session.board.get(self._id)
        is_swept = project is not None and project.archived_at is None
        self._box.set_visibility(is_swept)
        if is_swept:
            await self._look()

    async def _follow(self, project: ProjectOut) -> None:
        live_runs, before = self._session.board.live_runs, self._live_runs
        self._live_runs = live_runs
        # all projects share the slots for live runs
        if project.id == self._id or live_runs != before:
            await self.refetch()

    def _show(self, plan: NextPlan) -> None:
        words = f"Next: {plan.because}" if plan.would else f"Nothing starts: {plan.because}"
        self._line.set_content(f"<span>{plain_html(words)}</span>")
        self._holds.set_content(holds_html(plan))
        self._approvals.show(plan)
        self._box.classes(add="" if plan.holds else "flat", remove="flat" if plan.holds else "")


def holds_html(plan: NextPlan) -> str:
    """Return each waiting issue with its reason: `#14: blocked by #12`."""
    rows = (f"<li>#{one.issue}: {plain_html(one.because)}</li>" for one in plan.holds)
    return f'<ul class="holds" aria-label="Why issues wait">{"".join(rows)}</ul>'


class ProjectTabs:
    """Tabs with counts, fetched again when the project changes."""

    def __init__(
        self,
        session: PageSession,
        project: ProjectOut,
        names: Sequence[str],
        chosen: str,
        *,
        about: str,
        path: str = "",
    ) -> None:
        self._id = project.id
        self._names = names
        self._tabs = Tabs(names, chosen, about=about, path=path)
        self.look = session.looker(lambda: session.api.counts(project.id), self._show)
        session.on("project.changed", self._follow)
        session.on_return(self.look)

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            await self.look()

    def _show(self, counts: ProjectCounts) -> None:
        found = {
            "Issues": counts.open_issues,
            "Runs": counts.runs,
            "Changes": counts.open_changes,
        }
        for name in self._names:
            number = found.get(name)
            if number is not None:
                self._tabs.count(name, number)


class RunsTab:
    """A live table of the project's runs."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        runs = RunsList(session, RunFilters(project_id=project.id), rows=ROWS)
        runs.draw(when_empty="No runs yet. Press New run.")
        ui.link("All runs of this project", f"/runs?project={project.id}").classes("under")
        self.load = runs.refetch


Tab = IssuesTab | RunsTab | ChangesTab | ChartsTab | SettingsTab
TABS: dict[str, type[Tab]] = {
    "Issues": IssuesTab,
    "Runs": RunsTab,
    "Changes": ChangesTab,
    "Charts": ChartsTab,
    "Settings": SettingsTab,
}


def register(connection: Connection) -> None:
    """Define `/projects/{id}`."""

    @page_at("/projects/{project_id}")
    async def project_page(project_id: str, tab: str = "", do: str = "") -> None:
        entered = await enter_project(connection, project_id)
        if entered is None:
            return
        session, project = entered
        chosen = chosen_tab(_tabs_of(session, project), tab)
        with _framed(session, project, chosen) as (tabs, sweep):
            shown = TABS[chosen](session, project)
            # links of the inbox lead to a dialog: `?do=locate`, `?do=set-up`
            session.on_arrival(partial(open_help, session, project.id, do))
        await asyncio.gather(shown.load(), sweep.refetch(), tabs.look())


def _tabs_of(session: PageSession, project: ProjectOut) -> list[str]:
    may_edit = session.may("change_project", project.id)
    return [name for name in TABS if may_edit or name != "Settings"]


@contextmanager
def _framed(
    session: PageSession, project: ProjectOut, chosen: str
) -> Generator[tuple[ProjectTabs, NextSweep]]:
    """Draw the frame with the project's header; the chosen tab's content goes inside the `with`."""
    dress_runs()
    dress_issues()
    dress_projects()
    crumbs = [("Projects", "/projects")]
    with frame(session, title=plain(project.name), active="projects", crumbs=crumbs) as page:
        ProjectScreen(session, page, project)
        sweep = NextSweep(session, project)
        path, about = f"/projects/{project.id}", f"Parts of {plain(project.name)}"
        names = _tabs_of(session, project)
        yield ProjectTabs(session, project, names, chosen, about=about, path=path), sweep


class NextStep:
    """The panel below a new project's header; it goes with its first run."""

    def __init__(self, session: PageSession, acts: ProjectActs, project: ProjectOut) -> None:
        self._session, self._id = session, project.id
        self._start = AfkStart(session, acts, project.id)
        self._step: Step | None = None
        with ui.element("div").classes("banner next") as self._box:
            self._words = ui.html("", sanitize=clean, tag="span").classes("grow")
            # drawn with the first step that this person may do
            self._button: ui.button | None = None
        self.show(project)

    def show(self, project: ProjectOut) -> None:
        """Show the step that comes next, or nothing."""
        step = step_of(project)
        is_mine = step is not None and self._session.may(step.deed, self._id)
        self._step = step if is_mine else None
        self._box.set_visibility(self._step is not None)
        if self._step is not None:
            self._words.set_content(text(self._step.because))
            if self._button is None:
                with self._box:
                    self._button = button("", self._go, kind="pri", mark="next-step")
            self._button.set_text(self._step.label)

    async def _go(self) -> None:
        match self._step:
            case Step.CONNECT:
                await open_help(self._session, self._id, Act.SETUP)
            case Step.ADD:
                self._session.go(f"/projects/{self._id}?tab=issues#new")
            case Step.RUN:
                await self._start.start()
            case None:
                pass


class ProjectScreen:
    """The project's header and the banner below it."""

    def __init__(self, session: PageSession, page: Page, project: ProjectOut) -> None:
        self._session = session
        self._page = page
        self._id = project.id
        self._acts = ProjectActs(session.api, session.board, session.now, session.announce)
        with page.beside:
            self._pill = ui.html("", sanitize=clean, tag="span")
        with page.actions:
            self._run = session.offer("start", project.id, self._new_run_link)
            self._controls = ProjectControls(session, self._acts, project).classes("controls")
        self._banner = testid(ui.html("", sanitize=clean), "project-banner")
        self._banner.on("over", self._redraw)
        self._next = NextStep(session, self._acts, project)
        self._suggested = SuggestedChecks(session, project)
        self._trust = TrustState(session, project.id)
        self._draw(project)
        session.board.on_change(self._follow)
        session.on_return(self._redraw)
        OpenedItems(session, project.id)

    def _new_run_link(self) -> ui.link:
        link = link_button("New run", f"/projects/{self._id}/run", mark="new-run", key="n")
        return opens_dialog(self._session, link, self._id)

    def _follow(self, changed: set[str]) -> None:
        if self._id in changed:
            self._redraw()

    def _redraw(self) -> None:
        project = self._session.board.get(self._id)
        if project is not None:
            self._draw(project)

    def _draw(self, project: ProjectOut) -> None:
        now = self._session.now()
        self._page.set_title(plain(project.name))
        self._pill.set_content(status_html(project, now))
        self._run.set_visibility(can_start(project))
        self._controls.show(project)
        self._next.show(project)
        self._suggested.show(project)
        self._trust.show(project)
        trouble = trouble_html(self._acts.trouble(project.id), now)
        self._banner.set_content(trouble + banner_html(project, now))


def banner_html(project: ProjectOut, now: datetime) -> str:
    """Return the project's settings in a line, and the banner for its present problem, if any."""
    words = f"{setting_words(project)} · {project.origin}"
    settings = f'<div class="sub m under">{plain_html(words)}</div>'
    if project.state == "broken":
        return f'{settings}<div class="banner stop">{plain_html(sentence_of(project))}</div>'
    if project.state == "cloning":
        percent = project.clone_percent or 0
        return (
            f'{settings}<div class="banner acc">{plain_html(sentence_of(project))}'
            f'<progress class="budget" max="100" value="{percent}"'
            ' aria-label="Cloned, in percent"></progress></div>'
        )
    if project.paused:
        title = f"{project.strikes} runs in a row failed."
        words = "Automatic runs wait until you press Reset."
        return (
            f'{settings}<div class="banner stop tall"><b>{title} {words}</b>'
            f"{failures_html(project, now)}</div>"
        )
    if held := project.checks_error or project.forge_hold:
        return f'{settings}<div class="banner stop">{plain_html(held)}</div>'
    return settings
