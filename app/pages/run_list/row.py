"""One row of a list of runs: its cells, its checkbox, and Stop or Retry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.api.schemas import RunItem
from app.domain.agents.reports import cost_words
from app.domain.ids import shorten
from app.domain.text.durations import clock_words
from app.domain.words import Phase, Status
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.countdown import at_html, day_html, since_html
from app.pages.components.icons import MARKS, icon, mark
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import look_of
from app.state.runs.run_board import BoardRow, Submitting, tokens_of, used_words
from app.state.runs.run_words import agent_of, reason_of, retry_words, title_of

Cells = list[tuple[str, str]]


@dataclass(frozen=True)
class Acts:
    """The actions of a row; `retrying` returns the busy word during a retry.

    `retry_words` returns the button's label otherwise; `refused` why the last bulk action left the
    run as it is.
    """

    stop: Callable[[str], Awaitable[None]]
    retry: Callable[[RunItem], Awaitable[None]]
    retrying: Callable[[str], str]
    retry_words: Callable[[RunItem], str]
    choose: Callable[[str, bool], None]
    is_chosen: Callable[[str], bool]
    refused: Callable[[str], str]


class Row:
    """A row, updated in place; its button is Stop until the run is done, then Retry."""

    def __init__(self, acts: Acts, session: PageSession) -> None:
        self._do, self._session = acts, session
        self._seen: object = None
        self._key = ""
        self._stop: ConfirmButton | None = None
        self._retry: ui.button | None = None
        with ui.element("div").classes("tr").props("role=row") as self.element:
            with ui.element("label").classes("sel").props("role=cell"):
                self._box = ui.element("input").props("type=checkbox")
                self._box.on("change", self._choose, js_handler="(e) => emit(e.target.checked)")
            self._cells = ui.html("", sanitize=clean).classes("cells")
            self._acts = ui.element("span").classes("acts").props("role=cell")

    def show(self, row: BoardRow, word: str, *, is_dated: bool) -> None:
        """Update what differs; `word` is the busy word of an action on the run.

        `is_dated`: the times are not all of the day that the heading names.
        """
        session, key = self._session, key_of(row)
        retrying = self._do.retrying(key)
        can_retry = isinstance(row, RunItem) and may_retry(row, session)
        again = retrying or (self._do.retry_words(row) if isinstance(row, RunItem) else "")
        is_chosen, refused = self._do.is_chosen(key), self._do.refused(key)
        seen = (row, word, again, can_retry, is_chosen, refused, is_dated)
        if seen == self._seen:
            return
        self._seen, self._key = seen, key
        self._show_marks(row, is_chosen)
        if isinstance(row, Submitting):
            cells = _submit_cells(row)
        else:
            cells = _run_cells(row, word or retrying, refused, session, is_dated=is_dated)
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

    def _show_marks(self, row: BoardRow, is_chosen: bool) -> None:
        is_submit = isinstance(row, Submitting)
        self.element.classes(replace=f"tr{' opt' if is_submit else ''}{' on' * is_chosen}")
        status = "submitting" if isinstance(row, Submitting) else row.status
        testid(self.element, "run-row", run=self._key, status=status)
        self.element.props["data-row"] = self._key
        self._box.set_visibility(not is_submit)
        self._box.props["aria-label"] = f"Select {plain(title_of(row))}"
        self._box.props["checked"] = is_chosen
        self._box.update()

    def _choose(self, event: GenericEventArguments) -> None:
        self._box.props["checked"] = bool(event.args)
        self._do.choose(self._key, bool(event.args))

    def _offer_stop(self, row: BoardRow) -> None:
        can_stop = isinstance(row, RunItem) and may_stop(row, self._session)
        if can_stop and self._stop is None:
            with self._acts:
                self._stop = ConfirmButton(
                    "Stop",
                    "Stop now?",
                    lambda: self._do.stop(self._key),
                    kind="small danger",
                    mark="row-stop",
                )
            self._stop.element.props(f'aria-label="Stop run {self._key[-6:]}"')
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


def key_of(row: BoardRow) -> str:
    """Return the key of a row: the run's id, or that of the submit."""
    return row.key if isinstance(row, Submitting) else row.id


