"""The pull request card: number, state, link, branch, commit, files, Merge and Deliver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from nicegui import ui

from app.api.schemas import DeliveryOut, ParkedOut, ProjectOut, RunOut
from app.domain.ids import shorten
from app.domain.words import Delivers, Phase, Status
from app.pages.components.buttons import button
from app.pages.components.chips import pill_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.review.change_words import CI_WORDS

TONES = {"open": "acc", "merged": "go", "closed": "idle"}


class PullRequestCard:
    """Shows what a run delivered, or its kept work; calls `merge` and `deliver` on a press."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        merge: Callable[[], Awaitable[None]],
        deliver: Callable[[ParkedOut], Awaitable[None]],
    ) -> None:
        self._session = session
        self._kept: ParkedOut | None = None
        self._run: RunOut | None = None
        self._word = ""
        self._act = deliver
        with ui.element("div").classes("pr") as self._card:
            testid(self._card, "pr-card").props('role=region aria-label="Pull request"')
            self._words = ui.html("", sanitize=clean).classes("stack")
            self._left = ui.html("", sanitize=clean).classes("sub")
            with ui.element("div").classes("line") as self._acts:
                self._merge = session.offer(
                    "merge", project_id, lambda: button("Merge", merge, kind="small", mark="merge")
                )
                self._deliver = session.offer("deliver", project_id, self._deliver_button)
        if session.client.request.query_params.get("show") == "pull-request":
            self._card.classes("shown")
        self._look = session.looker(session.api.parked, self._take)
        session.on_arrival(self._look_for_work)
        session.on_return(self._look_for_work)
        session.on("project.changed", self._follow)

    def _deliver_button(self) -> ui.button:
        return button("Deliver", self._press, kind="pri small", mark="deliver")

    def show(self, run: RunOut, word: str) -> None:
        """Show the run's delivery; `word` is the busy word of an action under way."""
        self._run, self._word = run, word
        self._words.set_content(card_html(run))
        self._show_acts(run, word)

    def _show_acts(self, run: RunOut, word: str) -> None:
        delivery, kept = run.delivery, self._kept
        can_merge = delivery is not None and delivery.kind == "change" and delivery.state == "open"
        can_deliver = kept is not None and kept.can_deliver and delivery is None
        can_merge = can_merge and bool(self._merge)
        can_deliver = can_deliver and bool(self._deliver)
        self._left.set_content(text(f"It left {kept.holds}.") if kept and can_deliver else "")
        self._left.set_visibility(can_deliver)
        self._acts.set_visibility(can_merge or can_deliver)
        is_risky = kept is not None and kept.needs_push_anyway
        deliver = "Push anyway…" if is_risky else "Deliver"
        self._deliver.classes(add="" if is_risky else "pri", remove="pri" if is_risky else "")
        for pressed, can, name in (
            (self._merge, can_merge, "Merge"),
            (self._deliver, can_deliver, deliver),
        ):
            pressed.set_visibility(can)
            pressed.set_text(word or name)
            pressed.set_enabled(not word)

    async def _press(self) -> None:
        if self._kept is not None:
            await self._act(self._kept)

    async def _look_for_work(self) -> None:
        run = self._run
        if run is not None and run.parked and run.delivery is None:
            await self._look()

    async def _follow(self, project: ProjectOut) -> None:
        if self._run is not None and project.id == self._run.project_id:
            await self._look_for_work()

    def _take(self, items: list[ParkedOut]) -> None:
        run = self._run
        if run is not None:
            self._kept = next((item for item in items if item.run_id == run.id), None)
            self._show_acts(run, self._word)


def card_html(run: RunOut) -> str:
    """Return the card's text for the run's state."""
    existing = ""
    if run.pr_number:
        existing = f"<span>An open PR already exists for this branch. (#{run.pr_number})</span>"
    if run.delivery is not None:
        return _delivery_html(run, run.delivery) + existing
    if run.status is Status.DELIVERING:
        return f"<b>Creating pull request…</b>{existing}"
    if run.delivers is Delivers.REPORT:
        return '<span class="sub">This run reports; it opens no pull request.</span>'
    if run.phase is Phase.DONE:
        return f'<span class="sub">Run did not complete — no PR created</span>{existing}'
    ahead = '<span class="sub">The pull request opens when the agent is done.</span>'
    return existing or ahead


def _delivery_html(run: RunOut, delivery: DeliveryOut) -> str:
    noun = "Change request" if delivery.kind == "change" else "Pull request"
    name = f"{noun} #{delivery.number}"
    href = safe_href(delivery.url)
    if href:
        name = f'<a href="{text(href)}" target="_blank">{name} ↗</a>'
    commit = delivery.head_sha[:7]
    commits = _counted(delivery.commits, "commit")
    files = _counted(delivery.files_changed, "file")
    added = f'<span class="add">+{delivery.additions}</span>'
    deleted = f'<span class="del">−{delivery.deletions}</span>'
    state = pill_html(delivery.state.capitalize(), TONES[delivery.state])
    state += pill_html(*CI_WORDS[delivery.ci.state]) if delivery.ci.state in CI_WORDS else ""
    branch = plain_html((delivery.branch or run.work_branch).replace(run.id, shorten(run.id)))
    return (
        f'<div class="line"><b>{name}</b>{state}</div>'
        f'<div class="line sub"><span class="m">{branch}</span>'
        f'<span class="m">{text(commit)}</span></div>'
        f'<div class="line sub"><span>{files} changed</span><span>{commits}</span>'
        f"<span>{added} {deleted}</span></div>"
    )


def safe_href(url: str) -> str:
    """Return the address if it is https, http or a path on this server; empty otherwise."""
    if url.startswith("/") and not url.startswith(("//", "/\\")):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
