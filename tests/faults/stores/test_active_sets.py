"""A repository's set of active runs in Redis: kept like the table, which always decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.adapters.counters.redis_sets import key_of
from app.errors import ConcurrencyLimit
from app.records.tables import Run
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.query_plans import statements_of
from tests.drivers.servers.redis import RedisServer, redis_server
from tests.fakes.agents.runs import until

MOST = 2


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@contextmanager
def plane_with(folder: Path, server: RedisServer) -> Iterator[RealPlane]:
    """A plane that accepts `MOST` runs per repository and starts none."""
    limits = {"repo_concurrency": MOST, "redis_url": server.url}
    with real_plane(folder, **limits) as plane:
        plane.add_project(name="one")
        plane.workers.close()
        yield plane


@pytest.fixture
def plane(tmp_path: Path, server: RedisServer) -> Iterator[RealPlane]:
    with plane_with(tmp_path, server) as plane:
        plane.services.active_run_counts.make_anew()
        yield plane


def members(plane: RealPlane, server: RedisServer) -> set[str]:
    project = plane.ledgers.projects.all()[0]
    with server.client() as client:
        return {str(one) for one in client.smembers(key_of(project.id))}


def submit(plane: RealPlane, task: str, **wishes: int) -> Run:
    """Accept a run and update the sets; return the run."""
    run = plane.accept(plane.order(plane.ledgers.projects.all()[0], task=task, **wishes))
    plane.services.active_run_counts.follow_once()
    return run


def ask(plane: RealPlane) -> None:
    """Do the cheap check that precedes a submit. Raises ConcurrencyLimit."""
    project = plane.ledgers.projects.all()[0]
    plane.services.accept.refuse_full(project.id, plane.requester(None), plane.clock())


def is_refused(plane: RealPlane) -> bool:
    try:
        ask(plane)
    except ConcurrencyLimit:
        return True
    return False


def test_a_run_is_in_its_repositorys_set_from_its_submit_to_its_release(
    plane: RealPlane, server: RedisServer
) -> None:
    project = plane.ledgers.projects.all()[0]
    assert key_of(project.id) == f"amtp:rl:repo:{project.id}:concurrency"
    first = submit(plane, "first")
    submit(plane, "planned", delay_seconds=3600)
    assert members(plane, server) == {first.id}
    second = submit(plane, "second")
    assert members(plane, server) == {first.id, second.id}
    assert is_refused(plane)
    plane.reap(plane.services.stopper.stop(first.id, "enough", plane.clock()))
    plane.services.active_run_counts.follow_once()
    assert members(plane, server) == {second.id}
    assert not is_refused(plane)


def test_a_set_with_room_is_believed_without_a_look_at_the_runs(plane: RealPlane) -> None:
    submit(plane, "first")
    asked = [statement for statement, _ in statements_of(lambda: ask(plane))]
    assert not any("count(*)" in one and "released_at" in one for one in asked)


def test_the_rows_decide_whatever_a_set_says(plane: RealPlane, server: RedisServer) -> None:
    first = submit(plane, "first")
    project = plane.ledgers.projects.all()[0]
    with server.client() as client:
        client.sadd(key_of(project.id), "left", "behind", "by", "somebody")
    # an overfull set refuses no submit
    assert not is_refused(plane)
    second = submit(plane, "second")
    with server.client() as client:
        client.delete(key_of(project.id))
    # and an incomplete one admits none
    with pytest.raises(ConcurrencyLimit):
        submit(plane, "third")
    plane.services.active_run_counts.make_anew()
    assert members(plane, server) == {first.id, second.id}


@pytest.mark.parametrize(
    "lose",
    [
        RedisServer.kill,
        pytest.param(RedisServer.freeze, marks=pytest.mark.soak),
        pytest.param(RedisServer.refuse_writes, marks=pytest.mark.soak),
    ],
)
def test_with_redis_lost_the_rows_count_alone_and_the_sets_come_back(
    tmp_path: Path, server: RedisServer, lose: Callable[[RedisServer], None]
) -> None:
    with plane_with(tmp_path, server) as plane:
        first = submit(plane, "first")
        lose(server)
        second = submit(plane, "second")
        assert is_refused(plane)
        with pytest.raises(ConcurrencyLimit):
            submit(plane, "third")
        undo = {"kill": server.start, "freeze": server.thaw, "refuse_writes": server.take_writes}
        undo[lose.__name__]()

        def heals() -> bool:
            plane.services.active_run_counts.make_anew()
            return members(plane, server) == {first.id, second.id}

        until(heals, "the set is as the rows are")
