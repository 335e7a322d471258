"""Leaving the quarantine: by a person's decision, by the run's end, and in the right store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlmodel import select

from app.errors import NotFound
from app.records.database.database import Database, DatabaseSilent
from app.records.people.audit_ledger import Deed
from app.records.runs.quarantine_ledger import MOST_TRIES, QuarantineLedger, Subject
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Project, Run, Stuck
from tests.builders.rows import NOW, stores_on
from tests.builders.two_stores import Planes
from tests.builders.unreadable_rows import FAULT, found, keys, poison, start, tick
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

pytestmark = pytest.mark.expects_error_log


@pytest.fixture
def plane(planes: Planes) -> FakePlane:
    return planes()


def deed(plane: FakePlane, run: Run, action: str) -> Deed:
    return Deed(plane.person, action, "by a test", "corr", run.project_id, run.id)


# --- by a person's decision ---------------------------------------------------------------------


def test_of_two_people_who_try_again_at_once_one_does(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id)
    tick(plane, MOST_TRIES)
    barrier, answers = threading.Barrier(2), list[str]()

    def again() -> None:
        barrier.wait(20)
        try:
            answers.append(plane.services.quarantine.try_again(f"look.{run.id}").key)
        except NotFound as refusal:
            answers.append(refusal.detail)

    people = [threading.Thread(target=again) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join(20)
    nothing = "Nothing with this name is stuck."
    assert sorted(answers) == sorted([f"look.{run.id}", nothing])
    tick(plane, 2 * MOST_TRIES)
    assert poisoned.tries == 2 * MOST_TRIES


def test_what_is_still_tried_waits_for_nobody_and_its_count_stays(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poison(monkeypatch, plane.reaper, "reap_once", run.id)
    tick(plane, MOST_TRIES - 1)
    with pytest.raises(NotFound):
        plane.services.quarantine.try_again(f"look.{run.id}")
    tick(plane, 1)
    assert keys(plane) == [f"look.{run.id}"]


# --- by the run's end ---------------------------------------------------------------------------


def stopped(plane: FakePlane, run: Run) -> None:
    plane.services.stopper.stop(run.id, "by a person", plane.clock())


def ended_by_itself(plane: FakePlane, run: Run) -> None:
    plane.inspect_run(run.id)


@pytest.mark.parametrize("ends", [stopped, ended_by_itself])
def test_a_run_that_ends_leaves_and_its_card_wants_nobody(
    plane: FakePlane,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[FakePlane, Run], None],
) -> None:
    project = plane.add_project(world)
    run = start(plane, project)
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id)
    tick(plane, MOST_TRIES)
    overview = plane.services.overview
    assert [one.key for one in overview.of(project.id).stuck] == [f"look.{run.id}"]
    world.end(run.id, 1)
    poisoned.is_mended = True
    ends(plane, run)
    plane.rest()
    tick(plane, 1)
    assert found(plane, run).released_at is not None
    assert overview.of(project.id).stuck == ()
    assert plane.services.quarantine.known() == []


def test_a_waiting_run_that_cannot_be_started_leaves_when_it_is_stopped(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    monkeypatch.setattr(plane.services.sweep._starter, "_max_live_runs", 0)
    run = start(plane, project)
    poison(monkeypatch, plane.services.sweep._starter, "_take_slot", run.id)
    monkeypatch.setattr(plane.services.sweep._starter, "_max_live_runs", 3)
    tick(plane, MOST_TRIES)
    assert keys(plane) == [f"start.{run.id}"]
    stopped(plane, run)
    tick(plane, 1)
    assert plane.services.quarantine.known() == []


def test_an_end_whose_copy_cannot_be_seen_to_is_held_until_it_is_released(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poison(monkeypatch, plane.reaper._finalizer, "settle", run.id)
    world.end(run.id, 1)
    tick(plane, 2 * MOST_TRIES)
    assert keys(plane) == [f"settle.{run.id}"]
    assert found(plane, run).released_at is None
    plane.services.salvage.release(run.id, deed(plane, run, "release"), plane.clock())
    tick(plane, 1)
    assert plane.services.quarantine.known() == []


def test_a_delivery_that_fails_by_a_fault_is_held_and_a_stop_ends_the_run(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    run = start(plane, project, issue=plane.add_issue(project))
    deliverer = plane.reaper._deliveries._deliverer
    poisoned = poison(monkeypatch, deliverer, "deliver", run.id)
    world.commit(run.id)
    world.end(run.id)
    for _ in range(3 * MOST_TRIES):
        plane.clock.advance(3600)
        tick(plane, 1)
    assert (poisoned.tries, keys(plane)) == (MOST_TRIES, [f"delivery.{run.id}"])
    assert found(plane, run).status == "delivering"
    stopped(plane, run)
    tick(plane, 2)
    assert (found(plane, run).status, keys(plane)) == ("stopped", [])


# --- stores -------------------------------------------------------------------------------------


@pytest.fixture
def away() -> Iterator[Database]:
    """A run store that is down: nothing listens on its port."""
    url = "postgresql://127.0.0.1:1/away?connect_timeout=1"
    with closing(Database(url, publish=lambda _: None)) as database:
        yield database


def rows_of(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(session.exec(select(Stuck.key)).all())


def of_project(project: Project) -> Subject:
    return Subject("look", project.id, project.id, project.id)


def test_each_is_in_the_store_of_its_row_and_what_is_away_is_never_told_as_gone(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch, away: Database
) -> None:
    project = plane.add_project(world)
    run = start(plane, project)
    poison(monkeypatch, plane.reaper, "reap_once", run.id)
    tick(plane, MOST_TRIES)
    for _ in range(MOST_TRIES):
        plane.services.quarantine.count(of_project(project), FAULT)
    assert plane.stores.runs is not None
    assert rows_of(plane.stores.runs) == [f"look.{run.id}"]
    assert rows_of(plane.stores.control) == [f"look.{project.id}"]
    assert set(keys(plane)) == {f"look.{run.id}", f"look.{project.id}"}

    half = QuarantineLedger(RunLedger(stores_on(plane.stores.control, away)))
    for ask in (
        half.all,
        lambda: half.forget(f"look.{run.id}", only_held=True),
        lambda: half.count(Subject("look", run.id, run.id), "x", "1", NOW),
    ):
        with pytest.raises(DatabaseSilent):
            ask()
    # rows of the store that answers can be retried
    assert half.forget(f"look.{project.id}", only_held=True) is not None
    assert set(keys(plane)) == {f"look.{run.id}"}


def test_what_is_known_stays_known_while_a_store_is_away(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id)
    tick(plane, MOST_TRIES)

    def silent(*_: object, **__: object) -> None:
        raise DatabaseSilent("away")

    with monkeypatch.context() as gone:
        for name in ("all", "forget"):
            gone.setattr(plane.services.quarantine._ledger, name, silent)
        with pytest.raises(DatabaseSilent):
            plane.services.sweep.tick_once(plane.clock())
        with pytest.raises(DatabaseSilent):
            plane.services.quarantine.try_again(f"look.{run.id}")
        assert plane.services.quarantine.is_held(f"look.{run.id}")
    tick(plane, 2)
    assert poisoned.tries == MOST_TRIES
