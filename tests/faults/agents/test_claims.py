"""Concurrent claims: one issue is taken once, on one server or on two (F4, F5, F6)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.words import Depth
from app.errors import ConcurrencyLimit, NothingReady, PrLock, Refusal
from app.records.tables import Project
from app.services.kept.retry import RetryOptions
from app.services.runs.requests import RunRequest
from tests.builders.databases import KINDS, POSTGRESQL, SQLITE, shared_database
from tests.builders.rows import runs_of
from tests.drivers.failpoints import hold_at
from tests.fakes.agents.runs import until
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

SECONDS = 20.0


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Call all at the same moment; return what each returned or the Refusal it raised."""
    barrier, answers = threading.Barrier(len(deeds)), []

    def go(deed: Callable[[], object]) -> None:
        barrier.wait()
        try:
            answers.append(deed())
        except Refusal as refusal:
            answers.append(refusal)

    threads = [threading.Thread(target=go, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(answers) == len(deeds)
    return answers


def issues_taken(plane: FakePlane, project: Project) -> Counter[int | None]:
    return Counter(run.issue for run in runs_of(plane.stores, project.id))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def let_go(tmp_path: Path) -> Callable[[], None]:
    """A function that releases claimers held after choosing an issue, once three have chosen."""
    held = tmp_path / "go-on"
    hold_at("claim.after_select", held)

    def go_on() -> None:
        until(lambda: held.with_name("go-on.reached.2").exists(), "three to have chosen", SECONDS)
        held.touch()

    return go_on


def test_f4_of_those_who_have_picked_the_same_issue_one_gets_it(
    tmp_path: Path, world: World, let_go: Callable[[], None]
) -> None:
    plane = FakePlane(tmp_path, world)
    project = plane.add_project(world)
    plane.add_issue(project)
    plane.ledgers.projects.change(project.id, auto_enabled=True)
    start, now = plane.services.afk.start, plane.clock()
    answers = at_once(
        lambda: start(project.id, None, plane.requester(), now),
        lambda: start(project.id, None, plane.requester(), now),
        lambda: plane.services.loop.fill_once(now),
        let_go,
    )
    plane.rest()
    assert issues_taken(plane, project) == {1: 1}
    refused = [one for one in answers if isinstance(one, Refusal)]
    assert {type(one) for one in refused} <= {NothingReady, PrLock}
    assert len(world.launches) == 1
    plane.stop()


def test_f4_a_retry_meets_a_start_and_the_loop_at_the_same_issue(
    tmp_path: Path, world: World, let_go: Callable[[], None]
) -> None:
    plane = FakePlane(tmp_path, world)
    project = plane.add_project(world)
    plane.add_issue(project)
    now = plane.clock()
    waits = RunRequest(project.id, Depth.QUICK, "auto", issue=1, delay_seconds=60)
    first = plane.services.accept.accept(waits, plane.requester(), now).run
    plane.services.stopper.stop(first.id, "by a test", now)
    plane.ledgers.projects.change(project.id, auto_enabled=True)
    answers = at_once(
        lambda: plane.services.afk.start(project.id, None, plane.requester(), now),
        lambda: plane.services.retry.retry(first.id, RetryOptions(), plane.requester(), now),
        lambda: plane.services.loop.fill_once(now),
        let_go,
    )
    plane.rest()
    (holder,) = plane.ledgers.runs.open_runs(project.id)
    assert holder.issue == 1
    refused = [one for one in answers if isinstance(one, Refusal)]
    assert {type(one) for one in refused} <= {NothingReady, PrLock}
    locked = [one for one in refused if isinstance(one, PrLock)]
    assert [one.members["holder"] for one in locked] in ([], [holder.id])
    assert len(world.launches) == 1
    plane.stop()


# test_two_servers.py shows it on PostgreSQL
@pytest.mark.parametrize("kind", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("ticks", "issues"), [(40, 4), pytest.param(200, 20, marks=pytest.mark.soak)]
)
def test_f5_two_loops_take_each_issue_once_and_never_more_than_there_is_room(
    tmp_path: Path, world: World, kind: str, ticks: int, issues: int
) -> None:
    address = shared_database(tmp_path, kind)
    planes = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        planes.append(
            FakePlane(
                tmp_path / name, world, database_url=address, runs_dir=tmp_path, max_live_runs=2
            )
        )
    one, other = planes
    project = one.add_project(world)
    numbers = [one.add_issue(project) for _ in range(issues)]
    one.ledgers.projects.change(project.id, auto_enabled=True)
    for tick in range(ticks):
        one.clock.advance(1)
        other.clock.now = one.clock.now
        # the sweeping server goes silent every ten ticks, and the other takes over
        sweeps, rests = (one, other) if tick // 10 % 2 else (other, one)
        rests.leases.release(rests.clock())
        rests.leases._sweeps_until = rests.clock() - timedelta(seconds=1)
        sweeps.leases.renew_once(sweeps.clock())
        at_once(one.tick, other.tick)
        for plane in planes:
            plane.rest()
        live = [run for run in one.ledgers.runs.open_runs() if run.status != "delayed"]
        assert len(live) <= 2
        for run in live:
            if tick % 3 == 0 and run.id in world.processes:
                world.end(run.id, 0 if run.issue == 1 else 1)
                world.lose(run.id)
        if one.ledgers.projects.find(project.id).strikes >= 3:  # type: ignore[union-attr]
            with one.ledgers.projects.stores.control.transaction() as tx:
                one.ledgers.projects.clear_strikes(tx, project.id)
    assert issues_taken(one, project) == dict.fromkeys(numbers, 1)
    assert len(world.launches) == len(set(world.launches)) == issues
    for plane in planes:
        plane.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_f6_a_limit_of_two_lets_two_of_twenty_in(tmp_path: Path, world: World, kind: str) -> None:
    plane = FakePlane(tmp_path, world, database_url=shared_database(tmp_path, kind))
    project = plane.add_project(world, max_concurrency=2)

    def submit(number: int) -> Callable[[], object]:
        order = RunRequest(project.id, Depth.QUICK, "auto", task=f"part {number}")
        return lambda: plane.services.accept.accept(order, plane.requester(), plane.clock())

    answers = at_once(*map(submit, range(20)))
    plane.rest()
    refused = [one for one in answers if isinstance(one, ConcurrencyLimit)]
    assert (len(refused), len(answers) - len(refused)) == (18, 2)
    assert len(plane.ledgers.runs.open_runs(project.id)) == 2
    plane.stop()
