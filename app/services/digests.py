"""Digests: one message for a night or a day, written once it is over."""

from __future__ import annotations

from datetime import datetime

from app.domain.notices import DIGEST_RUNS, Digest, Kind, Outcome, Told
from app.domain.timetable import Window
from app.records.ended_runs import EndedRuns
from app.records.notice_ledger import NoticeLedger
from app.records.tables import Notification
from app.services.notices import NoticeRules, Notices
from app.services.outcomes import outcomes_of


class Digests:
    """Writes the digest that is due, once for each receiver."""

    def __init__(
        self, ledger: NoticeLedger, ended: EndedRuns, notices: Notices, rules: NoticeRules
    ) -> None:
        self._ledger = ledger
        self._ended = ended
        self._notices = notices
        self._rules = rules

    def write_once(self, now: datetime) -> int:
        """Write what is due and not yet written; to how many receivers."""
        window = self._rules.timetable.last_window(now)
        if window is None or Kind.DIGEST not in self._rules.kinds:
            return 0
        key = f"digest:{window.end.isoformat()}"
        lacking = [one for one in self._rules.marks if not self._ledger.has(key, one)]
        return sum(self._write(key, receiver, window, now) for receiver in lacking)

    def _write(self, key: str, receiver: str, window: Window, now: datetime) -> bool:
        rows = self._gathered(receiver, window)
        digest = self._sum_up(window, [_line_of(row) for row in rows if _is_own_line(row)])
        if digest.is_empty and not rows:
            return False
        ids = [row.id for row in rows]
        self._ledger.add_digest(key, receiver, digest.as_data(), ids, now)
        return True

    def _gathered(self, receiver: str, window: Window) -> list[Notification]:
        # without quiet hours nothing was kept back for a digest
        if self._rules.timetable.quiet is None:
            return []
        return self._ledger.waiting(receiver, window.end)

    def _sum_up(self, window: Window, kept: list[Told]) -> Digest:
        outcomes = outcomes_of(self._ended.sums(window.begin, window.end))
        counts = outcomes.counts
        ended = counts.total()
        counts[Outcome.HELD] += self._ended.count_held()
        runs = self._ended.newest(window.begin, window.end, limit=DIGEST_RUNS)
        lines = (*kept, *(self._notices.line_of(run) for run in runs))[:DIGEST_RUNS]
        return Digest(counts, outcomes.cost_usd, lines, more=len(kept) + ended - len(lines))


def _line_of(row: Notification) -> Told:
    # of a batch that ended meanwhile one line is enough: its runs are among those that ended
    return Told(**(row.about["told"] if row.kind == Kind.DIGEST else row.about))


def _is_own_line(row: Notification) -> bool:
    # what was delivered or failed is among the runs that ended
    return row.kind not in (Kind.DELIVERED, Kind.FAILED)
