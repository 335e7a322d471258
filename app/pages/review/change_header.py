"""The head of a change's page: its place in the inbox, title, pill, facts and summary."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.schemas import ChangeOut, ProjectOut, RunItem
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import FIX_CI, RESOLVE, ItemKind
from app.domain.sandbox.levels import SandboxLevel
from app.domain.tracker.ci import CiState
from app.pages.components.buttons import button
from app.pages.components.chips import pill_html
from app.pages.components.countdown import day_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.change_view import ChangeView
from app.pages.review.resolver import Resolver
from app.pages.runs.delivery import safe_href
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession
from app.state.review.change_words import (
    CI_WORDS,
    checks_words,
    cost_of,
    first_sentence,
    runs_words,
    state_of,
)

# files in conflict that the banner names
NAMED = 8
# by the tone of a round of checks
SIGNS = {"go": "check", "stop": "x", "wait": "x"}


class Place:
    """`1 of 41` among the open changes of the inbox, and the links to those beside it."""

    def __init__(
        self,
        session: PageSession,
        page: Page,
        change: tuple[str, int],
        items: Sequence[InboxItem],
    ) -> None:
        self._change = change
        with page.actions, ui.element("span").classes("change-place"):
            self._words = ui.html("", sanitize=clean, tag="span").classes("sub")
            self._before = _step("change-prev", "chevron-up", "Previous change")
            self._after = _step("change-next", "chevron-down", "Next change")
        look = session.looker(session.api.inbox, self._show)
        self._show(items)
        session.on("inbox.changed", lambda _: look())
        session.on_return(look)

    def _show(self, items: Sequence[InboxItem]) -> None:
        before, after, words = neighbors(items, self._change)
        self._words.set_content(text(words))
        for link, item in ((self._before, before), (self._after, after)):
            link.set_visibility(item is not None)
            link.props["href"] = item.url if item else "/"


def neighbors(
    items: Sequence[InboxItem], change: tuple[str, int]
) -> tuple[InboxItem | None, InboxItem | None, str]:
    """Return the open changes before and after this one, and its place: `1 of 41`.

    One that is no longer open has the first of them after it.
    """
    others = [one for one in items if one.kind is ItemKind.CHANGE]
    keys = [(one.project_id, one.change) for one in others]
    if change not in keys:
        left = f"{len(others)} to review" if others else ""
        return None, others[0] if others else None, left
    at = keys.index(change)
    before = others[at - 1] if at else None
    after = others[at + 1] if at + 1 < len(others) else None
    return before, after, f"{at + 1} of {len(others)}"


def _step(mark: str, sign: str, name: str) -> ui.link:
    with testid(ui.link(target="").classes("btn small ico"), mark) as link:
        ui.html(icon(sign, kind="s"), sanitize=clean, tag="span")
    link.props["aria-label"] = link.props["title"] = name
    return link


class ChangeHeader:
    """Title, pill, facts as chips, and the summary in one line."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._project = project
        with testid(ui.element("section").classes("change-head"), "change-header"):
            self._title = ui.html("", sanitize=clean).classes("change-title")
            self._chips = ui.html("", sanitize=clean).classes("change-chips")
            self._line = ui.html("", sanitize=clean).classes("change-line")

    def show(self, view: ChangeView) -> None:
        """Show the change as it is."""
        snapshot = view.snapshot
        change, first = snapshot.change, snapshot.first
        word, tone = state_of(change)
        pill = pill_html(word, tone, testid="change-state")
        self._title.set_content(f"<h2>{plain_html(change.title)}</h2>{pill}")
        self._chips.set_content("".join(_chips(self._project, view)))
        said = snapshot.reports[first.id].final_message if first else None
        line = first_sentence(said or "")
        path = f"/projects/{self._project.id}/changes/{change.number}"
        whole = f'<a href="{text(path)}">Full summary</a>'
        self._line.set_content(f"<span>{plain_html(line)}</span>{whole}" if line else "")
        self._line.set_visibility(bool(line))


class ConflictBanner:
    """The files in conflict, and the button that has an agent resolve them."""

    def __init__(self, session: PageSession, project_id: str) -> None:
        self._resolver, self._id = Resolver(session), project_id
        self._number = 0
        with testid(ui.element("div").classes("banner wait"), "change-conflicts") as self._box:
            self._words = ui.html("", sanitize=clean).classes("grow")
            self._button = session.offer(
                "resolve_conflicts",
                project_id,
                lambda: button(RESOLVE, self._resolve, kind="pri", mark="resolve-conflicts"),
            )

    def show(self, view: ChangeView) -> None:
        """Show the conflicts of an open change."""
        change, live = view.snapshot.change, view.snapshot.live
        self._number = change.number
        files = change.conflicts or []
        self._box.set_visibility(bool(files) and change.state == "open")
        named = ", ".join(f'<span class="m">{plain_html(one)}</span>' for one in files[:NAMED])
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        works = " An agent works on this change." if live else ""
        if change.reverts is not None:
            works = f" Close this, then undo change {change.reverts} again."
        title = f"Conflicts with {plain_html(change.base)} in {counted(len(files), 'file')}"
        self._words.set_content(
            f"<b>{icon('git-merge')} {title}</b><div>{named}{more}.{works}</div>"
        )
        self._button.set_visibility(live is None and change.reverts is None)

    async def _resolve(self) -> None:
        self._button.set_enabled(False)
        try:
            await self._resolver.resolve(self._id, self._number)
        finally:
            self._button.set_enabled(True)


