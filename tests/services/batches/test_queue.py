"""Queued batch items: their order, the holds they wait for, and missing items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.domain.batches import BulkAction
from app.domain.words import Depth, Trigger
from app.errors import BatchOverQuota, KeyTaken, RateLimited
from app.records.batches.batch_ledger import BatchLedger, Spent, list_items
from app.records.batches.bulk_ledger import BulkLedger
from app.records.runs.run_pages import RunFilter
from app.records.tables import AccountHold, Batch, Project, Run
from app.services.auto.starts import Tried
from app.services.limits.quota import room_at
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    plane = FakePlane(tmp_path, world, max_live_runs=2, batch_quota=60, run_quota=2)
    yield plane
    plane.rest()
    plane.stop()


def items(plane: FakePlane, batch: Batch) -> list[Run]:
    ledger = BatchLedger(plane.stores)
    return [run for _, run in list_items(ledger.stores, batch.id, limit=1000).items]


def live(plane: FakePlane) -> list[Run]:
    return [run for run in plane.ledgers.runs.open_runs() if run.status == "running"]


def finish(plane: FakePlane, world: World, *, code: int = 7) -> list[Run]:
    """End all live runs, sweep twice, and return the ended runs."""
    ended = live(plane)
    for run in ended:
        world.end(run.id, code)
    plane.tick()
    plane.tick()
    return ended


def test_a_small_batch_is_not_starved_by_a_large_one(plane: FakePlane, world: World) -> None:
    project = plane.add_project(world)
    large = a_batch(plane, project, 20)
    small = a_batch(plane, project, 3)
    for _ in range(4):
        finish(plane, world)
    assert {run.status for run in items(plane, small)} == {"died"}
    assert plane.services.batches.find(small.id).status == "partly_failed"
    assert sum(run.status == "queued" for run in items(plane, large)) > 10


def test_what_a_person_starts_goes_before_every_item_that_waits(
    plane: FakePlane, world: World
) -> None:
    busy, other = plane.add_project(world), plane.add_project(world)
    a_batch(plane, busy, 10)
    order = RunRequest(other.id, Depth.QUICK, "auto", task="now, please")
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    finish(plane, world)
    assert run.id in {one.id for one in live(plane)}


def test_items_wait_for_the_repository_and_say_so_and_leave_room_to_others(
    plane: FakePlane, world: World
) -> None:
    narrow, wide = plane.add_project(world, max_concurrency=1), plane.add_project(world)
    first, second = a_batch(plane, narrow, 3), a_batch(plane, wide, 3)
    plane.tick()
    assert [run.status for run in items(plane, first)] == ["running", "queued", "queued"]
    assert [run.status for run in items(plane, second)] == ["running", "queued", "queued"]
    finish(plane, world)
    assert sum(run.project_id == narrow.id for run in live(plane)) == 1


def test_items_are_taken_in_order_and_the_last_end_is_the_batchs(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    batch = a_batch(plane, project, 5)
    seen: list[str | None] = []
    while plane.services.batches.find(batch.id).ended_at is None:
        assert plane.services.batches.find(batch.id).status == "processing"
        seen += [run.task for run in finish(plane, world)]
    assert sorted(seen, key=str) == [f"part {index}" for index in range(5)]
    taken = [run.taken_at for run in items(plane, batch)]
    assert taken == sorted(taken, key=str)


def test_nothing_starts_before_the_seal_and_after_half_an_hour_nothing_ever_will(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    batch = a_batch(plane, project, 3, sent=2)
    plane.tick()
    assert {run.status for run in items(plane, batch)} == {"queued"}
    plane.clock.advance(1796)
    plane.tick()
    assert plane.services.batches.find(batch.id).status == "pending"
    plane.clock.advance(5)
    plane.tick()
    given_up = plane.services.batches.find(batch.id)
    assert given_up.status == "aborted"
    told = {(run.status, run.because) for run in items(plane, batch)}
    assert told == {("not_started", "its batch was not uploaded completely within 30 minutes")}


def test_items_of_an_account_that_is_held_let_those_of_others_pass(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    account = plane.services.limits._agents.account(project.agent)
    now = plane.clock()
    with plane.stores.control.transaction() as tx:
        tx.add(
            AccountHold(
                agent=project.agent,
                account=account,
                family="opus",
                since=now,
                until=now + timedelta(hours=5),
                evidence="told by a test",
                run_id="run_0",
            )
        )
    models = ["claude-opus-4"] * 40 + ["claude-sonnet-4"] * 3
    batch = a_batch(plane, project, len(models), models=models)
    plane.tick()
    told = items(plane, batch)
    assert "limit" in str(told[0].hold)
    assert {run.model for run in live(plane)} == {"claude-sonnet-4"}
    assert [run.status for run in told[40:]] == ["running", "running", "queued"]
    finish(plane, world)
    assert items(plane, batch)[42].status == "running"
    assert {run.status for run in items(plane, batch)[:40]} == {"queued"}


@pytest.mark.expects_error_log
def test_items_that_cannot_be_decided_upon_let_others_pass_and_keep_their_place(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    with monkeypatch.context() as patched:
        refuse_start_of(patched, plane, *(f"part {index}" for index in range(5)))
        batch = a_batch(plane, project, 9)
        plane.tick()
        assert [run.task for run in live(plane)] == ["part 5", "part 6"]
        assert plane.services.quarantine.known() == [], "nothing is known of them"
    finish(plane, world)
    assert [run.task for run in live(plane)] == ["part 0", "part 1"]
    assert {run.status for run in items(plane, batch)[2:5]} == {"queued"}


def refuse_start_of(patched: pytest.MonkeyPatch, plane: FakePlane, *tasks: str) -> None:
    """Make starts of runs with these tasks fail with `OSError`."""
    starter = plane.services.sweep._starter
    real = starter._take

    def take(run: Run, project: Project | None, now: datetime) -> Tried:
        if run.task in tasks:
            raise OSError("does not answer")
        return real(run, project, now)

    patched.setattr(starter, "_take", take)


def test_an_item_expires_wherever_it_stands_in_the_line(plane: FakePlane, world: World) -> None:
    project = plane.add_project(world)
    batch = a_batch(plane, project, 9, ttl_seconds=60)
    plane.clock.advance(61)
    plane.tick()
    assert [run.status for run in items(plane, batch)].count("expired") == 7


def test_the_window_of_batches_is_charged_once_by_the_whole_count(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    a_batch(plane, project, 40, sent=0)
    began = plane.clock()
    plane.clock.advance(60)
    a_batch(plane, project, 20, sent=0)
    desk = plane.services.batches
    with pytest.raises(RateLimited) as full:
        desk.open(project.id, 1, None, plane.requester(), plane.clock())
    assert full.value.members["reset_at"] == began + timedelta(seconds=3600)
    assert full.value.members["retry_after"] == 3540
    with pytest.raises(BatchOverQuota):
        desk.open(project.id, 61, None, plane.requester(), plane.clock())
    plane.clock.advance(3540)
    assert not desk.open(project.id, 40, None, plane.requester(), plane.clock()).replayed


def test_a_key_is_answered_before_the_window_and_never_to_another_person(
    plane: FakePlane, world: World
) -> None:
    project, desk = plane.add_project(world), plane.services.batches
    requester = replace(plane.requester(), key="night")
    first = desk.open(project.id, 60, None, requester, plane.clock())
    assert desk.open(project.id, 60, None, requester, plane.clock()) == replace(
        first, replayed=True
    )
    other = replace(requester, person_id="person_" + "0" * 24)
    with pytest.raises(KeyTaken):
        desk.open(project.id, 60, None, other, plane.clock())


def test_many_retries_wait_for_the_window_of_runs_and_go_on_when_it_has_room(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    batch = a_batch(plane, project, 3)
    while plane.services.batches.find(batch.id).ended_at is None:
        finish(plane, world)
    bulk = plane.services.bulk.order(
        BulkAction.RETRY, RunFilter(batch_id=batch.id), "", plane.requester(), plane.clock()
    ).bulk
    plane.rest()
    waits = plane.services.bulk.find(bulk.id)
    assert waits.hold is not None
    assert waits.hold.startswith("Rate limit reached.")
    assert plane.services.bulk.counts(bulk.id) == {"done": 2, "pending": 1}
    plane.clock.advance(3600)
    plane.services.bulk.continue_once()
    assert plane.services.bulk.counts(bulk.id) == {"done": 3}
    assert plane.services.bulk.find(bulk.id).status == "completed"


def test_of_many_that_are_stopped_those_that_work_are_the_first(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    batch = a_batch(plane, project, 6)
    busy = {run.id for run in live(plane)}
    wanted = RunFilter(batch_id=batch.id)
    bulk = plane.services.bulk.order(
        BulkAction.STOP, wanted, "enough", plane.requester(), plane.clock()
    ).bulk
    plane.rest()
    told = BulkLedger(plane.stores).items(bulk.id, after=-1, limit=100)
    assert {item.run_id for item in told[:2]} == busy
    assert {(run.status, run.because) for run in items(plane, batch)} == {("stopped", "enough")}


def test_an_aborted_order_leaves_the_rest_as_it_is_and_a_frozen_one_grows_by_none(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    batch = a_batch(plane, project, 4)
    while plane.services.batches.find(batch.id).ended_at is None:
        finish(plane, world)
    desk, wanted = plane.services.bulk, RunFilter(project_id=project.id, trigger=Trigger.BATCH)
    bulk = desk.order(BulkAction.RETRY, wanted, "", plane.requester(), plane.clock()).bulk
    plane.rest()
    late = a_batch(plane, project, 1)
    desk.continue_once()
    told: list[str] = []
    plane.services.feed.subscribe(lambda _: told.append(desk.find(bulk.id).status))
    assert desk.abort(bulk.id, plane.clock()).status == "aborted"
    assert told == ["aborted"], "who looks at the order hears of its end"
    assert desk.counts(bulk.id) == {"done": 2, "left": 2}
    assert items(plane, late)[0].id not in {
        item.run_id for item in BulkLedger(plane.stores).items(bulk.id, after=-1, limit=100)
    }


@pytest.mark.parametrize(
    ("spent", "items_", "seconds"),
    [([], 10, None), ([5], 5, None), ([5, 5], 1, 100), ([1, 9], 3, 101), ([1, 1, 8], 9, 102)],
)
def test_room_is_there_when_enough_has_left_the_window(
    plane: FakePlane, spent: list[int], items_: int, seconds: int | None
) -> None:

    now = plane.clock()
    told = [Spent(now + timedelta(seconds=at), count) for at, count in enumerate(spent)]
    at = None if seconds is None else now + timedelta(seconds=seconds)
    assert room_at(told, items_, 10, 100) == at
