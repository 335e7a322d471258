"""What fails by a fault of ours is tried five times, then left to a person (stores.md)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from app.errors import NotFound, Refusal
from app.records.database.database import DatabaseSilent
from app.records.runs.quarantine_ledger import QuarantineLedger, Subject
from app.records.tables import Run, Stuck
from app.services.ports import CannotRead, CountersSilent, ForgeSilent, NotTaken, OriginProblem

log = logging.getLogger(__name__)
_T = TypeVar("_T")
Passed = type[Exception] | tuple[type[Exception], ...]
# the world did not answer: nothing is known of the row, and nothing is counted
SILENCE = (
    *(DatabaseSilent, CannotRead, OriginProblem, ForgeSilent, CountersSilent, NotTaken),
    *(OSError, MemoryError),
)
# of what a database may say, what a statement of ours got wrong
OUR_STATEMENT = (IntegrityError, DataError, ProgrammingError)
LONGEST_REASON = 500


def is_undecided(problem: Exception) -> bool:
    """True where an outside thing is the reason: the row stays as it is, and is tried again."""
    if isinstance(problem, Refusal):
        return problem.status >= 500
    if isinstance(problem, DBAPIError):
        return not isinstance(problem, OUR_STATEMENT)
    return isinstance(problem, SILENCE)


def of_run(duty: str, run: Run) -> Subject:
    """A duty that is done for a run."""
    return Subject(duty, run.id, run.id, run.project_id, run.id)


class Quarantine:
    """Counts the tries of every row, over restarts and servers, and keeps who fails apart."""

    def __init__(
        self, ledger: QuarantineLedger, version: str, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._version = version
        self._clock = clock
        self._lock = threading.Lock()
        # as read by the last sweep, and changed by this server since: key to whether it is held
        self._known: dict[str, bool] = {}
        self._on_free: list[Callable[[str], None]] = []

    # --- the duties ----------------------------------------------------------------------------

    def guard(self, subject: Subject, duty: Callable[[], _T], *, but: Passed = ()) -> _T | None:
        """Do a duty, if its row is not held; None where it failed or, as a duty may say, waits.

        What `but` names is raised: whoever calls knows what it means for the others.
        """
        if self.is_held(subject.key):
            return None
        try:
            answer = duty()
        except but:
            raise
        except Exception as problem:
            log.exception("%s could not be done", subject.key)
            self.count(subject, problem)
            return None
        if answer is not None:
            self.drop(subject.key)
        return answer

    def count(self, subject: Subject, problem: Exception) -> bool:
        """Count a failure that is a fault of ours; True where the row is held from now on."""
        if is_undecided(problem):
            return False
        because = f"{type(problem).__name__}: {problem}"[:LONGEST_REASON]
        try:
            known = self._ledger.count(subject, because, self._version, self._clock())
        except DatabaseSilent as silence:
            log.warning("a failure of %s was not counted: %s", subject.key, silence)
            return False
        is_held = known.held_at is not None
        with self._lock:
            self._known[subject.key] = is_held
        if is_held:
            log.error("%s is left to a person: %s", subject.key, because)
        return is_held

    def is_held(self, key: str) -> bool:
        """True where nobody tries any more."""
        with self._lock:
            return self._known.get(key, False)

    def ids_held(self, duty: str) -> list[str]:
        """The rows for which one duty is held."""
        begin = f"{duty}."
        with self._lock:
            held = [key for key, is_held in self._known.items() if is_held]
        return [key.removeprefix(begin) for key in held if key.startswith(begin)]

    # --- what is in it -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Learn what other servers and people changed. Raises DatabaseSilent."""
        known = {one.key: one.held_at is not None for one in self._ledger.all()}
        if known:
            self._ledger.drop_over()
        with self._lock:
            self._known = known

    def begin(self) -> None:
        """At a start: whatever was held is tried anew."""
        if count := self._ledger.try_anew(self._version):
            log.info("%s rows that could not be gone on with are tried anew", count)
        self.refresh()

    def known(self) -> list[Stuck]:
        """Whatever has failed, held or still tried, oldest first."""
        return self._ledger.all()

    def held(self, project_id: str | None = None) -> list[Stuck]:
        """What waits for a person, oldest first."""
        return [one for one in self._ledger.all(project_id) if one.held_at is not None]

    def try_again(self, key: str) -> Stuck:
        """Let a row be tried anew, at a person's word. Raises NotFound, DatabaseSilent."""
        known = self._ledger.forget(key, only_held=True)
        if known is None:
            raise NotFound("Nothing of this name waits for a person.")
        self._let_go(key)
        for tell in self._on_free:
            tell(key)
        return known

    def drop(self, key: str) -> None:
        """Forget that a row has failed, if it has: it has come to its end."""
        if key not in self._known:
            return
        with suppress(DatabaseSilent):
            self._ledger.forget(key)
            self._let_go(key)

    def on_free(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the key of each row that a person lets be tried again."""
        self._on_free.append(tell)

    def _let_go(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)
