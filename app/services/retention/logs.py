"""Retention of ended runs' logs, by age and total size; also starts the other retention rounds.

Rows stay forever, and so does work that is not merged: see CopyRetention.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.domain.formatting import size_words
from app.records.runs.selections import over_and_done
from app.records.tables import Run
from app.services.context import Context
from app.services.ports.processes import RunFolder
from app.services.retention.empty_branches import EmptyBranches
from app.services.retention.policy import (
    SOON,
    PendingRemoval,
    RemovalNotices,
    Removed,
    Terms,
    are_due,
    next_to_go,
)
from app.services.retention.unsent_comments import UnsentComments
from app.services.retention.working_copies import CopyRetention
from app.services.system.ownership import Leases

log = structlog.get_logger()
LOG = Removed("log_removed", "log")
AT_ONCE = 200  # logs removed per round
LOOK = 500  # rows read per statement
SHOWN = 20
FRESH = timedelta(minutes=1)


@dataclass(frozen=True)
class LogUsage:
    """Logs that are kept, and those to be removed, each after being shown for an hour.

    `next_at` is when the oldest log that stays for now reaches the age limit (UTC).
    """

    terms: Terms
    kept_runs: int
    kept_bytes: int
    leaving: tuple[PendingRemoval, ...]
    next_at: datetime | None
    looked_at: datetime

    @property
    def leaving_bytes(self) -> int:
        """Bytes to be removed."""
        return sum(one.bytes for one in self.leaving)


class LogRetention:
    """Shows which logs are to be removed, and removes them an hour later.

    `copies` does the same for working copies; `branches` releases parked branches that hold
    nothing; `comments` removes those that were never sent.
    """

    def __init__(
        self,
        context: Context,
        leases: Leases,
        copies: CopyRetention,
        branches: EmptyBranches,
        comments: UnsentComments,
        terms: Terms,
    ) -> None:
        self._runs = context.ledgers.runs
        self._folders = context.adapters.run_folders
        self.copies = copies
        self.branches = branches
        self.comments = comments
        self._terms = terms
        self._workers = context.workers
        self._clock = context.clock
        self._may_act = leases.may_sweep
        self._again_at = partial(context.call_at, name="retention")
        self._seen: LogUsage | None = None
        self._notices = RemovalNotices()
        self._looking = threading.Lock()

    def request(self) -> None:
        """Request a round of logs, copies, branches and comments on workers soon."""
        self._request_own()
        self.copies.request()
        self.branches.request()
        self.comments.request()

    def _request_own(self) -> None:
        self._workers.submit(lambda: self.clear_once(self._clock()))

    def usage(self, now: datetime) -> LogUsage:
        """Return what is kept and what is removed next, at most a minute old. Raises OSError."""
        with self._looking:
            seen = self._seen
            if seen is None or abs(now - seen.looked_at) >= FRESH:
                seen = self._seen = self._inspect(now)
                # do not postpone a round that is due already
                self._come_again(seen, now + SOON if are_due(seen.leaving, now) else None)
            return seen

    def removal_words(self) -> str:
        """Describe what will be removed and from when, as of the last check; empty if nothing."""
        logs = self._seen.leaving if self._seen else ()
        copies = self.copies.usage().leaving
        moments = [one.goes_at for one in (*logs, *copies) if one.goes_at]
        if not moments:
            return ""
        told = [
            f"{len(some)} {name if len(some) == 1 else names}, "
            f"{size_words(sum(one.bytes for one in some))}"
            for name, names, some in (("log", "logs", logs), ("copy", "copies", copies))
            if some
        ]
        return f"to go from {min(moments):%d %B %H:%M} UTC on: {' and '.join(told)}"

    def clear_once(self, now: datetime) -> int:
        """Remove due logs, oldest first, at most `AT_ONCE`. Return how many."""
        with self._looking:
            self._seen = seen = self._inspect(now)
            due = are_due(seen.leaving, now) if self._may_act(now) else []
            gone = {one.run_id for one in due[:AT_ONCE] if self._remove(one, now)}
            if gone:
                self._seen = self._inspect(now)
        has_more = bool(gone) and len(due) > AT_ONCE
        self._come_again(seen, now + SOON if has_more else None)
        return len(gone)

    def _come_again(self, seen: LogUsage, soon: datetime | None) -> None:
        moment = soon or next_to_go(seen.leaving, seen.looked_at)
        if moment is not None:
            self._again_at(moment, self._request_own)

    def _inspect(self, now: datetime) -> LogUsage:
        folders = sorted(self._folders.all(), key=lambda one: (one.written_at, one.run_id))
        kept = sum(one.bytes for one in folders)
        leaving, oldest = self._leaving(folders, kept, now)
        next_at = self._terms.comes_of_age(oldest)
        shown = self._notices.show(leaving, now)
        return LogUsage(self._terms, len(folders), kept, shown, next_at, now)

    def _leaving(
        self, folders: list[RunFolder], kept: int, now: datetime
    ) -> tuple[tuple[PendingRemoval, ...], datetime | None]:
        """Return the logs to be removed, and the end of the oldest run whose log stays for now."""
        days = self._terms.keep_days
        leaving: list[PendingRemoval] = []
        oldest: datetime | None = None
        for folder, run in self._over(folders):
            ended = run.ended_at or run.created_at
            because = self._terms.verdict(ended, kept, now)
            if because is None:
                oldest = min(oldest or ended, ended)
                if not days or folder.written_at > now - timedelta(days=days):
                    break
                continue  # its agent backdated the folder
            leaving.append(PendingRemoval(run.id, ended, folder.bytes, because))
            kept -= folder.bytes
        return tuple(leaving), oldest

    def _over(self, folders: list[RunFolder]) -> Iterator[tuple[RunFolder, Run]]:
        """Yield folders of ended runs with their rows, read lazily, `LOOK` at a time."""
        for start in range(0, len(folders), LOOK):
            some = folders[start : start + LOOK]
            runs = over_and_done(self._runs.stores, [one.run_id for one in some])
            yield from ((one, runs[one.run_id]) for one in some if one.run_id in runs)

    def _remove(self, one: PendingRemoval, now: datetime) -> bool:
        # read again: a person may have retried or resumed it since
        if one.run_id not in over_and_done(self._runs.stores, [one.run_id]):
            return False
        LOG.say(self._runs, self._terms, one, now)
        try:
            self._folders.remove(one.run_id)
        except OSError as problem:
            log.warning("run_log_not_removed", run_id=one.run_id, because=problem)
            return False
        return True
