"""A Runyard with notifications over a fake world and a clock that can be set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmodel import select

from app.domain.end_causes import ExitReason
from app.domain.notifications import Message
from app.domain.words import Status
from app.records.batches.batch_ledger import list_items
from app.records.tables import Batch, Notification, Project, Run
from tests.builders.batches import a_batch
from tests.fakes.planes import FakePlane
from tests.fakes.receivers import SECRET, FakeNotifier
from tests.fakes.world import World

PHONE, DESK = f"mem://phone/{SECRET}", f"mem://desk/{SECRET}"
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 3, 10, 23, 0, tzinfo=UTC)
MORNING = datetime(2026, 3, 11, 7, 0, tzinfo=UTC)
HOURS = {"quiet_hours": "22:00-07:00", "notify_zone": "UTC"}


class Telling:
    """A plane with scripted agents, and the notifications sent by it."""

    def __init__(self, folder: Path, at: datetime | None, **settings: Any) -> None:
        self.world = World()
        self.notifier = FakeNotifier()
        self.plane = FakePlane(folder, self.world, notifier=self.notifier, **settings)
        if at is not None:
            self.set_clock(at)

    def set_clock(self, at: datetime) -> None:
        """Set the clock and send notifications that are due."""
        self.plane.clock.now = at.astimezone(UTC)
        self.go_round()

    def go_round(self) -> None:
        """Send notifications that are due."""
        self.plane.services.notifications.request()
        self.plane.rest()

    def project(self, **settings: Any) -> Project:
        """Add a project in state ready."""
        return self.plane.add_project(self.world, **settings)

    def run(
        self,
        project: Project,
        *,
        code: int = 0,
        commits: bool = True,
        reason: ExitReason = ExitReason.EXITED,
        **columns: Any,
    ) -> Run:
        """Run a new issue from start to end; `columns` are written to its row before the end."""
        plane = self.plane
        number = plane.add_issue(project)
        run = plane.services.afk.start(project.id, number, plane.requester(), plane.clock()).run
        plane.rest()
        if columns:
            plane.ledgers.runs.update_fields(run.id, project.id, **columns)
        if commits:
            self.world.commit(run.id)
        self.world.end(run.id, code, reason=reason)
        plane.reaper.reap_once(run.id)
        plane.rest()
        found = plane.ledgers.runs.find(run.id)
        assert found is not None
        return found

    def batch(self, *, codes: Sequence[int]) -> Batch:
        """Run a batch in a new project; its agents end with `codes`, in order."""
        plane, left = self.plane, list(codes)
        batch = a_batch(plane, self.project(), len(codes))
        for _ in range(10 * len(codes)):
            for run in list_items(plane.stores, batch.id, limit=100).items:
                if left and run[1].status == Status.RUNNING:
                    self._end(run[1].id, left.pop(0))
            plane.tick()
        self.go_round()
        return batch

    def _end(self, run_id: str, code: int) -> None:
        self.plane.ledgers.runs.update_usage(run_id, cost_usd=0.25)
        if code == 0:
            self.world.commit(run_id)
        self.world.end(run_id, code)
        self.plane.reaper.reap_once(run_id)
        self.plane.rest()

    def taken(self, receiver: str = PHONE) -> list[Message]:
        """Return the messages a receiver got, oldest first."""
        return self.notifier.taken.get(receiver, [])

    def titles(self, receiver: str = PHONE) -> list[str]:
        """Return the titles of the messages a receiver got, oldest first."""
        return [message.title for message in self.taken(receiver)]

    def rows(self) -> list[Notification]:
        """Return all notification rows, oldest first."""
        found: list[Notification] = []
        for database in self.plane.stores.all():
            with database.reading() as session:
                found += session.exec(select(Notification)).all()
        return sorted(found, key=lambda row: (row.created_at, row.id))

    def states(self) -> list[tuple[str, str]]:
        """Return the kind and state of each notification."""
        return [(row.kind, row.state) for row in self.rows()]


@contextmanager
def telling(
    folder: Path, *receivers: str, at: datetime | None = None, **settings: Any
) -> Iterator[Telling]:
    """Yield a `Telling` for the length of a test; without receivers it notifies PHONE."""
    named = " ".join(receivers or (PHONE,))
    yard = Telling(folder, at, notify_urls=named, **settings)
    try:
        yield yard
    finally:
        yard.plane.rest()
        yard.plane.stop()
