"""Many runs that fall due, fail or wait at once: the others start soon all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.domain.words import Status
from app.records.feed import Numbered, RunChanged
from app.records.tables import AccountHold, Run
from app.services.auto.starts import Tried
from tests.builders.batches import a_batch
from tests.builders.poison import unreadable
from tests.builders.waiting_runs import put_runs
from tests.drivers.query_plans import statements_of
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    plane = FakePlane(tmp_path, world, max_live_runs=2)
    yield plane
    plane.rest()
    plane.stop()


def count_of(what: str, duty: Callable[[], object]) -> int:
    """Return how often connections do something, such as commit, during a duty."""
    seen: list[None] = []

    def note(*_: Any) -> None:
        seen.append(None)

    event.listen(Engine, what, note)
    try:
        duty()
    finally:
        event.remove(Engine, what, note)
    return len(seen)


def statuses(plane: FakePlane, ids: list[str]) -> list[str]:
    found = plane.ledgers.runs.find_all(ids)
    return [found[one].status for one in ids]


def test_many_planned_runs_fall_due_in_few_transactions(plane: FakePlane, world: World) -> None:
    project = plane.add_project(world, max_concurrency=1000)
    due = plane.clock() + timedelta(seconds=60)
    ids = put_runs(plane, project.id, 1200, status=Status.DELAYED, due_at=due)
    later = put_runs(plane, project.id, 1, status=Status.DELAYED, due_at=due + timedelta(seconds=1))
    plane.clock.advance(60)
    commits = count_of("commit", lambda: plane.services.sweep.fill_once(plane.clock()))
    # with those of the two runs that start beside it
    assert commits < 40 * len(plane.stores.all())
    plane.rest()
    assert statuses(plane, ids + later) == ["running"] * 2 + ["queued"] * 1198 + ["delayed"]
    [line] = plane.ledgers.runs.timeline(ids[-1])
    assert (line.at, line.kind, line.sentence, line.data) == (due, "note", "due now", {})


@pytest.mark.expects_error_log
def test_a_run_that_cannot_fall_due_lets_those_beside_it_fall_due(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world, max_concurrency=1000)
    ids = put_runs(plane, project.id, 5, status=Status.DELAYED, due_at=plane.clock())
    ledger = plane.ledgers.runs
    real = ledger.fall_due_together

    def refuse(tx: Any, run_ids: Any, now: Any) -> int:
        fallen = real(tx, run_ids, now)
        if ids[2] in run_ids:
            raise KeyError("delivery")
        return fallen

    monkeypatch.setattr(ledger, "fall_due_together", refuse)
    for _ in range(6):
        plane.tick()
    assert statuses(plane, ids) == ["running", "running", "delayed", "queued", "queued"]
    assert [one.key for one in plane.services.quarantine.held()] == [f"start.{ids[2]}"]


@pytest.mark.expects_error_log
def test_many_runs_that_fail_to_start_are_passed_over_in_few_reads(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    failing = {*put_runs(plane, project.id, 300)}
    plane.clock.advance(1)
    [well] = put_runs(plane, project.id, 1)
    starter = plane.services.sweep._starter
    real = starter._take

    def take(run: Run, project: Any, now: Any) -> Tried:
        if run.id in failing:
            raise OSError("does not answer")
        return real(run, project, now)

    monkeypatch.setattr(starter, "_take", take)
    asked = statements_of(lambda: plane.services.sweep.fill_once(plane.clock()))
    plane.rest()
    assert statuses(plane, [well]) == ["running"]
    assert max(len(given) for _, given in asked) < 50
    reads = [one for one, _ in asked if "ORDER BY runs.created_at" in one]
    assert len(reads) < 15 * len(plane.stores.all())


def test_runs_of_a_project_that_cannot_be_read_are_passed_over_together(
    plane: FakePlane, world: World
) -> None:
    sick, well = plane.add_project(world), plane.add_project(world)
    plane.ledgers.projects.change(sick.id, state="cloning")
    ids = put_runs(plane, sick.id, 100)
    a_batch(plane, sick, 3)
    plane.ledgers.projects.change(sick.id, state="ready")
    plane.clock.advance(1)
    [other] = put_runs(plane, well.id, 1)
    items = [run.id for run in plane.ledgers.runs.open_runs() if run.batch_id]
    with unreadable(plane, sick):
        assert len(statements_of(plane.tick)) < 60 * len(plane.stores.all())
        found = plane.ledgers.runs.find_all([*ids, *items, other])
        assert found.pop(other).status == "running"
        words = "a value in the project's database row cannot be read"
        assert {found[one].hold for one in ids} == {words}
        assert [found[one].hold for one in items].count(words) == 1
        assert plane.services.quarantine.known() == []
    plane.tick()
    assert statuses(plane, ids)[:2] == ["running", "queued"]


def test_runs_that_wait_for_their_account_keep_their_hold_while_others_take_every_slot(
    plane: FakePlane, world: World
) -> None:
    limited, now = plane.add_project(world), plane.clock()
    hold = AccountHold(
        agent=limited.agent,
        account=plane.services.limits._agents.account(limited.agent),
        family="opus",
        since=now,
        until=now + timedelta(hours=1),
        evidence="told by a test",
        run_id="run_0",
    )
    with plane.stores.control.transaction() as tx:
        tx.add(hold)
    ids = put_runs(plane, limited.id, 50, agent=limited.agent, model="opus")
    plane.tick()
    [words] = {plane.ledgers.runs.find_all(ids)[one].hold for one in ids}
    assert words is not None
    assert "usage limit" in words
    told: list[Numbered] = []
    plane.feed.subscribe(told.append)
    others = put_runs(plane, limited.id, 3, agent=limited.agent, model="haiku")
    plane.tick()
    assert statuses(plane, others) == ["running", "running", "queued"]
    plane.tick()
    world.end(others[0], 1)
    plane.tick()
    assert statuses(plane, others)[2] == "running"
    assert {plane.ledgers.runs.find_all(ids)[one].hold for one in ids} == {words}
    assert {one.change for one in told}.isdisjoint(RunChanged(one, limited.id) for one in ids)
