"""The head of a change's page: its place in the inbox, title, pill, facts and summary."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.schemas import ChangeOut, ProjectOut, RunItem
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import ItemKind
from app.domain.sandbox.levels import SandboxLevel
from app.pages.components.chips import pill_html
from app.pages.components.countdown import day_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.change_view import ChangeView
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession
from app.state.review.change_words import (
    checks_words,
    cost_of,
    first_sentence,
    runs_words,
    state_of,
)


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
            self._before = _step("change-prev", "↑", "Previous change")
            self._after = _step("change-next", "↓", "Next change")
        look = session.looker(session.api.inbox, self._show)
        self._show(items)
        session.on("inbox.changed", lambda _: look())
        session.on_return(look)

    def _show(self, items: Sequence[InboxItem]) -> None:
        before, after, words = neighbors(items, self._change)
        self._words.set_content(text(words))
        for link, item in ((self._before, before), (self._after, after)):
            link.set_visibility(item is not None)
            link.props["href"] = item.url if item else ""


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
        ui.html(text(sign), sanitize=clean, tag="span").props("aria-hidden=true")
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


def _chips(project: ProjectOut, view: ChangeView) -> list[str]:
    snapshot = view.snapshot
    change, runs = snapshot.change, snapshot.runs
    found: list[str] = []
    if change.closes is not None:
        found.append(
            _chip(f"Issue #{change.closes}", f"/projects/{project.id}/issues/{change.closes}")
        )
    found.append(_chip(f"{change.branch} → {change.base}", kind="m"))
    if runs:
        path = f"/runs/{runs[0].id}" if len(runs) == 1 else f"{change.url}?tab=runs"
        found.append(_chip(runs_words(runs), path))
        found.append(_chip(" · ".join(one for one in (runs[0].agent, runs[0].model) if one)))
    if cost := cost_of(runs):
        found.append(_chip(cost))
    words, tone = checks_words(snapshot.last_checks)
    if words:
        found.append(_chip(words, f"{change.url}?tab=checks", kind=tone))
    if sandbox := _sandbox(runs):
        found.append(_chip(sandbox, kind="stop" if sandbox == "Unsandboxed" else ""))
    return [*found, f'<span class="sub">{_since_html(change)}</span>']


def _since_html(change: ChangeOut) -> str:
    opened = f"opened {day_html(change.created_at)}"
    return (
        opened
        if change.ended_at is None
        else f"{opened}, {change.state} {day_html(change.ended_at)}"
    )


def _chip(words: str, href: str = "", kind: str = "") -> str:
    look = f"chip {kind}".strip()
    if href:
        return f'<a class="{look}" href="{text(href)}">{plain_html(words)}</a>'
    return f'<span class="{look}">{plain_html(words)}</span>'


def _sandbox(runs: Sequence[RunItem]) -> str:
    """Return the weakest sandbox of the runs; empty where none is known."""
    levels = {run.provenance.sandbox for run in runs} - {""}
    if SandboxLevel.NONE in levels:
        return "Unsandboxed"
    return ", ".join(sorted(levels))
