"""The feed: what changed, told once it is committed, in one order for everybody."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.records.tables import Run

log = logging.getLogger(__name__)


REMEMBERED = 4096


@dataclass(frozen=True)
class RunChanged:
    """A run's row changed."""

    run_id: str
    project_id: str


@dataclass(frozen=True)
class RunTold:
    """A line was added to a run's timeline."""

    run_id: str
    event_id: int


@dataclass(frozen=True)
class LogGrew:
    """A run's agent wrote something."""

    run_id: str


@dataclass(frozen=True)
class RunReported:
    """A run's agent reported more of its work."""

    run_id: str


@dataclass(frozen=True)
class BulkChanged:
    """An order for many runs came further, waits for something else, or ended."""

    bulk_id: str


@dataclass(frozen=True)
class ProjectChanged:
    """A project, its issues or its figures changed."""

    project_id: str


@dataclass(frozen=True)
class ProjectNamed:
    """A project was made, or has another name."""

    project_id: str


@dataclass(frozen=True)
class QuotaChanged:
    """A person's window of runs changed."""

    person_id: str


@dataclass(frozen=True)
class SweepWanted:
    """A server that may not sweep wants one of the server that does; `whole`: with every look."""

    whole: bool


@dataclass(frozen=True)
class NoticeWritten:
    """There is something to send to people."""


@dataclass(frozen=True)
class FindingsChanged:
    """Doctor saw something else than before."""


@dataclass(frozen=True)
class StuckChanged:
    """Something was left to a person, or is not any more."""


@dataclass(frozen=True)
class StoresChanged:
    """Whether the databases can be written to; `trouble` is a sentence, empty where they can."""

    trouble: str


@dataclass(frozen=True)
class FeedBroke:
    """Changes of other servers were not heard for a while: everybody looks again."""


# told often, or to no page, and a snapshot holds all that they said
FLEETING = (
    *(LogGrew, RunReported, BulkChanged, NoticeWritten),
    *(ProjectNamed, SweepWanted, FeedBroke),
)
Change = (
    RunChanged
    | RunTold
    | LogGrew
    | RunReported
    | BulkChanged
    | ProjectChanged
    | ProjectNamed
    | QuotaChanged
    | FindingsChanged
    | StuckChanged
    | NoticeWritten
    | SweepWanted
    | StoresChanged
    | FeedBroke
)


@dataclass(frozen=True)
class Numbered:
    """A change with its place in the order; numbers begin anew with each server start."""

    number: int
    change: Change


Listener = Callable[[Numbered], None]


class Feed:
    """Listeners hear every change once; late ones can ask for what they missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._recent: deque[Numbered] = deque(maxlen=REMEMBERED)
        self._listeners: tuple[Listener, ...] = ()

    def publish(self, changes: Iterable[Change]) -> None:
        """Tell every listener; called after the commit, from any thread."""
        with self._lock:
            numbered = [Numbered(next(self._numbers), change) for change in changes]
            if any(isinstance(one.change, FeedBroke) for one in numbered):
                self._recent.clear()
            self._recent.extend(one for one in numbered if not isinstance(one.change, FLEETING))
            listeners = self._listeners
            for one in numbered:
                for listener in listeners:
                    _tell(listener, one)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear every change from now on; the answer ends it. Listeners must return at once."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return lambda: self._drop(listener)

    def since(self, number: int) -> list[Numbered] | None:
        """What came after `number`, or None where that is no longer remembered."""
        with self._lock:
            newest = self._recent[-1].number if self._recent else 0
            oldest = self._recent[0].number if self._recent else 1
            if number > newest or number < oldest - 1:
                return None
            return [one for one in self._recent if one.number > number]

    @property
    def newest(self) -> int:
        """The number of the last remembered change, 0 before the first."""
        with self._lock:
            return self._recent[-1].number if self._recent else 0

    def _drop(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one is not listener)


def _tell(listener: Listener, one: Numbered) -> None:
    # the change is committed already: a listener's own failure must not look like its refusal
    try:
        listener(one)
    except Exception:
        log.exception("a listener of the feed failed")


@dataclass(frozen=True)
class RunEnded:
    """A run has come to its end, in whatever state; its work may be parked at once."""

    run: Run


@dataclass(frozen=True)
class WorkParked:
    """A run that had ended left something that is kept until somebody decides.

    `holds_work` is False where nothing but its branch is kept.
    """

    run: Run
    holds_work: bool


@dataclass(frozen=True)
class NothingKept:
    """A run that had ended is released, and has left nothing."""

    run: Run


@dataclass(frozen=True)
class ProjectPaused:
    """A project's failures have reached the number that pauses its loop."""

    project_id: str
    because: str


@dataclass(frozen=True)
class ProjectBroke:
    """A project's repository could not be cloned."""

    project_id: str
    because: str


@dataclass(frozen=True)
class PersonNeeded:
    """Nothing goes on here until a person decides; told once for each `key`."""

    key: str
    project_id: str
    what: str
    because: str
    path: str


@dataclass(frozen=True)
class BatchEnded:
    """The last of a batch's runs has come to its end."""

    batch_id: str
    project_id: str
    run_count: int


Happening = (
    RunEnded | WorkParked | NothingKept | ProjectPaused | ProjectBroke | PersonNeeded | BatchEnded
)
