"""Quarantine: a row that fails by our own fault five times is left to a person (stores.md)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlmodel import Session

from app.errors import NotFound, Refusal
from app.records.database.database import DatabaseSilent
from app.records.runs.quarantine_ledger import QuarantineLedger, Subject
from app.records.tables import Run, Stuck
from app.services.ports import CannotRead, CountersSilent, ForgeSilent, NotTaken, OriginProblem

log = structlog.get_logger()
_T = TypeVar("_T")
Passed = type[Exception] | tuple[type[Exception], ...]
# no answer from outside: this says nothing about the row and is not counted
SILENCE = (
    *(DatabaseSilent, CannotRead, OriginProblem, ForgeSilent, CountersSilent, NotTaken),
    *(OSError, MemoryError),
)
# database errors that a statement of ours caused
OUR_STATEMENT = (IntegrityError, DataError, ProgrammingError)
LONGEST_REASON = 500


def is_undecided(problem: Exception) -> bool:
    """Return True if the cause is outside Runyard: the row stays as it is and is tried again."""
    if isinstance(problem, Refusal):
        return problem.status >= 500
    if isinstance(problem, DBAPIError):
        return not isinstance(problem, OUR_STATEMENT)
    return isinstance(problem, SILENCE)


def of_run(duty: str, run: Run) -> Subject:
    """Return the subject of a duty done for a run."""
    return Subject(duty, run.id, run.id, run.project_id, run.id)


class Quarantine:
    """Counts failed tries per row, across restarts and servers, and holds the persistent ones."""

    def __init__(
        self, ledger: QuarantineLedger, version: str, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._version = version
        self._clock = clock
        self._lock = threading.Lock()
        # key -> is held, as read by the last sweep and updated by this server since
        self._known: dict[str, bool] = {}
        self._on_free: list[Callable[[str], None]] = []

    # --- duties --------------------------------------------------------------------------------

    def guard(self, subject: Subject, duty: Callable[[], _T], *, but: Passed = ()) -> _T | None:
        """Do a duty unless its row is held. Return its answer, None if held or failed.

        A duty may return None itself, to wait without clearing its failures. Exceptions of types
        `but` are raised: the caller knows what they mean for other rows.
        """
        if self.is_any_known() and self.is_held(subject.key):
            return None
        try:
            answer = duty()
        except but:
            raise
        except Exception as problem:
            log.exception("row_failed", subject=subject.key)
            self.count(subject, problem)
            return None
        if answer is not None and self.is_any_known():
            self.drop(subject.key)
        return answer

    def count(self, subject: Subject, problem: Exception) -> bool:
        """Count a failure by our own fault. Return True if the row is held from now on."""
        if is_undecided(problem):
            return False
        because = f"{type(problem).__name__}: {problem}"[:LONGEST_REASON]
        try:
            known = self._ledger.count(subject, because, self._version, self._clock())
        except DatabaseSilent as silence:
            log.warning("failure_not_counted", subject=subject.key, because=silence)
            return False
        is_held = known.held_at is not None
        with self._lock:
            self._known[subject.key] = is_held
        if is_held:
            log.error("row_quarantined", subject=subject.key, because=because)
        return is_held

    def is_held(self, key: str) -> bool:
        """Return True if the row is held and no longer tried."""
        with self._lock:
            return self._known.get(key, False)

    def is_any_known(self) -> bool:
        """Return True if a failed row was known at the last sweep, or has failed here since."""
        with self._lock:
            return bool(self._known)

    def ids_held(self, duty: str) -> list[str]:
        """Return the ids of the rows for which a duty is held."""
        begin = f"{duty}."
        with self._lock:
            held = [key for key, is_held in self._known.items() if is_held]
        return [key.removeprefix(begin) for key in held if key.startswith(begin)]

    # --- contents ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the changes of other servers and people. Raises DatabaseSilent."""
        known = {one.key: one.held_at is not None for one in self._ledger.all()}
        if known:
            self._ledger.drop_over()
        with self._lock:
            self._known = known

    def begin(self) -> None:
        """Give held rows another try at a start: one, or five if another version held them."""
        if count := self._ledger.try_anew(self._version):
            log.info("quarantine_tried_again", count=count)
        self.refresh()

    def known(self) -> list[Stuck]:
        """Return every row that has failed, held or still tried, oldest first."""
        return self._ledger.all()

    def held(self, project_id: str | None = None, session: Session | None = None) -> list[Stuck]:
        """Return the held rows, which wait for a person, oldest first.

        Reads through `session` if given.
        """
        return [one for one in self._ledger.all(project_id, session) if one.held_at is not None]

    def try_again(self, key: str) -> Stuck:
        """Release a held row at a person's request. Raises NotFound, DatabaseSilent."""
        known = self._ledger.forget(key, only_held=True)
        if known is None:
            raise NotFound("Nothing with this name is stuck.")
        self._let_go(key)
        for on_free in self._on_free:
            on_free(key)
        return known

    def drop(self, key: str) -> None:
        """Forget a row's failures, if any: its duty is done."""
        if key not in self._known:
            return
        with suppress(DatabaseSilent):
            self._ledger.forget(key)
            self._let_go(key)

    def on_free(self, on_free: Callable[[str], None]) -> None:
        """Call `on_free` with the key of each row that a person releases."""
        self._on_free.append(on_free)

    def _let_go(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)
