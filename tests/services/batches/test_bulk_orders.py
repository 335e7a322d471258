"""Waiting bulk orders: wake-ups, cost of a check, and display texts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.domain.batches import BulkAction
from app.domain.words import Phase
from app.records.batches.bulk_ledger import BulkLedger
from app.records.database.database import DatabaseSilent
from app.records.feed import BulkChanged, Change, FeedBroke, QuotaChanged
from app.records.runs.run_pages import RunFilter
from tests.builders.bulk import LITTLE, counted, retry_all, stopped
from tests.builders.databases import POSTGRESQL, shared_database
from tests.builders.two_stores import Planes, die, found, listed, order, requester, start
from tests.drivers.failpoints import hold_at
from tests.drivers.query_plans import statements_of
from tests.fakes.agents.runs import until
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


def test_two_orders_that_wait_for_the_window_do_not_wake_each_other(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = planes(split=False, run_quota=11, **LITTLE)
    one, other = plane.add_project(world), plane.add_project(world)
    for project in (one, other):
        stopped(plane, project, 5)
    rounds = counted(plane, monkeypatch)
    first, second = retry_all(plane, project_id=one.id), retry_all(plane, project_id=other.id)
    assert (first.hold, second.hold) == (second.hold, first.hold)
    assert str(first.hold).startswith("Rate limit reached.")
    assert rounds == [1, 0]
    told: list[Change] = []
    plane.feed.subscribe(lambda one: told.append(one.change))
    plane.services.bulk.request()
    plane.rest()
    assert (told, rounds) == ([], [1, 0, 0])


@pytest.mark.parametrize("waits_for", ["window", "repository"])
def test_a_look_at_an_order_that_has_no_room_costs_the_same_however_many_wait(
    planes: Planes, world: World, waits_for: str
) -> None:
    quota = 25 if waits_for == "window" else 1000
    plane = planes(split=False, run_quota=quota, **LITTLE)
    projects = [plane.add_project(world, max_concurrency=1) for _ in range(2)]
    for project, count in zip(projects, (4, 20), strict=True):
        stopped(plane, project, count)
        if waits_for == "repository":
            plane.services.accept.accept(order(project), plane.requester(), plane.clock())
            plane.rest()
    costs: list[int] = []
    for project in projects:
        bulk = retry_all(plane, project_id=project.id)
        assert bulk.hold
        costs.append(len(statements_of(plane.services.bulk.continue_once)))
        plane.services.bulk.abort(bulk.id, plane.clock())
    assert costs[0] == costs[1] < 30


def test_what_waits_for_a_repository_keeps_none_of_another_and_goes_on_when_a_run_ends_there(
    planes: Planes, world: World
) -> None:
    plane = planes(split=False)
    busy, free = plane.add_project(world, max_concurrency=1), plane.add_project(world)
    waiting = stopped(plane, busy, 2)
    others = stopped(plane, free, 2)
    live = start(plane, busy, task="works")
    bulk = retry_all(plane, statuses=("stopped",))
    ledger = BulkLedger(plane.stores)
    done = {item.run_id for item in ledger.items(bulk.id, after=-1, limit=9) if item.new_run_id}
    assert done == {*others}
    assert "maximum concurrency" in str(bulk.hold)
    die(plane, world, live)
    assert found(plane, waiting[0]).retried_by
    assert ledger.counts(bulk.id) == {"done": 3, "pending": 1}


def test_who_follows_an_order_hears_of_what_it_came_to_and_of_nothing_else(
    planes: Planes, world: World
) -> None:
    plane = planes()
    project = plane.add_project(world, max_concurrency=1)
    stopped(plane, project, 2)
    told: list[Change] = []
    plane.feed.subscribe(lambda one: told.append(one.change))
    bulk = retry_all(plane, project_id=project.id)
    one = BulkChanged(bulk.id)
    assert told.count(one) == 3, "it was given, one was done, and what the other waits for"
    plane.services.bulk.request()
    plane.rest()
    assert told.count(one) == 3
    plane.services.bulk.abort(bulk.id, plane.clock())
    assert told.count(one) == 4
    BulkLedger(plane.stores).set_hold(bulk.id, "too late")
    assert (told.count(one), plane.services.bulk.find(bulk.id).hold) == (4, None)


def test_a_run_store_that_is_away_ends_the_round_with_one_line(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plane = planes()
    project = plane.add_project(world)
    stopped(plane, project, 3)

    def away(*_: Any) -> None:
        raise DatabaseSilent("the run store is away")

    with monkeypatch.context() as patched:
        patched.setattr(plane.services.bulk._actions.retry, "retry_once", away)
        caplog.set_level(logging.WARNING)
        bulk = retry_all(plane, project_id=project.id)
    said = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert (len(said), said[0].exc_info) == (1, None)
    assert bulk.hold == "The database is not responding; resumes when it is back."
    plane.services.bulk.request()
    plane.rest()
    assert plane.services.bulk.find(bulk.id).status == "completed"


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("comes", ["while the branch is waited for", "before the transaction"])
def test_a_run_that_another_server_repeats_meanwhile_is_repeated_once(
    planes: Planes,
    world: World,
    tmp_path: Path,
    comes: str,
    split: bool,
) -> None:
    plane = planes(split=split)
    project = plane.add_project(world)
    run_id, heir = *stopped(plane, project, 1), start(plane, project, task="another").id
    branch = f"branch {project.id} {found(plane, run_id).work_branch}"
    held = tmp_path / "go-on"
    with ExitStack() as waits:
        if comes == "before the transaction":
            hold_at("claim.after_select", held)
        else:
            waits.enter_context(plane.locks.holding(branch))
        desk = plane.services.bulk
        bulk = desk.order(
            BulkAction.RETRY, RunFilter(project.id), "", plane.requester(), plane.clock()
        ).bulk
        until(
            lambda: (
                held.with_name("go-on.reached.0").exists()
                or plane.locks._locks.get(branch, (None, 0))[1] == 2
            ),
            "it is about to be repeated",
        )
        plane.ledgers.runs.update_fields(run_id, project.id, retried_by=heir)
        held.touch()
    plane.rest()
    [item] = BulkLedger(plane.stores).items(bulk.id, after=-1, limit=9)
    assert (item.state, item.new_run_id) == ("done", heir)
    assert [run for run in listed(plane) if found(plane, run).retry_of] == []


def test_a_key_is_a_persons_own_and_kept_as_long_as_every_other(
    planes: Planes, world: World
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    stopped(plane, project, 1)
    wanted = RunFilter(project.id, statuses=["stopped"], phase=Phase.DONE)

    def ordered(person: str, seconds: float) -> tuple[str, bool]:
        now = plane.clock.advance(seconds)
        who = replace(requester(plane, "night"), person_id=person)
        it = plane.services.bulk.order(BulkAction.RETRY, wanted, "", who, now)
        plane.rest()
        return it.bulk.id, it.replayed

    days = plane.settings.key_ttl_seconds
    first, is_again = ordered(plane.person, 0)
    assert not is_again
    assert ordered(plane.person, days - 1) == (first, True)
    assert plane.services.bulk.counts(first) == {"done": 1}
    other, is_again = ordered("person_" + "0" * 24, 0)
    assert (other == first, is_again) == (False, False)
    late, is_again = ordered(plane.person, 1)
    assert (late == first, is_again) == (False, False)
    assert ordered(plane.person, 0) == (late, True)


@contextmanager
def two_servers(folder: Path, world: World, **wishes: Any) -> Iterator[list[FakePlane]]:
    """Two servers on one PostgreSQL that receive each other's changes."""
    shared = {"database_url": shared_database(folder, POSTGRESQL), "runs_dir": folder / "runs"}
    with ExitStack() as ends:
        servers: list[FakePlane] = []
        for name in "ab":
            plane = FakePlane(folder / name, world, **shared, **wishes)
            ends.callback(plane.stop)
            plane.migrate()
            heard: list[Change] = []
            plane.feed.subscribe(lambda one, heard=heard: heard.append(one.change))
            for relay in plane.relays:
                relay.open()
            until(lambda heard=heard: FeedBroke() in heard, "it listens")
            servers.append(plane)
        yield servers


def let_hear(plane: FakePlane, other: FakePlane, mark: str) -> None:
    """Wait until `other` has received and handled all earlier changes of `plane`."""
    heard: list[Change] = []
    leave = other.feed.subscribe(lambda one: heard.append(one.change))
    with plane.stores.control.transaction() as tx:
        tx.publish(QuotaChanged(mark))
    until(lambda: QuotaChanged(mark) in heard, "it is heard")
    leave()
    other.rest()


def test_two_servers_do_not_wake_each_other_over_an_order_that_waits(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_servers(tmp_path, world, run_quota=7, **LITTLE) as (one, other):
        project = one.add_project(world)
        stopped(one, project, 6)
        bulk = retry_all(one, project_id=project.id)
        assert bulk.hold
        let_hear(one, other, "begin")
        rounds = counted(one, monkeypatch)
        # as its scheduler does
        other.services.bulk.request()
        other.rest()
        let_hear(other, one, "looked")
        assert rounds == []
