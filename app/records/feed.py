"""The feed: changes in one order, published to all listeners after the commit."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from app.records.tables import Run, RunEvent

log = structlog.get_logger()


REMEMBERED = 4096


@dataclass(frozen=True)
class RunChanged:
    """A run's row changed."""

    run_id: str
    project_id: str


@dataclass(frozen=True)
class RunEventAppended:
    """A line was added to a run's timeline.

    `event` is that line if it was added on this server and is known to be committed.
    """

    run_id: str
    event_id: int
    event: RunEvent | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class LogGrew:
    """A run's log grew."""

    run_id: str


@dataclass(frozen=True)
class RunReported:
    """A run's agent reported more of its work."""

    run_id: str


@dataclass(frozen=True)
class BulkChanged:
    """A bulk action made progress, has a new hold, or ended."""

    bulk_id: str


@dataclass(frozen=True)
class ProjectChanged:
    """A project, its issues or its figures changed."""

    project_id: str


@dataclass(frozen=True)
class ProjectNamed:
    """A project was created, renamed or unarchived."""

    project_id: str


@dataclass(frozen=True)
class QuotaChanged:
    """A person's quota changed; with an empty `person_id` perhaps everybody's."""

    person_id: str


@dataclass(frozen=True)
class RunAccepted:
    """A run was accepted here; it may start at `starts_at` (UTC), None: as soon as there is room.

    Batch items are not announced one by one: see BatchSealed.
    """

    run_id: str
    starts_at: datetime | None


@dataclass(frozen=True)
class StartMoved:
    """A waiting run got another start here: `starts_at` (UTC), None: as soon as there is room."""

    run_id: str
    starts_at: datetime | None


@dataclass(frozen=True)
class BatchSealed:
    """A batch has all its items here, so they may start."""

    batch_id: str


@dataclass(frozen=True)
class ObstacleRemoved:
    """Something that kept runs from starting is gone.

    For example, a branch was released, a change merged, or a project became ready.
    """


@dataclass(frozen=True)
class ChangeDelivered:
    """A change request was opened, or got more commits."""

    project_id: str


@dataclass(frozen=True)
class SweepWanted:
    """A server that does not hold the sweep asks the one that does for a sweep.

    `whole` asks for one with all checks.
    """

    whole: bool


@dataclass(frozen=True)
class NoticeWritten:
    """A notification was written, or is due again."""


@dataclass(frozen=True)
class FindingsChanged:
    """Doctor's findings changed."""


@dataclass(frozen=True)
class ForgesChanged:
    """A forge was added, changed or removed, or its token was refused."""


@dataclass(frozen=True)
class StuckChanged:
    """The quarantine changed."""


@dataclass(frozen=True)
class SubscriptionsChanged:
    """A person chose other notifications."""

    person_id: str


@dataclass(frozen=True)
class PeopleChanged:
    """A person's roles, sessions or tokens changed; `person_id` is empty for an organisation."""

    person_id: str


@dataclass(frozen=True)
class RunTokensChanged:
    """A run's agent got a token, or old ones were forgotten."""


@dataclass(frozen=True)
class DevicesChanged:
    """A device that gets a person's notifications was added or removed, or takes them again."""

    person_id: str


@dataclass(frozen=True)
class ItemsRead:
    """A person read an item of the inbox; `item_id` is empty for several at once."""

    person_id: str
    item_id: str


@dataclass(frozen=True)
class StoresChanged:
    """The databases became writable or not; `trouble` is a sentence, empty if they are writable."""

    trouble: str


@dataclass(frozen=True)
class FeedBroke:
    """Changes of other servers may have been missed: every listener must reload."""


