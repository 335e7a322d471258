"""The sliding window, from the table and with Redis in front of it: the same rule, always."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.counters.redis_windows import RedisWindows, key_of
from app.domain.ids import mint_control_id
from app.errors import RateLimited
from app.records.database import Database
from app.records.run_ledger import RunLedger
from app.services.counting import Counting
from app.services.quota import Places, Quota
from tests.records.samples import NOW, draft_run, entropy, opened_database, run_id, stores_on
from tests.redis_server import RedisServer, redis_server

LIMIT, SECONDS = 3, 60
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def somebody() -> str:
    """A person nobody has heard of before."""
    return mint_control_id("person", at_ms=0, entropy=entropy(10))


class Window:
    """A person's submits to one window, each at a time of its own."""

    def __init__(self, database: Database, windows: RedisWindows | None) -> None:
        stores = stores_on(database)
        self.ledger = RunLedger(stores)
        counting = Counting(windows, self.ledger, SECONDS, lambda _: None)
        self.places = Places(Quota(LIMIT, SECONDS), stores, counting)

    def submit(self, person_id: str, now: datetime) -> int | None:
        """Accept a run; the seconds to wait where it is refused."""
        run = draft_run(created_at=now, charged_to=person_id)
        with self.places.place(person_id, run.id, now) as place:
            if place.refusal is not None:
                return int(place.refusal.members["retry_after"])
            try:
                with self.ledger.stores.control.transaction() as tx:
                    place.charge(tx)
                    self.ledger.insert(tx, run, sentence="accepted")
            except RateLimited as refusal:
                return int(refusal.members["retry_after"])
            place.keep()
        return None


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def windows(server: RedisServer) -> Iterator[RedisWindows]:
    windows = RedisWindows(server.url, limit=LIMIT, seconds=SECONDS)
    yield windows
    windows.close()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    file: Path = tmp_path_factory.mktemp("windows") / "x.db"
    database = opened_database(file, lambda _: None)
    yield database
    database.close()


@pytest.fixture(params=["table", "redis"])
def window(request: pytest.FixtureRequest, database: Database) -> Window:
    is_counted = request.param == "redis"
    return Window(database, request.getfixturevalue("windows") if is_counted else None)


@FEW
@given(gaps=st.lists(st.floats(0, SECONDS * 0.6), min_size=1, max_size=14))
def test_never_more_than_the_limit_in_any_window(window: Window, gaps: list[float]) -> None:
    person_id, accepted = somebody(), []
    for now in itertools.accumulate(gaps, lambda at, gap: at + timedelta(seconds=gap), initial=NOW):
        inside = [at for at in accepted if at > now - timedelta(seconds=SECONDS)]
        wait = window.submit(person_id, now)
        assert (wait is None) is (len(inside) < LIMIT)
        if wait is None:
            accepted.append(now)
        else:
            left = (inside[0] + timedelta(seconds=SECONDS) - now).total_seconds()
            assert wait == max(1, math.ceil(left))


@FEW
@given(gaps=st.lists(st.floats(0, 7), min_size=LIMIT, max_size=LIMIT), wait_more=st.floats(0, 5))
def test_whoever_waits_as_long_as_told_is_not_refused_again(
    window: Window, gaps: list[float], wait_more: float
) -> None:
    person_id, now = somebody(), NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        assert window.submit(person_id, now) is None
    wait = window.submit(person_id, now)
    assert wait is not None
    later = now + timedelta(seconds=wait + wait_more)
    assert window.submit(person_id, later) is None


def test_three_times_as_many_at_once_are_exactly_the_limit(window: Window) -> None:
    person_id, waits = somebody(), list[int | None]()
    barrier = threading.Barrier(3 * LIMIT)

    def submit() -> None:
        barrier.wait(10)
        waits.append(window.submit(person_id, NOW))

    threads = [threading.Thread(target=submit) for _ in range(3 * LIMIT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(wait is None for wait in waits) == [False] * 2 * LIMIT + [True] * LIMIT
    assert set(waits) == {None, SECONDS}


# --- the script alone, by the server's own clock -------------------------------------------------


@FEW
@given(whole=st.lists(st.integers(0, 2 * SECONDS), max_size=2 * LIMIT))
def test_a_place_is_taken_where_fewer_are_inside(windows: RedisWindows, whole: list[int]) -> None:
    person_id = somebody()
    # half a second from the edge: the server's clock goes on between two calls
    ages = {run_id(): age + 0.5 for age in whole}
    windows.restore(person_id, ages)
    inside = sum(age < SECONDS for age in ages.values())
    standing = windows.take(person_id, run_id())
    assert (standing.used, standing.taken) == (inside, inside < LIMIT)
    # the same submit again takes no second place
    one = run_id()
    taken = [windows.take(person_id, one) for _ in range(2)]
    assert taken[0] == taken[1]
    windows.give_back(person_id, one)
    assert windows.take(person_id, run_id()).used == inside + standing.taken


def test_of_thirty_at_once_the_limit_have_a_place(windows: RedisWindows) -> None:
    person_id, taken = somebody(), list[bool]()
    barrier = threading.Barrier(30)

    def take() -> None:
        barrier.wait(10)
        taken.append(windows.take(person_id, run_id()).taken)

    threads = [threading.Thread(target=take) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(taken), sum(taken)) == (30, LIMIT)


def test_a_place_whose_run_never_came_is_dropped_once_it_is_old(
    windows: RedisWindows, server: RedisServer
) -> None:
    person_id, young, known = somebody(), run_id(), run_id()
    with server.client() as client:
        now = client.time()[0]
        client.zadd(key_of(person_id), {"run_cold": now * 1e6 - 61e6, "run_cnew": now * 1e6 + 9e6})
    windows.take(person_id, young)
    windows.restore(person_id, {known: 5})
    assert server.members(key_of(person_id)) == {young, known}


def test_a_window_leaves_nothing_behind_once_it_is_over(
    windows: RedisWindows, server: RedisServer
) -> None:
    person_id = somebody()
    windows.take(person_id, run_id())
    with server.client() as client:
        left = client.pttl(key_of(person_id))
    assert 0 < left <= SECONDS * 1000


@pytest.mark.parametrize("person_id", ["a:runs", "*", "a\nb", "", "operator", "person_*", "../x"])
def test_a49_only_ids_of_our_own_making_become_names(windows: RedisWindows, person_id: str) -> None:
    with pytest.raises(ValueError, match="no person's id"):
        windows.take(person_id, run_id())
    with pytest.raises(ValueError, match="no run's id"):
        windows.take(somebody(), person_id)