class CiBanner:
    """The jobs of CI that failed, and the button that has an agent fix it."""

    def __init__(self, session: PageSession, project_id: str) -> None:
        self._resolver, self._id = Resolver(session), project_id
        self._number = 0
        with testid(ui.element("div").classes("banner stop"), "change-ci") as self._box:
            self._words = ui.html("", sanitize=clean).classes("grow")
            self._button = session.offer(
                "fix_ci", project_id, lambda: button(FIX_CI, self._fix, kind="pri", mark="fix-ci")
            )

    def show(self, view: ChangeView) -> None:
        """Show what failed of an open change."""
        change, live = view.snapshot.change, view.snapshot.live
        self._number = change.number
        is_red = change.ci.state is CiState.FAILED
        self._box.set_visibility(is_red and change.state == "open")
        failed = change.ci.failed
        named = ", ".join(f'<span class="m">{plain_html(one)}</span>' for one in failed[:NAMED])
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        works = " An agent works on this change." if live else ""
        self._words.set_content(
            f"<b>{icon('circle-alert')} CI failed</b><div>{named}{more}.{works}</div>"
        )
        self._button.set_visibility(live is None and change.run_id is not None)

    async def _fix(self) -> None:
        self._button.set_enabled(False)
        try:
            await self._resolver.fix_ci(self._id, self._number)
        finally:
            self._button.set_enabled(True)


class ReviewsBanner:
    """The review comments at the forge that no run works through by itself any more."""

    def __init__(self) -> None:
        with testid(ui.element("div").classes("banner wait"), "change-reviews") as self._box:
            self._words = ui.html("", sanitize=clean).classes("grow")

    def show(self, view: ChangeView, rounds: int) -> None:
        """Show how many comments of an open change wait; `rounds` is what its project allows."""
        change, live = view.snapshot.change, view.snapshot.live
        count = change.reviews_waiting
        self._box.set_visibility(count > 0 and change.state == "open" and live is None)
        why = (
            "The rounds of review are used up, so no run starts for them by itself. Once a run "
            "that you start here has ended, the next one works through them."
            if rounds
            else "This project starts no runs for reviews: its rounds of review are 0."
        )
        wait = "wait" if count != 1 else "waits"
        self._words.set_content(
            f"<b>{icon('circle-alert')} {counted(count, 'review comment')} {wait} for you</b>"
            f"<div>{why}</div>"
        )


def _chips(project: ProjectOut, view: ChangeView) -> list[str]:
    snapshot = view.snapshot
    change, runs = snapshot.change, snapshot.runs
    found: list[str] = []
    if change.closes is not None:
        issue = f"/projects/{project.id}/issues/{change.closes}"
        found.append(_chip(f"Issue #{change.closes}", issue, sign="circle-dot"))
    if change.reverts is not None:
        path = f"/projects/{project.id}/changes/{change.reverts}"
        found.append(_chip(f"Reverts change {change.reverts}", path, sign="git-merge"))
    if there := safe_href(change.forge_url or ""):
        found.append(
            f'<a class="chip" href="{text(there)}" target="_blank" data-testid="at-forge">'
            f"Pull request #{change.number} ↗</a>"
        )
    found.append(_chip(f"{change.branch} → {change.base}", kind="m", sign="git-branch"))
    if runs:
        path = f"/runs/{runs[0].id}" if len(runs) == 1 else f"{change.url}?tab=runs"
        found.append(_chip(runs_words(runs), path, sign="play"))
        found.append(_chip(" · ".join(one for one in (runs[0].agent, runs[0].model) if one)))
    if cost := cost_of(runs):
        found.append(_chip(cost))
    words, tone = checks_words(snapshot.last_checks)
    if words:
        found.append(
            _chip(words, f"{change.url}?tab=checks", kind=tone, sign=SIGNS.get(tone, "clock"))
        )
    if ci := CI_WORDS.get(change.ci.state):
        words, tone = ci
        found.append(_chip(words, change.ci.url or "", kind=tone, sign=SIGNS.get(tone, "clock")))
    if sandbox := _sandbox(runs):
        is_open = sandbox == "Unsandboxed"
        sign = "shield-off" if is_open else "shield-check"
        found.append(_chip(sandbox, kind="stop" if is_open else "", sign=sign))
    return [*found, f'<span class="sub">{_since_html(change)}</span>']


def _since_html(change: ChangeOut) -> str:
    opened = f"opened {day_html(change.created_at)}"
    return (
        opened
        if change.ended_at is None
        else f"{opened}, {change.state} {day_html(change.ended_at)}"
    )


def _chip(words: str, href: str = "", kind: str = "", sign: str = "") -> str:
    look = f"chip {kind}".strip()
    inner = f"{icon(sign) if sign else ''}{plain_html(words)}"
    if href:
        return f'<a class="{look}" href="{text(href)}">{inner}</a>'
    return f'<span class="{look}">{inner}</span>'


def _sandbox(runs: Sequence[RunItem]) -> str:
    """Return the weakest sandbox of the runs; empty where none is known."""
    levels = {run.provenance.sandbox for run in runs} - {""}
    if SandboxLevel.NONE in levels:
        return "Unsandboxed"
    return ", ".join(sorted(levels))
