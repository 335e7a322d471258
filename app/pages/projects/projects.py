"""Projects (`/projects`): four figures and a card per project; without any, three ways in."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectOut, QuotaOut, RunOut, SystemOut
from app.domain.sandbox.levels import SandboxLevel
from app.pages.components.buttons import button, link_button
from app.pages.components.countdown import at_html
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.projects.card import ProjectCard
from app.pages.runs.new_run import NewRunButton
from app.pages.shell.frame import Page, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_form
from app.state.page.connection import Connection
from app.state.projects.card_words import Need
from app.state.projects.project_actions import ProjectActs
from app.state.projects.project_board import Strip
from app.state.projects.sandbox_settings import level_words

CARDS_A_PAGE = 50
NEEDS = 6


def register(connection: Connection) -> None:
    """Define `/projects`."""

    @page_at("/projects")
    async def projects_page() -> None:
        session = await PageSession.open(connection)
        quota = await session.api.quota()
        dress_form()
        with frame(session, title="Projects", active="projects") as page:
            ProjectsScreen(session, page, quota)


def quota_html(quota: QuotaOut) -> str:
    """Return `12 / 20 runs left · resets 14:20`."""
    resets = f" · resets {at_html(quota.reset_at)}" if quota.reset_at else ""
    words = f"{quota.remaining} / {quota.limit} runs left{resets}"
    return f'<a class="chip" href="/quota" data-testid="quota-chip">{words}</a>'


def needs_html(needs: tuple[Need, ...]) -> str:
    """Return links to the projects that need attention: `ledger paused · 3 fails`."""
    rows = "".join(
        f'<li><a class="chip" data-need="{one.kind}" href="{text(one.path)}">'
        f"<b>{plain_html(one.name)}</b> {plain_html(one.words)}</a></li>"
        for one in needs[:NEEDS]
    )
    more = f'<li class="sub">and {len(needs) - NEEDS} more</li>' if len(needs) > NEEDS else ""
    label = 'aria-label="Need you" data-testid="needs"'
    return f'<ul class="needs" {label}>{rows}{more}</ul>' if rows else ""


def _after(words: str, more: str) -> str:
    return f"{words} · {more}" if more else words


class ProjectsScreen:
    """The content of the page, which follows the project board.

    With `most` it shows nothing but the cards, and these only for so many projects at most.
    """

    def __init__(
        self, session: PageSession, page: Page, quota: QuotaOut, *, most: int | None = None
    ) -> None:
        self._session = session
        self._most = most
        self._acts = ProjectActs(session.api, session.board, session.now, session.announce)
        self._shows_archived = False
        self._limit = CARDS_A_PAGE
        self._cards: dict[str, ProjectCard] = {}
        self._parts: tuple[bool, bool, bool] | None = None
        self._figures: Strip | None = None
        self._draw_actions(page, quota)
        self._strip = ui.html("", sanitize=clean)
        self._needs = ui.html("", sanitize=clean)
        self._archived = button("Show archived", self._toggle_archived, kind="small toggle above")
        self._welcome = ui.element("div")
        # `over`: a countdown on a card has ended
        self._grid = ui.element("div").classes("cards").on("over", self._show_all)
        self._more = button("Show more", self._show_more)
        self._look_at_quota = session.looker(session.api.quota, self._show_quota)
        self._look_at_system = session.looker(session.api.system, self._show_system)
        self.follow(set())
        session.board.on_change(self.follow)
        session.on("quota.changed", self._follow_quota)
        session.on("run.changed", self._follow_run)
        session.on("quarantine.changed", lambda _: self._look_at_system())
        session.on_return(self._come_back)

    def follow(self, changed: set[str]) -> None:
        """Redraw the projects that changed, and only those."""
        board = self._session.board
        listing = board.listing(archived=self._shows_archived)
        if self._most is not None and len(listing) > self._most:
            listing = ()
        shown = listing[: self._limit]
        if [project.id for project in shown] != list(self._cards):
            self._arrange(shown)
        for project in shown:
            if project.id in changed:
                self._cards[project.id].show(project)
        has_any = bool(board.listing(archived=True))
        self._show_parts(has_any, len(listing) > self._limit, board.archived_count > 0)
        self._draw_strip()

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
        self._new_run.set_visibility(has_any)
        is_alone = self._most is None
        self._strip.set_visibility(has_any and is_alone)
        self._needs.set_visibility(has_any and is_alone)
        self._more.set_visibility(has_more)
        self._archived.set_visibility(has_archived and is_alone)

    def _arrange(self, shown: Sequence[ProjectOut]) -> None:
        """Make the cards match these projects, in their order."""
        cards, self._cards = self._cards, {}
        for gone in cards.keys() - {project.id for project in shown}:
            cards[gone].delete()
        for place, project in enumerate(shown):
            card = cards.get(project.id)
            if card is None:
                with self._grid:
                    card = ProjectCard(self._session, self._acts, project)
            if self._grid.default_slot.children[place] is not card:
                card.move(target_index=place)
            self._cards[project.id] = card

    def _draw_actions(self, page: Page, quota: QuotaOut) -> None:
        with page.actions:
            self._quota = ui.html(quota_html(quota), sanitize=clean, tag="span")
            link_button("Add project", "/projects/add", mark="add-project")
            self._new_run = NewRunButton(
                self._session, self._session.board.listing, mark="new-run-anywhere"
            ).element

    def _draw_strip(self) -> None:
        strip = self._session.board.strip(self._session.system)
        if strip == self._figures:
            return
        self._figures = strip
        rate = "–" if strip.success is None else f"{strip.success * 100:.0f} %"
        boxes = (
            (strip.running, "running", ""),
            ("–" if strip.ready is None else strip.ready, "issues ready", ""),
            (strip.need_you, _after("need you", strip.needs_in_words), "alert"),
            (rate, f"success, last 7 days · {counted(strip.ended, 'run')}", ""),
        )
        self._strip.set_content(
            '<div class="strip">'
            + "".join(
                f'<div class="{tone if figure else ""}"><b>{text(figure)}</b>'
                f"<span>{text(words)}</span></div>"
                for figure, words, tone in boxes
            )
            + "</div>"
        )
        self._needs.set_content(needs_html(strip.needs))

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

    async def _follow_quota(self, _: object) -> None:
        await self._look_at_quota()

    def _show_quota(self, quota: QuotaOut) -> None:
        self._quota.set_content(quota_html(quota))

    async def _follow_run(self, run: RunOut) -> None:
        if run.ended_at is not None:
            await self._look_at_system()

    def _show_system(self, system: SystemOut) -> None:
        self._session.system = system
        self._draw_strip()

    async def _come_back(self) -> None:
        self._draw_strip()
        await self._look_at_quota()


def _warn_unsandboxed(session: PageSession) -> None:
    here = session.system.sandbox
    if here.levels == [SandboxLevel.NONE]:
        why = level_words(SandboxLevel.CONTAINED, here)[0]
        words = f"Its agent will run unsandboxed. {why}"
        ui.html(text(words), sanitize=clean).classes("sub alarm")


class Welcome:
    """The page without projects: three ways to start."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        ui.html(
            '<h2>Welcome to Runyard</h2><p class="sub">Nothing here yet. Three ways in:</p>',
            sanitize=clean,
        ).classes("stack welcome")
        with ui.element("div").classes("ways"):
            with _way("Your repository", "A folder on this machine, or an ssh or https address."):
                link_button("Add project", "/projects/add", kind="pri")
            with _way(
                "See it work first",
                "A small repository, five issues and a scripted agent. Three minutes, offline.",
            ):
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
