"""The live table of runs; rows are updated in place, never rebuilt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui import ui

from app.api.schemas import RunItem
from app.domain.agents.reports import amount_words, cost_words
from app.domain.ids import shorten
from app.domain.text.durations import clock_words
from app.domain.words import Phase, Status, Trigger
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.chips import pill_html, status_pill_html
from app.pages.components.countdown import ago_html, day_html, since_html
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.runs.run_board import BoardRow, RunBoard, Submitting, tokens_of

# column class, used to hide columns on narrow screens, and heading
HEADINGS = (
    ("run", "Run"),
    ("project", "Project"),
    ("status", "Status"),
    ("trigger", "Trigger"),
    ("branch", "Branch"),
    ("depth", "Depth"),
    ("framework", "Framework"),
    ("started", "Created"),
    ("took", "Took"),
    ("tokens", "Tokens"),
    ("cost", "Cost"),
    ("acts", ""),
)


@dataclass(frozen=True)
class Acts:
    """The actions of a row's buttons; `retrying` returns the busy word during a retry.

    `retry_words` returns the button's label otherwise.
    """

    stop: Callable[[str], Awaitable[None]]
    retry: Callable[[RunItem], Awaitable[None]]
    retrying: Callable[[str], str]
    retry_words: Callable[[RunItem], str]


class RunsTable:
    """Shows a RunBoard; call `refresh` after each change to it. `when_empty` is HTML."""

    def __init__(
        self, session: PageSession, board: RunBoard, acts: Acts, *, when_empty: str
    ) -> None:
        self._session, self._board, self._acts = session, board, acts
        self._rows: dict[str, _Row] = {}
        self._order: list[str] = []
        with ui.element("div").classes("runs").props('role=table aria-label="Runs"') as self._table:
            testid(self._table, "runs-table")
            self._table.classes("of-one" if board.filters.project_id else "")
            heads = "".join(
                f'<span class="{name}" role="columnheader">{head}</span>' for name, head in HEADINGS
            )
            ui.html(heads, sanitize=clean).classes("tr th").props("role=row")
            self._none = ui.html(when_empty, sanitize=clean).classes("none")
        self.refresh()

    def set_empty_text(self, html: str) -> None:
        """Replace the HTML shown if there are no rows."""
        self._none.set_content(html)

    def refresh(self) -> None:
        """Bring the rows in line with the board: add, delete, move and update them."""
        rows = {_key(row): row for row in self._board.rows()}
        for key in [key for key in self._rows if key not in rows]:
            self._rows.pop(key).element.delete()
            self._order.remove(key)
        for place, (key, row) in enumerate(rows.items()):
            if key not in self._rows:
                with self._table:
                    self._rows[key] = _Row(self._acts, self._session)
                self._order.append(key)
            if self._order[place] != key:
                self._order.remove(key)
                self._order.insert(place, key)
                # +2: the heading row and the empty-table text come first
                self._rows[key].element.move(target_index=place + 2)
            self._rows[key].show(row, self._board.word_of(key))
        self._none.set_visibility(not rows)


class _Row:
    """One row: its cells as one element, and a button: Stop until the run is done, then Retry."""

    def __init__(self, acts: Acts, session: PageSession) -> None:
        self._do, self._session = acts, session
        self._seen: object = None
        self._stop: ConfirmButton | None = None
        self._retry: ui.button | None = None
        with ui.element("div").classes("tr").props("role=row") as self.element:
            self._cells = ui.html("", sanitize=clean).classes("cells")
            self._acts = ui.element("span").classes("acts").props("role=cell")

    def show(self, row: BoardRow, word: str) -> None:
        """Update what differs; `word` is the busy word of an action on the run."""
        session, retrying = self._session, self._do.retrying(_key(row))
        can_retry = isinstance(row, RunItem) and may_retry(row, session)
        again = retrying or (self._do.retry_words(row) if isinstance(row, RunItem) else "")
        if (row, word, again, can_retry) == self._seen:
            return
        self._seen = (row, word, again, can_retry)
        is_submit = isinstance(row, Submitting)
        self.element.classes(add="opt" if is_submit else "", remove="" if is_submit else "opt")
        status = "submitting" if isinstance(row, Submitting) else row.status
        testid(self.element, "run-row", run=_key(row), status=status)
        cells = (
            _submit_cells(row) if isinstance(row, Submitting) else _run_cells(row, word, session)
        )
        self._cells.set_content(
            "".join(f'<span role="cell" class="{c}">{h}</span>' for c, h in cells)
        )
        self._offer_stop(row)
        if self._stop is not None:
            self._stop.element.set_enabled(not word)
        self._offer_retry(row if can_retry else None)
        if self._retry is not None:
            self._retry.set_enabled(not retrying)
            self._retry.set_text(again)

    def _offer_stop(self, row: BoardRow) -> None:
        can_stop = isinstance(row, RunItem) and row.phase is not Phase.DONE
        if can_stop and self._stop is None:
            with self._acts:
                self._stop = ConfirmButton(
                    "Stop",
                    "Stop now?",
                    lambda: self._do.stop(_key(row)),
                    kind="small danger",
                    mark="row-stop",
                )
            self._stop.element.props(f'aria-label="Stop run {_key(row)[-6:]}"')
        elif not can_stop and self._stop is not None:
            self._stop.disarm()
            self._stop.element.delete()
            self._stop = None

    def _offer_retry(self, row: BoardRow | None) -> None:
        if isinstance(row, RunItem) and self._retry is None:
            with self._acts:
                self._retry = button(
                    "Retry", lambda: self._do.retry(row), kind="small", mark="retry-run"
                )
            self._retry.props(f'aria-label="Retry run {row.id[-6:]}"')
        elif row is None and self._retry is not None:
            self._retry.delete()
            self._retry = None


def may_retry(run: RunItem, session: PageSession) -> bool:
    """Return True for a done and released run of a project that is not archived."""
    project = session.board.get(run.project_id)
    is_archived = project is not None and project.archived_at is not None
    return run.phase is Phase.DONE and run.released_at is not None and not is_archived


def trigger_words(run: BoardRow) -> str:
    """Return a run's trigger with its issue or retried run: `auto · #128`, `retry of …9d1f2a`."""
    words = str(run.trigger)
    if run.retry_of and run.trigger in (Trigger.RETRY, Trigger.RESUME):
        words = f"{words} of {shorten(run.retry_of)}"
    return f"{words} · #{run.issue}" if run.issue else words


