"""The sliding windows follow the same rule from the tables and with Redis in front of them."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.counters.redis_windows import RedisWindows, key_of
from app.domain.ids import mint_control_id
from app.domain.quota import Counted, SetLimits
from app.errors import NoPlaces, RateLimited, Refusal
from app.records.batches.batch_ledger import BatchLedger
from app.records.database.database import Database
from app.records.runs.run_ledger import RunLedger
from app.services.limits.counters import CounterService, charged_batches, charged_runs
from app.services.limits.quota import BatchQuota, Places, Quota
from app.services.ports import Charge
from tests.builders.rows import (
    NOW,
    batch_id,
    draft_batch,
    draft_run,
    entropy,
    opened_database,
    run_id,
    stores_on,
)
from tests.drivers.servers.redis import RedisServer, redis_server

LIMIT, SECONDS = 3, 60
ITEMS = 10
NEVER = -1
BOTH_SECONDS = {Counted.RUNS: SECONDS, Counted.BATCHES: SECONDS}
Answer = TypeVar("Answer")
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def somebody() -> str:
    """Return the id of a new person."""
    return mint_control_id("person", at_ms=0, entropy=entropy(10))


def one_run() -> Charge:
    """Return the charge of a new run."""
    return Charge(Counted.RUNS, run_id())


class Window:
    """Submits by one person against the quota windows, each at a given time."""

    def __init__(self, database: Database, windows: RedisWindows | None) -> None:
        stores = stores_on(database)
        self.ledger, self.batches = RunLedger(stores), BatchLedger(stores)
        tables = {
            Counted.RUNS: charged_runs(self.ledger, SECONDS),
            Counted.BATCHES: charged_batches(self.batches, SECONDS),
        }
        counting = CounterService(windows, tables, lambda _: None)
        # limits that an admin set, by person
        self.limits: dict[str, SetLimits] = {}
        runs = Quota(LIMIT, SECONDS, self.limits_of)
        self.places = Places(runs, Counted.RUNS, stores, counting)
        rule = BatchQuota(ITEMS, SECONDS, self.limits_of, self.batches)
        self.batch_places = Places(rule, Counted.BATCHES, stores, counting)

    def limits_of(self, person_id: str) -> SetLimits | None:
        """Return the limits that are set for a person and their role."""
        return self.limits.get(person_id)

    def announce(self, person_id: str, items: int, now: datetime) -> int | None:
        """Create a batch; return None, or the seconds to wait if it is refused."""
        batch = draft_batch(created_at=now, created_by=person_id, run_count=items)
        with self.batch_places.place(person_id, batch.id, now, items) as place:
            if place.refusal is not None:
                return _wait_of(place.refusal)
            try:
                with self.batches.stores.control.transaction() as tx:
                    place.charge(tx)
                    self.batches.insert(tx, batch)
            except (RateLimited, NoPlaces) as refusal:
                return _wait_of(refusal)
            place.keep()
        return None

    def submit(self, person_id: str, now: datetime) -> int | None:
        """Accept a run; return None, or the seconds to wait if it is refused."""
        run = draft_run(created_at=now, charged_to=person_id)
        with self.places.place(person_id, run.id, now) as place:
            if place.refusal is not None:
                return _wait_of(place.refusal)
            try:
                with self.ledger.stores.control.transaction() as tx:
                    place.charge(tx)
                    self.ledger.insert(tx, run, sentence="accepted")
            except (RateLimited, NoPlaces) as refusal:
                return _wait_of(refusal)
            place.keep()
        return None


def _wait_of(refusal: Refusal) -> int:
    # a window without any places is never free
    return int(refusal.members.get("retry_after", NEVER))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def windows(server: RedisServer) -> Iterator[RedisWindows]:
    windows = RedisWindows(server.url, BOTH_SECONDS)
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
def test_a_caller_that_waits_as_long_as_asked_is_not_refused_again(
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


def all_at_once(count: int, act: Callable[[], Answer]) -> list[Answer]:
    """Call `act` from many threads at once; return the answers."""
    barrier, answers = threading.Barrier(count), list[Answer]()

    def one() -> None:
        barrier.wait(10)
        answers.append(act())

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return answers


def test_three_times_as_many_at_once_are_exactly_the_limit(window: Window) -> None:
    person_id = somebody()
    waits = all_at_once(3 * LIMIT, lambda: window.submit(person_id, NOW))
    assert sorted(wait is None for wait in waits) == [False] * 2 * LIMIT + [True] * LIMIT
    assert set(waits) == {None, SECONDS}


# --- batches: charged once, by every item, all or nothing ----------------------------------------

SIZES = st.lists(st.tuples(st.floats(0, SECONDS * 0.6), st.integers(1, ITEMS)), max_size=12)


@FEW
@given(asked=SIZES)
def test_a_batch_goes_in_whole_or_not_at_all_and_waits_for_all_of_its_room(
    window: Window, asked: list[tuple[float, int]]
) -> None:
    person_id, now, charged = somebody(), NOW, list[tuple[datetime, int]]()
    for gap, items in asked:
        now += timedelta(seconds=gap)
        inside = [one for one in charged if one[0] > now - timedelta(seconds=SECONDS)]
        over = sum(count for _, count in inside) + items - ITEMS
        wait = window.announce(person_id, items, now)
        assert (wait is None) is (over <= 0)
        if wait is None:
            charged.append((now, items))
            continue
        freed = itertools.accumulate(count for _, count in inside)
        last = next(at for (at, _), enough in zip(inside, freed, strict=True) if enough >= over)
        left = (last + timedelta(seconds=SECONDS) - now).total_seconds()
        assert wait == max(1, math.ceil(left))


def test_batches_at_once_are_never_more_than_the_limit_together(window: Window) -> None:
    person_id = somebody()
    waits = all_at_once(8, lambda: window.announce(person_id, 4, NOW))
    assert sorted(wait is None for wait in waits) == [False] * 6 + [True] * 2
    assert window.announce(person_id, 2, NOW) is None, "what was refused has taken nothing"


def test_runs_and_batches_have_a_window_each(window: Window) -> None:
    person_id = somebody()
    assert window.announce(person_id, ITEMS, NOW) is None
    assert [window.submit(person_id, NOW) for _ in range(LIMIT + 1)] == [None] * LIMIT + [SECONDS]
    assert window.announce(person_id, 1, NOW) == SECONDS


# --- limits that an admin sets: for a person, for a role ------------------------------------------


def test_two_people_have_their_own_limits_at_the_same_time(window: Window) -> None:
    busy, careful = somebody(), somebody()
    window.limits = {busy: SetLimits(own=5), careful: SetLimits(own=1)}
    waits = all_at_once(8, lambda: (window.submit(busy, NOW), window.submit(careful, NOW)))
    assert sum(theirs is None for theirs, _ in waits) == 5
    assert sum(theirs is None for _, theirs in waits) == 1


def test_a_persons_limit_goes_before_the_roles_and_that_before_the_servers(window: Window) -> None:
    own, of_role, of_nobody = somebody(), somebody(), somebody()
    window.limits = {own: SetLimits(own=4, of_role=1), of_role: SetLimits(of_role=1)}
    accepted = {
        one: sum(window.submit(one, NOW) is None for _ in range(6))
        for one in (own, of_role, of_nobody)
    }
    assert accepted == {own: 4, of_role: 1, of_nobody: LIMIT}


def test_a_change_holds_for_the_next_submit_up_and_down(window: Window) -> None:
    person_id = somebody()
    assert [window.submit(person_id, NOW) for _ in range(LIMIT + 1)][-1] == SECONDS
    window.limits[person_id] = SetLimits(own=LIMIT + 1)
    assert window.submit(person_id, NOW) is None
    window.limits[person_id] = SetLimits(own=1)
    assert window.submit(person_id, NOW) == SECONDS
    del window.limits[person_id]
    assert window.submit(person_id, NOW + timedelta(seconds=SECONDS + 1)) is None


def test_after_a_lower_limit_as_many_runs_must_leave_as_are_too_many(window: Window) -> None:
    person_id = somebody()
    for second in range(LIMIT):
        assert window.submit(person_id, NOW + timedelta(seconds=second)) is None
    window.limits[person_id] = SetLimits(own=1)
    now = NOW + timedelta(seconds=10)
    wait = window.submit(person_id, now)
    assert wait == SECONDS + LIMIT - 1 - 10, "the last of the three is the one that counts"
    assert window.submit(person_id, now + timedelta(seconds=wait - 1)) == 1
    assert window.submit(person_id, now + timedelta(seconds=wait)) is None


def test_with_the_limit_zero_nothing_starts_and_no_time_is_promised(window: Window) -> None:
    person_id = somebody()
    window.limits[person_id] = SetLimits(own=0)
    assert window.submit(person_id, NOW) == NEVER
    assert window.announce(person_id, 1, NOW) == NEVER
    window.limits[person_id] = SetLimits(of_role=0)
    assert window.submit(person_id, NOW) == NEVER


def test_the_limit_of_batch_items_is_held_in_the_same_way(window: Window) -> None:
    person_id = somebody()
    window.limits[person_id] = SetLimits(own=4)
    assert window.announce(person_id, 3, NOW) is None
    assert window.announce(person_id, 2, NOW) == SECONDS
    assert window.announce(person_id, 1, NOW) is None
    assert window.announce(person_id, 5, NOW) == NEVER, "more than the limit ever allows"


# --- the script alone, by Redis's own clock ------------------------------------------------------


@FEW
@given(whole=st.lists(st.integers(0, 2 * SECONDS), max_size=2 * LIMIT))
def test_a_place_is_taken_where_fewer_are_inside(windows: RedisWindows, whole: list[int]) -> None:
    person_id = somebody()
    # half a second from the edge: Redis's clock advances between two calls
    ages = {one_run(): age + 0.5 for age in whole}
    windows.restore(person_id, Counted.RUNS, ages)
    inside = sum(age < SECONDS for age in ages.values())
    standing = windows.take(person_id, one_run(), LIMIT)
    assert (standing.used, standing.taken) == (inside, inside < LIMIT)
    # submitting the same run again takes no second place
    one = one_run()
    taken = [windows.take(person_id, one, LIMIT) for _ in range(2)]
    assert taken[0] == taken[1]
    windows.release(person_id, one)
    assert windows.take(person_id, one_run(), LIMIT).used == inside + standing.taken


@FEW
@given(known=st.lists(st.tuples(st.integers(0, 2 * SECONDS), st.integers(1, 4)), max_size=6))
def test_a_charge_of_many_takes_all_its_places_or_none(
    windows: RedisWindows, known: list[tuple[int, int]]
) -> None:
    person_id = somebody()
    ages = {Charge(Counted.BATCHES, batch_id(), items): age + 0.5 for age, items in known}
    windows.restore(person_id, Counted.BATCHES, ages)
    inside = sum(charge.items for charge, age in ages.items() if age < SECONDS)
    one = Charge(Counted.BATCHES, batch_id(), 3)
    taken = [windows.take(person_id, one, ITEMS) for _ in range(2)]
    assert taken[0] == taken[1]
    assert (taken[0].used, taken[0].taken) == (inside, inside + 3 <= ITEMS)
    windows.release(person_id, one)
    assert windows.take(person_id, Charge(Counted.BATCHES, batch_id(), 1), ITEMS).used == inside


def test_of_thirty_at_once_the_limit_have_a_place(windows: RedisWindows) -> None:
    person_id = somebody()
    taken = all_at_once(30, lambda: windows.take(person_id, one_run(), LIMIT).taken)
    assert (len(taken), sum(taken)) == (30, LIMIT)


def test_a_place_whose_run_never_came_is_dropped_once_it_is_old(
    windows: RedisWindows, server: RedisServer
) -> None:
    person_id, young, known = somebody(), one_run(), one_run()
    with server.client() as client:
        now = client.time()[0]
        client.zadd(key_of(person_id), {"run_cold": now * 1e6 - 61e6, "run_cnew": now * 1e6 + 9e6})
    windows.take(person_id, young, LIMIT)
    windows.restore(person_id, Counted.RUNS, {known: 5})
    assert server.members(key_of(person_id)) == {young.id, known.id}


def test_a_window_leaves_nothing_behind_once_it_is_over(
    windows: RedisWindows, server: RedisServer
) -> None:
    person_id = somebody()
    windows.take(person_id, one_run(), LIMIT)
    with server.client() as client:
        left = client.pttl(key_of(person_id))
    assert 0 < left <= SECONDS * 1000


@pytest.mark.parametrize("person_id", ["a:runs", "*", "a\nb", "", "operator", "person_*", "../x"])
def test_a49_only_ids_of_our_own_making_become_names(windows: RedisWindows, person_id: str) -> None:
    with pytest.raises(ValueError, match="no person's id"):
        windows.take(person_id, one_run(), LIMIT)
    with pytest.raises(ValueError, match="no run's id"):
        windows.take(somebody(), Charge(Counted.RUNS, person_id), LIMIT)
    with pytest.raises(ValueError, match="no batch's id"):
        windows.take(somebody(), Charge(Counted.BATCHES, person_id, 2), ITEMS)
