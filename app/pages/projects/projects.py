"""Projects (`/projects`): who needs a person, what runs, the rest; without any, three ways in."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectOut
from app.domain.sandbox.levels import SandboxLevel
from app.pages.components.buttons import button, link_button
from app.pages.components.markup import clean, plain, text
from app.pages.components.testids import testid
from app.pages.projects.card import ProjectCard
from app.pages.projects.limit_banners import LimitBanners
from app.pages.projects.sections import Sections, tag_filter_html
from app.pages.runs.new_run import NewRunButton
from app.pages.shell.frame import Page, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_projects, dress_runs
from app.state.page.connection import Connection
from app.state.projects.project_actions import ProjectActs
from app.state.projects.sandbox_settings import level_words
from app.state.projects.sections import NAMES, NAMES_BELOW, in_order, with_tag

CARDS_A_PAGE = 50


def register(connection: Connection) -> None:
    """Define `/projects`."""

    @page_at("/projects")
    async def projects_page() -> None:
        session = await PageSession.open(connection)
        tag = session.client.request.query_params.get("tag", "")
        dress_runs()
        dress_projects()
        with frame(session, title="Projects", active="projects") as page:
            ProjectsScreen(session, page, tag=tag)


def totals_html(session: PageSession) -> str:
    """Return `3 running · 12 ready · 41 to review`, each linked to its page."""
    board = session.board
    ready = "–" if board.ready_count is None else board.ready_count
    totals = (
        (board.live_runs, "running", "/runs"),
        (ready, "ready", "/issues"),
        (board.review_count, "to review", "/"),
    )
    links = (f'<a href="{path}"><b>{count}</b> {words}</a>' for count, words, path in totals)
    return f'<span class="totals" data-testid="project-totals">{"".join(links)}</span>'


class ProjectsScreen:
    """The content of the page, which follows the project board.

    With `most` it shows nothing but the cards, and these only for so many projects at most; with
    `tag` only the projects that have it.
    """

    def __init__(
        self, session: PageSession, page: Page, *, most: int | None = None, tag: str = ""
    ) -> None:
        self._session = session
        self._most, self._tag = most, tag
        self._acts = ProjectActs(session.api, session.board, session.now, session.announce)
        self._shows_archived = False
        self._limit = CARDS_A_PAGE
        self._cards: dict[str, ProjectCard] = {}
        self._parts: tuple[bool, ...] | None = None
        with page.beside:
            self._totals = ui.html("", sanitize=clean, tag="span")
        with page.actions:
            if session.may("add_project"):
                link_button("Add project", "/projects/add", mark="add-project")
            self._new_run = NewRunButton(session, session.board.listing, mark="new-run-anywhere")
        self._limits = LimitBanners(session)
        self._filter = ui.html("", sanitize=clean)
        self._archived = button("Show archived", self._toggle_archived, kind="small toggle above")
        self._welcome = ui.element("div")
        # `over`: a countdown on a card has ended
        sections = ui.element("div").classes("project-sections")
        with testid(sections, "project-sections").on("over", self._show_all):
            self._sections = Sections(session, NAMES if most is None else NAMES_BELOW)
        self._more = button("Show more", self._show_more)
        self.follow(set())
        session.board.on_change(self.follow)
        session.on_arrival(self._limits.follow)
        session.on("project.changed", lambda _: self._limits.follow())

    def follow(self, changed: set[str]) -> None:
        """Redraw the projects that changed, and only those."""
        board = self._session.board
        listing = with_tag(board.listing(archived=self._shows_archived), self._tag)
        if self._most is not None and len(listing) > self._most:
            listing = []
        shown = in_order(listing)[: self._limit]
        self._arrange(shown, changed)
        everything = board.listing(archived=True)
        self._show_parts(bool(everything), len(listing) > self._limit, board.archived_count > 0)
        if self._most is None:
            self._totals.set_content(totals_html(self._session))
            self._filter.set_content(tag_filter_html(board.listing(), self._tag))

    def _show_parts(self, has_any: bool, has_more: bool, has_archived: bool) -> None:
        # with every change of every project: each setter costs, even if nothing is new
        parts = has_any, has_more, has_archived
        if parts == self._parts:
            return
        self._parts = parts
        if not has_any and not self._welcome.default_slot.children:
            with self._welcome:
                Welcome(self._session)
        self._welcome.set_visibility(not has_any)
        self._new_run.element.set_visibility(has_any)
        is_alone = self._most is None
        self._totals.set_visibility(has_any and is_alone)
        self._more.set_visibility(has_more)
        self._archived.set_visibility(has_archived and is_alone)

    def _arrange(self, shown: Sequence[ProjectOut], changed: set[str]) -> None:
        """Make the cards match these projects, in their sections and order."""
        for gone in self._cards.keys() - {project.id for project in shown}:
            self._cards.pop(gone).delete()
        for box, projects in self._sections.places(shown):
            for place, project in enumerate(projects):
                self._put(box, place, project)
                if project.id in changed:
                    self._cards[project.id].show(project)

    def _put(self, box: ui.element, place: int, project: ProjectOut) -> None:
        card = self._cards.get(project.id)
        if card is None:
            with box:
                card = self._cards[project.id] = ProjectCard(self._session, self._acts, project)
        inside = box.default_slot.children
        if place >= len(inside) or inside[place] is not card:
            card.move(box, place)

    def _toggle_archived(self) -> None:
        self._shows_archived = not self._shows_archived
        self._archived.props["aria-pressed"] = str(self._shows_archived).lower()
        self._archived.set_text("Hide archived" if self._shows_archived else "Show archived")
        self.follow(set())

    def _show_all(self) -> None:
        self.follow(set(self._cards))

    def _show_more(self) -> None:
        self._limit += CARDS_A_PAGE
        self.follow(set())


def _warn_unsandboxed(session: PageSession) -> None:
    here = session.system.sandbox
    if here.levels == [SandboxLevel.NONE]:
        why = level_words(SandboxLevel.CONTAINED, here)[0]
        words = f"Its agent will run unsandboxed. {why}"
        ui.html(text(words), sanitize=clean).classes("sub alarm")


FOLDER = "A folder on this machine, or an ssh or https address."
DEMO = "A small repository, five issues and a scripted agent. Three minutes, offline."


class Welcome:
    """The page without projects: three ways to start."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        ways = "Three ways in:" if session.may("change_commands") else "Two ways in:"
        words = f"Nothing here yet. {ways}"
        if not session.may("add_project"):
            words = "Nothing here yet. An operator can add the first project."
        ui.html(f'<h2>Welcome to Runyard</h2><p class="sub">{words}</p>', sanitize=clean).classes(
            "stack welcome"
        )
        with ui.element("div").classes("ways"):
            if session.may("add_project"):
                with _way("Your repository", FOLDER):
                    link_button("Add project", "/projects/add", kind="pri")
            if session.may("change_commands"):
                with _way("See it work first", DEMO):
                    _warn_unsandboxed(session)
                    self._demo = button("Try the demo project", self._try_demo, mark="demo-project")
            with _way("Read", "How a run works, in ten lines."):
                link_button("Open the guide", "/guide")

    async def _try_demo(self) -> None:
        self._demo.disable()
        self._demo.set_text("Making the demo project…")
        try:
            project = await self._session.api.add_demo_project()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            # the feed adds its card to every open page, this one included
            self._session.notify(f"{plain(project.name)} is here. Press Start AFK run on its card.")
        self._demo.set_text("Try the demo project")
        self._demo.enable()


def _way(title: str, words: str) -> ui.element:
    card = ui.element("section").classes("card")
    with card:
        ui.html(f'<span class="name">{text(title)}</span>', sanitize=clean, tag="span")
        ui.html(text(words), sanitize=clean, tag="span").classes("sub")
    return card