def may_stop(run: RunItem, session: PageSession) -> bool:
    """Return True for a run that is not done and that this person may stop."""
    return run.phase is not Phase.DONE and session.may("stop", run.project_id)


def may_retry(run: RunItem, session: PageSession) -> bool:
    """Return True for a done and released run of a live project that this person may retry."""
    project = session.board.get(run.project_id)
    is_archived = project is not None and project.archived_at is not None
    is_over = run.phase is Phase.DONE and run.released_at is not None
    return is_over and not is_archived and session.may("retry", run.project_id)


def took_html(run: RunItem, session: PageSession) -> str:
    """Return how long a run has worked or worked in total; empty before its start."""
    if run.started_at is None:
        return ""
    if run.ended_at is None:
        return since_html(run.started_at, session.now())
    return text(clock_words((run.ended_at - run.started_at).total_seconds()))


def _run_cells(
    run: RunItem, word: str, refused: str, session: PageSession, *, is_dated: bool
) -> Cells:
    title = plain_html(title_of(run))
    link = f'<a class="whole clip" href="/runs/{text(run.id)}" title="{title}">{title}</a>'
    return [
        ("run", f"{link}{_number_html(run)}{_id_html(run)}"),
        ("project", plain_html(run.project_name)),
        ("agent", plain_html(agent_of(run))),
        ("status", _status_html(run, word, refused)),
        ("took", took_html(run, session)),
        ("cost", _cost_html(run)),
        ("when", _when_html(run, is_dated=is_dated)),
    ]


def _number_html(row: BoardRow) -> str:
    return f'<span class="no">#{row.issue}</span>' if row.issue else ""


def _id_html(run: RunItem) -> str:
    words = text(shorten(run.id))
    return (
        f'<button type="button" class="id" data-copy="{text(run.id)}" title="{text(run.id)}"'
        f' aria-label="Copy run id {text(run.id)}">{words}{icon("copy", kind="s")}</button>'
    )


def _status_html(run: RunItem, word: str, refused: str) -> str:
    if word:
        return f"{mark('running')}<b>{text(word)}</b>"
    beside = _reason_html(reason_of(run))
    label = f"<b>{text(look_of(run.status, run.cause).word)}</b>"
    full = plain(run.hold or run.because or "")
    again = ""
    if run.retried_by:
        again = f' <a class="again" href="/runs/{text(run.retried_by[-1])}">retried</a>'
    if refused:
        beside, full = _reason_html(refused, "no-go"), plain(refused)
    shown = f"{mark(MARKS[run.status])}{label}{beside}"
    return f'<span class="st-words" title="{text(full)}">{shown}</span>{again}'


def _reason_html(words: str, kind: str = "") -> str:
    return f'<span class="reason clip {kind}"> · {plain_html(words)}</span>' if words else ""


def _cost_html(run: RunItem) -> str:
    used = used_words(run.usage)
    if run.usage.cost_usd is not None:
        return f'<span title="{text(used)}">{text(cost_words(run.usage.cost_usd))}</span>'
    if run.phase is not Phase.DONE or run.started_at is None:
        return ""
    told = f"{used}, cost not reported" if tokens_of(run) is not None else "not reported"
    return f'<span title="{text(told)}">–</span>'


def _when_html(run: RunItem, *, is_dated: bool) -> str:
    """Return when a run ended, or else when it was created, or will start."""
    if run.status is Status.DELAYED and run.starts_at is not None:
        return f"starts {day_html(run.starts_at)}"
    at = run.ended_at or run.created_at
    return day_html(at) if is_dated else at_html(at)


def _submit_cells(row: Submitting) -> Cells:
    title = plain_html(title_of(row))
    cells: Cells = [
        ("run", f'<span class="clip">{title}</span>{_number_html(row)}'),
        ("project", plain_html(row.project_name)),
        ("agent", plain_html(agent_of(row))),
        ("status", f"{mark('waiting')}<b>Submitting…</b>{_reason_html(retry_words(row))}"),
        ("took", ""),
        ("cost", ""),
        ("when", "now"),
    ]
    return cells
