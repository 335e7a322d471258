"""The tabs Files, Checks and Runs of a change."""

from __future__ import annotations

import asyncio

from nicegui import ui

from app.api.schemas import RunCheck
from app.domain.words import CheckStatus
from app.pages.components.countdown import ago_html
from app.pages.components.icons import MARKS, mark
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.change_view import ChangeView
from app.pages.runs.checks import rounds_html
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import look_of
from app.state.review.change_words import run_facts, run_name

# of a check's output: its last lines say what failed
TAIL_BYTES = 4096
TAIL_LINES = 20
NO_CHECKS = (
    "No checks ran on this change. Give the project checks, and the next run is checked before"
    " delivery."
)


class ChecksTab:
    """The rounds of checks by run, newest first, each with its command and its last lines."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._view: ChangeView | None = None
        self._tails: dict[tuple[str, str, int], str] = {}
        self._has_loaded = False
        self._place = testid(ui.html("", sanitize=clean).classes("change-checks"), "change-checks")
        self.load = session.looker(self._read_tails, self._add_tails)

    def show(self, view: ChangeView) -> None:
        """Show the rounds."""
        self._view = view
        parts: list[str] = []
        for run in reversed(view.snapshot.runs):
            checks = view.snapshot.checks.get(run.id, [])
            if not checks:
                continue
            name = run_name(view.snapshot, run)
            parts.append(f'<h3><a href="/runs/{text(run.id)}">{text(name)}</a></h3>')
            for number in sorted({one.round for one in checks}, reverse=True):
                mine = [one for one in checks if one.round == number]
                tails = {one.name: self._tails.get((run.id, one.name, number), "") for one in mine}
                parts.append(rounds_html(run.id, checks, number, tails))
        self._place.set_content("".join(parts) or f'<p class="card none">{NO_CHECKS}</p>')
        if self._has_loaded and self._missing():
            self._session.start(self.load())

    async def _read_tails(self) -> dict[tuple[str, str, int], str]:
        self._has_loaded, wanted = True, self._missing()
        texts = await asyncio.gather(*(self._tail(run_id, one) for run_id, one in wanted))
        keys = [(run_id, one.name, one.round) for run_id, one in wanted]
        return dict(zip(keys, texts, strict=True))

    def _missing(self) -> list[tuple[str, RunCheck]]:
        """Return the checks, each with its run, whose output is shown and was not read yet."""
        snapshot = self._view.snapshot if self._view is not None else None
        checked = (
            [run.id for run in snapshot.runs if snapshot.checks.get(run.id)] if snapshot else []
        )
        # of earlier runs, only the output that says what failed
        return [
            (run_id, one)
            for run_id in checked
            for one in (snapshot.checks[run_id] if snapshot else ())
            if _has_words(one, with_passed=run_id == checked[-1])
            and (run_id, one.name, one.round) not in self._tails
        ]

    async def _tail(self, run_id: str, check: RunCheck) -> str:
        first, last = check.log_from or 0, check.log_to or 0
        begin = max(first, last - TAIL_BYTES)
        piece = await self._session.api.log(run_id, offset=begin, limit=last - begin)
        lines = piece.content.decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def _add_tails(self, found: dict[tuple[str, str, int], str]) -> None:
        self._tails |= found
        if found and self._view is not None:
            self.show(self._view)


def _has_words(check: RunCheck, *, with_passed: bool) -> bool:
    is_told = check.status is not CheckStatus.RUNNING and (
        with_passed or check.status is not CheckStatus.PASSED
    )
    return is_told and (check.log_to or 0) > (check.log_from or 0)


class RunsTab:
    """The runs that worked on the change, newest first."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._place = ui.html("", sanitize=clean).classes("list")

    def show(self, view: ChangeView) -> None:
        """Show the runs."""
        now, rows = self._session.now(), list[str]()
        for run in reversed(view.snapshot.runs):
            look = look_of(run.status, run.cause)
            name = run_name(view.snapshot, run)
            facts = " · ".join(one for one in (look.word, run_facts(run), run.because or "") if one)
            rows.append(
                f'<div class="item" data-testid="change-run" data-run="{text(run.id)}">'
                f'{mark(MARKS[run.status])}<div class="grow"><div>'
                f'<a href="/runs/{text(run.id)}">{text(name)}</a></div>'
                f'<div class="sub">{plain_html(facts)}</div></div>'
                f'<span class="sub">{ago_html(run.created_at, now)}</span></div>'
            )
        self._place.set_content("".join(rows))
        self._place.set_visibility(bool(rows))