def took_html(run: RunItem, session: PageSession) -> str:
    """Return how long a run has worked or worked in total; empty before its start."""
    if run.started_at is None:
        return ""
    if run.ended_at is None:
        return since_html(run.started_at, session.now())
    return text(clock_words((run.ended_at - run.started_at).total_seconds()))


def _run_cells(run: RunItem, word: str, session: PageSession) -> list[tuple[str, str]]:
    why = run.hold or run.because or run.title or ""
    pill = pill_html(word, "acc") if word else status_pill_html(run.status, run.cause)
    again = ""
    if run.retried_by:
        newest = run.retried_by[-1]
        again = f' <a class="again" href="/runs/{text(newest)}">retried</a>'
    name = f'<a class="whole" href="/runs/{text(run.id)}" title="{text(run.id)}">'
    return [
        ("run m", f"{name}{text(shorten(run.id))}</a>"),
        ("project", plain_html(run.project_name)),
        ("status", f'<span title="{text(plain(why))}">{pill}</span>{again}'),
        ("trigger", text(trigger_words(run))),
        ("branch m", f'<span title="{text(plain(run.work_branch))}">{_branch(run)}</span>'),
        ("depth", text(run.depth_level)),
        ("framework", plain_html(run.target_framework)),
        ("started", created_html(run, session)),
        ("took", took_html(run, session)),
        *_usage_cells(run),
    ]


def created_html(run: RunItem, session: PageSession) -> str:
    """Return the age of a run, or the start time of one planned for later."""
    if run.status is Status.DELAYED and run.starts_at is not None:
        return f"starts {day_html(run.starts_at)}"
    return ago_html(run.created_at, session.now())


def _usage_cells(run: RunItem) -> list[tuple[str, str]]:
    used, tokens = run.usage, tokens_of(run)
    is_silent = run.phase is Phase.DONE and run.started_at is not None
    unknown = '<span title="not reported">–</span>' if is_silent else ""
    cost = unknown if used.cost_usd is None else text(cost_words(used.cost_usd))
    return [("tokens", unknown if tokens is None else amount_words(tokens)), ("cost", cost)]


def _branch(run: RunItem) -> str:
    # a plain run's branch repeats its id, so show its base branch
    is_own = run.work_branch == f"run/{run.id}"
    return plain_html(run.branch if is_own else run.work_branch)


def _submit_cells(row: Submitting) -> list[tuple[str, str]]:
    return [
        ("run m", "—"),
        ("project", plain_html(row.project_name)),
        ("status", pill_html("Submitting…", "acc")),
        ("trigger", text(trigger_words(row))),
        ("branch m", plain_html(row.branch)),
        ("depth", text(row.depth_level)),
        ("framework", plain_html(row.target_framework)),
        ("started", "now"),
        ("took", ""),
        ("tokens", ""),
        ("cost", ""),
    ]


def _key(row: BoardRow) -> str:
    return row.key if isinstance(row, Submitting) else row.id
