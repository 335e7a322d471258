"""Redis lost in every way (F50): the quota holds, submits stay fast, and it recovers."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from app.adapters.counters.redis_windows import NOBODY, key_of
from app.domain.quota import Counted, LimitsMode
from app.errors import RateLimited
from app.records.feed import QuotaChanged
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.servers.redis import RedisServer, redis_server

QUOTA, BATCH_QUOTA = 4, 10
# extra time for a submit while Redis is lost: 0.1 s is promised, the rest is for a busy machine
SLOW_SECONDS = 0.25


def freeze(server: RedisServer) -> None:
    server.freeze()


def kill(server: RedisServer) -> None:
    server.kill()


def refuse_writes(server: RedisServer) -> None:
    server.refuse_writes()


def restore(server: RedisServer, broken: Callable[[RedisServer], None]) -> None:
    """Undo this way of losing Redis."""
    undo: dict[str, Callable[[], object]] = {
        "freeze": server.thaw,
        "kill": server.start,
        "refuse_writes": server.take_writes,
    }
    undo[broken.__name__]()


LOSSES = (kill, freeze, refuse_writes)


def lost_by(shown: Callable[[RedisServer], None]) -> list[Any]:
    """Return every way of losing Redis as a parameter; all but `shown` are for the soak."""
    marks = {one: [] if one is shown else [pytest.mark.soak] for one in LOSSES}
    return [pytest.param(one, marks=marks[one]) for one in LOSSES]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@contextmanager
def plane_with(folder: Path, server: RedisServer) -> Iterator[RealPlane]:
    """A plane that accepts `QUOTA` runs an hour and starts none."""
    limits = {"run_quota": QUOTA, "repo_concurrency": 90, "redis_url": server.url}
    limits["batch_quota"] = BATCH_QUOTA
    with real_plane(folder, **limits) as plane:
        plane.add_project(name="one")
        plane.workers.close()
        plane.services.counters.check(plane.clock())
        yield plane


@pytest.fixture
def plane(tmp_path: Path, server: RedisServer) -> Iterator[RealPlane]:
    with plane_with(tmp_path, server) as plane:
        assert plane.services.limits_mode() is LimitsMode.REDIS
        yield plane


def submit(plane: RealPlane, task: str) -> bool:
    """Return True if accepted, False if the quota refused it; raise any other error."""
    order = plane.order(plane.ledgers.projects.all()[0], task=task)
    try:
        plane.accept(order, key=task)
    except RateLimited:
        return False
    return True


def burst(plane: RealPlane, count: int, meanwhile: Callable[[], None] = lambda: None) -> list[bool]:
    """Submit `count` runs at once, and call `meanwhile` during the burst; return the outcomes."""
    barrier, accepted = threading.Barrier(count + 1), list[bool]()

    def one(number: int) -> None:
        barrier.wait(10)
        accepted.append(submit(plane, f"burst {number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    meanwhile()
    for thread in threads:
        thread.join(10)
    return accepted


def members(plane: RealPlane, server: RedisServer) -> set[str]:
    return server.members(key_of(plane.person))


def test_redis_counts_what_the_table_counts(plane: RealPlane, server: RedisServer) -> None:
    assert sum(burst(plane, 3 * QUOTA)) == QUOTA
    assert members(plane, server) == set(plane.rows())
    assert len(plane.rows()) == QUOTA
    # a full window refuses without waiting for the current writer
    with plane.database.transaction():
        assert submit(plane, "while somebody writes") is False


@pytest.mark.parametrize("lose", lost_by(kill))
def test_f50_lost_in_mid_burst_it_lets_none_too_many_in_and_heals(
    plane: RealPlane, server: RedisServer, lose: Callable[[RedisServer], None]
) -> None:
    assert sum(burst(plane, 3 * QUOTA, lambda: lose(server))) == QUOTA
    assert submit(plane, "after") is False
    restore(server, lose)
    plane.wait(lambda: plane.services.limits_mode() is LimitsMode.REDIS, "counted in Redis again")
    assert submit(plane, "healed") is False
    plane.clock.advance(3600)
    assert submit(plane, "an hour later") is True
    assert plane.rows()[0] in members(plane, server)


@pytest.mark.parametrize("lose", lost_by(freeze))
def test_f50_while_it_is_lost_everyone_is_served_in_time_and_pages_are_notified(
    plane: RealPlane, server: RedisServer, lose: Callable[[RedisServer], None]
) -> None:
    told: list[object] = []
    plane.feed.subscribe(lambda one: told.append(one.change))
    assert submit(plane, "before")
    lose(server)
    took: list[float] = []
    for number in range(2 * QUOTA):
        began = monotonic()
        assert submit(plane, f"lost {number}") is (number < QUOTA - 1)
        took.append(monotonic() - began)
    assert statistics.median(took) < SLOW_SECONDS
    assert plane.services.limits_mode() is LimitsMode.DEGRADED
    assert told.count(QuotaChanged("")) == 1
    seen = plane.services.doctor.examine().items
    [found] = [one for one in seen if one.check == "limiter mode"]
    assert (found.level, found.found[:15]) == ("look", "limits degraded")
    restore(server, lose)
    plane.wait(lambda: plane.services.limits_mode() is LimitsMode.REDIS, "counted in Redis again")
    # the windows are restored from the table after an outage
    assert members(plane, server) == set(plane.rows())
    assert told.count(QuotaChanged("")) == 2


def test_f50_absent_at_the_start_it_changes_nothing_for_anyone(tmp_path: Path) -> None:
    with redis_server(started=False) as server, plane_with(tmp_path, server) as plane:
        assert plane.services.limits_mode() is LimitsMode.DEGRADED
        assert sum(burst(plane, 3 * QUOTA)) == QUOTA
        server.start()
        plane.wait(lambda: plane.services.limits_mode() is LimitsMode.REDIS, "counted in Redis")
        assert members(plane, server) == set(plane.rows())


def test_f50_flushed_in_mid_burst_it_learns_from_the_table(
    plane: RealPlane, server: RedisServer
) -> None:
    assert submit(plane, "before")
    assert sum(burst(plane, 3 * QUOTA, lambda: server.tell("FLUSHALL"))) == QUOTA - 1
    server.tell("FLUSHALL")
    assert submit(plane, "after") is False
    assert members(plane, server) == set(plane.rows())
    assert plane.services.limits_mode() is LimitsMode.REDIS


def test_f50_without_memory_left_it_still_counts_right(
    plane: RealPlane, server: RedisServer
) -> None:
    server.tell("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
    assert sum(burst(plane, 3 * QUOTA)) == QUOTA


@pytest.mark.parametrize("person", ["", NOBODY], ids=["the window", "the probe"])
def test_f50_what_is_no_window_is_cleared_away(
    plane: RealPlane, server: RedisServer, person: str
) -> None:
    assert submit(plane, "before")
    key = person or key_of(plane.person)
    server.tell("SET", key, "not a window")
    assert sum(burst(plane, 3 * QUOTA)) == QUOTA - 1
    plane.wait(lambda: plane.services.limits_mode() is LimitsMode.REDIS, "counted in Redis again")
    plane.clock.advance(3600)
    assert submit(plane, "an hour later") is True
    assert plane.rows()[0] in members(plane, server)


def test_places_of_refused_and_repeated_submits_are_given_back(
    plane: RealPlane, server: RedisServer
) -> None:
    project = plane.ledgers.projects.all()[0]
    order = plane.order(project, issue=plane.add_issue(project).number)
    run = plane.accept(order, key="k")
    assert plane.accept(order, key="k").id == run.id
    with pytest.raises(Exception, match="writing to this branch"):
        plane.accept(order, key="another")
    assert members(plane, server) == {run.id}


def test_entries_without_a_run_refuse_no_one(plane: RealPlane, server: RedisServer) -> None:
    # as if servers had died between counter and table until the window was full
    with server.client() as client:
        long_ago = (client.time()[0] - 61) * 1e6
        client.zadd(key_of(plane.person), {f"run_c{n:024}": long_ago for n in range(QUOTA)})
    assert submit(plane, "one") is True
    assert members(plane, server) == set(plane.rows())


# --- batches -------------------------------------------------------------------------------------


def announce(plane: RealPlane, items: int, key: str) -> str | None:
    """Return the id of a batch, or None if the person's window has no room for all its items."""
    project = plane.ledgers.projects.all()[0]
    desk, requester = plane.services.batches, plane.requester(key)
    try:
        return desk.open(project.id, items, None, requester, plane.clock()).batch.id
    except RateLimited:
        return None