# not remembered: frequent, or for no page, and a snapshot contains what they announced
FLEETING = (
    *(RunEventAppended, LogGrew, RunReported, BulkChanged, NoticeWritten),
    *(ProjectNamed, SweepWanted, FeedBroke, SubscriptionsChanged, ItemsRead, ForgesChanged),
    PeopleChanged,
    *(RunAccepted, StartMoved, BatchSealed, ObstacleRemoved, ChangeDelivered),
    *(DevicesChanged, RunTokensChanged),
)
Change = (
    RunChanged
    | RunEventAppended
    | LogGrew
    | RunReported
    | BulkChanged
    | ProjectChanged
    | ProjectNamed
    | QuotaChanged
    | FindingsChanged
    | ForgesChanged
    | StuckChanged
    | NoticeWritten
    | RunAccepted
    | StartMoved
    | BatchSealed
    | ObstacleRemoved
    | ChangeDelivered
    | SweepWanted
    | SubscriptionsChanged
    | DevicesChanged
    | RunTokensChanged
    | ItemsRead
    | PeopleChanged
    | StoresChanged
    | FeedBroke
)


def without_rows(changes: Iterable[Change]) -> list[Change]:
    """Return changes that carry no row, for a commit that may have failed."""
    return [
        replace(one, event=None) if isinstance(one, RunEventAppended) else one for one in changes
    ]


@dataclass(frozen=True)
class Numbered:
    """A change with its number in the order; numbering restarts with the server."""

    number: int
    change: Change


Listener = Callable[[Numbered], None]
# a listener, the kinds of changes and the projects that it listens to (None: all)
_Subscription = tuple[Listener, type | tuple[type, ...], Container[str] | None]


class Feed:
    """Delivers every change to each listener once, and keeps recent ones for late listeners."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._recent: deque[Numbered] = deque(maxlen=REMEMBERED)
        self._listeners: tuple[_Subscription, ...] = ()

    def publish(self, changes: Iterable[Change]) -> None:
        """Pass changes to every listener; call after the commit, from any thread."""
        with self._lock:
            numbered = [Numbered(next(self._numbers), change) for change in changes]
            if any(isinstance(one.change, FeedBroke) for one in numbered):
                self._recent.clear()
            self._recent.extend(one for one in numbered if not isinstance(one.change, FLEETING))
            listeners = self._listeners
            for one in numbered:
                for listener, kinds, projects in listeners:
                    if isinstance(one.change, kinds) and (
                        projects is None or getattr(one.change, "project_id", "") in projects
                    ):
                        _notify(listener, one)

    def subscribe(
        self,
        listener: Listener,
        kinds: type | tuple[type, ...] = object,
        *,
        projects: Container[str] | None = None,
    ) -> Callable[[], None]:
        """Register a listener for changes of these kinds; return a function that removes it.

        With `projects` it gets changes only of those that are in there at that moment. Listeners
        must return at once.
        """
        with self._lock:
            self._listeners = (*self._listeners, (listener, kinds, projects))
        return lambda: self._drop(listener)

    def since(self, number: int) -> list[Numbered] | None:
        """Return the changes after `number`, or None if they are no longer remembered."""
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
            self._listeners = tuple(one for one in self._listeners if one[0] is not listener)


def _notify(listener: Listener, one: Numbered) -> None:
    # the change is committed: a listener's error must not look like the change's failure
    try:
        listener(one)
    except Exception:
        log.exception("feed_listener_failed")


@dataclass(frozen=True)
class RunEnded:
    """A run ended, in any status; its work may be parked right after."""

    run: Run


@dataclass(frozen=True)
class WorkParked:
    """An ended run left work or a branch that is kept until a person decides.

    `holds_work` is False if only its branch is kept.
    """

    run: Run
    holds_work: bool


@dataclass(frozen=True)
class NothingKept:
    """An ended run was released and left nothing."""

    run: Run


@dataclass(frozen=True)
class ProjectPaused:
    """A project's strikes reached the number that pauses its auto runs."""

    project_id: str
    because: str


@dataclass(frozen=True)
class ProjectBroke:
    """A project's repository could not be cloned."""

    project_id: str
    because: str


@dataclass(frozen=True)
class PersonNeeded:
    """A person must decide before this can continue; notified once for each `key`."""

    key: str
    project_id: str
    what: str
    because: str
    path: str


@dataclass(frozen=True)
class BatchEnded:
    """The last run of a batch has ended."""

    batch_id: str
    project_id: str
    run_count: int


Happening = (
    RunEnded | WorkParked | NothingKept | ProjectPaused | ProjectBroke | PersonNeeded | BatchEnded
)
