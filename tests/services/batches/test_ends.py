"""Batches start or end correctly despite crashes and races with their sender or a stop."""

from __future__ import annotations

import logging
from datetime import datetime

import pytest

from app.domain.words import Depth
from app.errors import AlreadyEnded
from app.failpoints import FailpointHit
from app.records.batches.batch_ledger import BatchLedger, list_items
from app.records.database.database import Database, DatabaseSilent
from app.records.tables import Batch, Project, Run
from app.services.batches.filling import Item
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.builders.two_stores import Planes
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


def items(plane: FakePlane, batch: Batch) -> list[Run]:
    ledger = BatchLedger(plane.stores)
    return [run for _, run in list_items(ledger.stores, batch.id, limit=1000).items]


def told(plane: FakePlane, batch: Batch) -> set[tuple[str, str | None]]:
    return {(run.status, run.because) for run in items(plane, batch)}


def complete_but_unsealed(plane: FakePlane, project: Project) -> Batch:
    """Return a batch with all items whose sender died before sealing it."""
    desk, now = plane.services.batches, plane.clock()
    batch = desk.open(project.id, 2, None, plane.requester(), now).batch
    for index in range(2):
        order = RunRequest(project.id, Depth.QUICK, "auto", task=f"part {index}")
        desk.fill(batch.id, plane.requester()).take(Item(index, order), now)
    return batch


@pytest.mark.parametrize("split", [False, True])
def test_a_stop_that_is_cut_is_finished_by_the_next_server(
    planes: Planes, world: World, split: bool
) -> None:
    plane = planes(split=split, max_live_runs=1)
    project = plane.add_project(world)
    batch = a_batch(plane, project, 4)
    fail_at("batch_aborted")
    with pytest.raises(FailpointHit):
        plane.services.batches.stop(batch.id, "enough", plane.clock())
    clear_failpoints()
    assert [run.status for run in items(plane, batch)] == ["running", *["queued"] * 3]
    with pytest.raises(AlreadyEnded):
        plane.services.batches.stop(batch.id, "again", plane.clock())
    later = planes(split=split, max_live_runs=1)
    later.tick()
    assert told(later, batch) == {("stopped", "enough")}
    assert later.ledgers.runs.open_runs() == []


def test_a_stop_ends_what_a_sweep_took_in_the_same_moment(planes: Planes, world: World) -> None:
    plane = planes(split=False, max_live_runs=2)
    project = plane.add_project(world)
    batch = a_batch(plane, project, 4)
    first = items(plane, batch)[2]
    BatchLedger(plane.stores).abort(batch, plane.clock(), "enough")
    # seen as waiting before the abort, taken after it
    for run in plane.ledgers.runs.open_runs():
        if run.status == "running":
            world.end(run.id, 1)
            plane.reaper.reap_once(run.id)
    plane.services.sweep._starter._start(first, plane.clock())
    plane.rest()
    plane.tick()
    assert [run.status for run in items(plane, batch)] == ["died", "died", "stopped", "stopped"]


def test_what_an_aborted_batch_has_left_waits_in_peace_for_a_database_that_is_full(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plane = planes(split=False, max_live_runs=1)
    batch = a_batch(plane, plane.add_project(world), 4)
    BatchLedger(plane.stores).abort(batch, plane.clock(), "enough")

    def full(_: Database) -> None:
        raise DatabaseSilent("no room")

    caplog.set_level(logging.WARNING)
    with monkeypatch.context() as patched:
        patched.setattr(Database, "transaction", full)
        plane.tick()
        plane.services.sweep.request_fill()
        plane.rest()
    told_of = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert [(one.getMessage(), one.exc_info) for one in told_of] == [("batch_ends_postponed", None)]
    assert str(vars(told_of[0])["because"]) == "no room"
    plane.tick()
    assert told(plane, batch) == {("stopped", "enough")}


def test_a_batch_that_is_sealed_while_somebody_stops_it_leaves_nothing_behind(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = planes(split=False, max_live_runs=1)
    batch = complete_but_unsealed(plane, plane.add_project(world))
    seal_before(monkeypatch, "abort")
    plane.services.batches.stop(batch.id, "enough", plane.clock())
    plane.rest()
    assert plane.services.batches.find(batch.id).status == "aborted"
    assert told(plane, batch) == {("stopped", "enough")}


def test_a_batch_that_is_sealed_at_the_end_of_its_half_hour_is_not_aborted(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = planes(split=False, max_live_runs=1)
    project = plane.add_project(world)
    desk = plane.services.batches
    batch = a_batch(plane, project, 2, sent=1)
    real = BatchLedger.give_up

    def late(self: BatchLedger, one: Batch, now: datetime, because: str) -> bool:
        order = RunRequest(project.id, Depth.QUICK, "auto", task="the last one")
        desk.fill(one.id, plane.requester()).take(Item(1, order), now)
        return real(self, one, now, because)

    plane.clock.advance(1801)
    with monkeypatch.context() as patched:
        patched.setattr(BatchLedger, "give_up", late)
        plane.tick()
    assert desk.find(batch.id).status == "pending", "its last item came in time"
    plane.tick()
    assert desk.find(batch.id).status == "processing"


def test_a_complete_batch_whose_sender_died_begins_with_the_next_sweep(
    planes: Planes, world: World
) -> None:
    plane = planes(max_live_runs=1)
    batch = complete_but_unsealed(plane, plane.add_project(world))
    plane.clock.advance(3600)  # any delay is fine: all items had arrived
    later = planes(max_live_runs=1)
    later.clock.advance(3600)
    later.tick()
    assert later.services.batches.find(batch.id).status == "processing"
    assert [(run.status, run.hold) for run in items(later, batch)] == [
        ("running", None),
        ("queued", "waits for its turn in the batch"),
    ]


def seal_before(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let another stream seal the batch between the check and the action on it."""
    real = getattr(BatchLedger, name)

    def late(self: BatchLedger, batch: Batch, now: datetime, because: str) -> bool:
        self.seal(batch, now)
        return bool(real(self, batch, now, because))

    monkeypatch.setattr(BatchLedger, name, late)


def test_a_stopped_batch_has_ended_when_its_last_run_has(planes: Planes, world: World) -> None:
    plane = planes(split=False, max_live_runs=1)
    batch = a_batch(plane, plane.add_project(world), 3)
    BatchLedger(plane.stores).abort(batch, plane.clock(), "enough")
    stopped = plane.services.batches.find(batch.id)
    assert (stopped.status, stopped.ended_at) == ("aborted", None)
    plane.clock.advance(5)
    plane.tick()
    ended = plane.services.batches.find(batch.id)
    assert (ended.status, ended.ended_at) == ("aborted", plane.clock())