def batch_members(plane: RealPlane, server: RedisServer) -> set[str]:
    return server.members(key_of(plane.person, Counted.BATCHES))


@pytest.mark.parametrize("lose", lost_by(refuse_writes))
def test_f50_batches_too_are_held_to_their_window_while_redis_is_lost_and_it_heals(
    plane: RealPlane, server: RedisServer, lose: Callable[[RedisServer], None]
) -> None:
    first = announce(plane, 6, "first")
    assert batch_members(plane, server) == {f"{first}:6"}
    lose(server)
    assert announce(plane, 5, "too many") is None
    last = announce(plane, 4, "all that is left")
    restore(server, lose)
    plane.wait(lambda: plane.services.limits_mode() is LimitsMode.REDIS, "counted in Redis again")
    assert batch_members(plane, server) == {f"{first}:6", f"{last}:4"}
    assert announce(plane, 1, "full") is None


def test_a_key_is_answered_before_the_window_of_batches_and_takes_nothing(
    plane: RealPlane, server: RedisServer
) -> None:
    made = announce(plane, BATCH_QUOTA, "night")
    assert announce(plane, BATCH_QUOTA, "night") == made
    # the window is full before the table is asked
    with plane.database.transaction():
        assert announce(plane, 1, "more") is None
    assert batch_members(plane, server) == {f"{made}:{BATCH_QUOTA}"}


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    url = "redis://somebody:s3cret@127.0.0.1:1/0?password=s3cret"
    with real_plane(tmp_path, redis_url=url) as plane:
        shown = {one.name: one.value for one in plane.services.settings}
        assert shown["RUNYARD_REDIS_URL"] == "redis://somebody:…@127.0.0.1:1/0?password=…"
        assert "s3cret" not in str(plane.services.doctor.examine())
