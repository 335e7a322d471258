"""Two servers on one PostgreSQL, Redis and runs folder; the one that sweeps is killed repeatedly.

`SOAK_SWEEPS` (200) is the number of sweeps to wait for, over both; twenty issues are always ready.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.builders.databases import one_postgres
from tests.drivers.servers.redis import redis_server
from tests.drivers.servers.two_servers import Pair, two_servers

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SWEEPS = int(os.environ.get("SOAK_SWEEPS", "200"))
READY = 20
# number of sweeps after which the sweeping server is killed
KILLED_EVERY = 40
PROJECTS = ("north", "east", "south", "west")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_server() as redis:
        settings = {"RUNYARD_REDIS_URL": redis.url, "RUNYARD_SWEEP_SECONDS": "0.5"}
        address = one_postgres().create("soak_of_two")
        with two_servers(tmp_path, share_runs=True, address=address, **settings) as pair:
            yield pair


def test_f5_over_two_hundred_sweeps_no_issue_and_no_run_is_started_twice(pair: Pair) -> None:
    for name in PROJECTS:
        pair.add_deliverer(name)
        for _ in range(READY // len(PROJECTS)):
            pair.add_issue(name)
    for name in PROJECTS:
        pair.set_auto(name, enabled=True)
    added, done, kills = READY, 0, 0
    while done < SWEEPS:
        pair.wait_until(lambda: pair.sweeper() is not None, "somebody sweeps")
        now = pair.sweeper()
        assert now is not None
        goal = pair.sweeps(now) + KILLED_EVERY
        while pair.sweeps(now) < goal:
            wait_for_sweep(pair, now)
            added += fill_up(pair, added)
        done += KILLED_EVERY
        if done < SWEEPS:
            kill(pair, now)
            kills += 1
    for name in PROJECTS:
        pair.set_auto(name, enabled=False)
    pair.wait_until(
        lambda: all(one[3] == "succeeded" for one in pair.of_issues()), "nothing is open"
    )
    runs = pair.of_issues()
    print(f"\n{done} sweeps, {kills} kills, {len(runs)} runs of {added} issues")
    assert len(runs) >= READY
    assert max(Counter((project, issue) for _, project, issue, _ in runs).values()) == 1
    assert {pair.starts(run_id) for run_id, *_ in runs} == {1}


def wait_for_sweep(pair: Pair, server: int) -> None:
    begun = pair.sweeps(server)
    pair.wait_until(lambda: pair.sweeps(server) > begun, "it sweeps")


def fill_up(pair: Pair, added: int) -> int:
    """Add as many issues as have been taken; return how many."""
    lacking = READY - (added - len(pair.of_issues()))
    for number in range(lacking):
        pair.add_issue(PROJECTS[number % len(PROJECTS)])
    return max(0, lacking)


def kill(pair: Pair, sweeper: int) -> None:
    """Kill the sweeping server, check that the other takes over in time, and restart the first."""
    killed_at = datetime.now(UTC)
    pair.kill(sweeper)
    pair.wait_until(lambda: pair.sweeper() == 1 - sweeper, "the other sweeps")
    assert pair.began_to_sweep(1 - sweeper) - killed_at <= timedelta(seconds=15)
    pair.restart(sweeper)
