"""Two servers, of which one sweeps: an action at the other one starts runs at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders.databases import POSTGRESQL, one_postgres, postgresql_in_brief
from tests.drivers.servers.entry import CLOCK
from tests.drivers.servers.two_servers import SECONDS, Pair, two_servers

# too long for the scheduler to sweep within a test
RARELY = "600"
FAILS = ["/bin/sh", "-c", "exit 3"]


@pytest.fixture(scope="module", params=postgresql_in_brief())
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("elsewhere")
    address = one_postgres().create(folder.name) if request.param == POSTGRESQL else None
    settings = {"RUNYARD_SWEEP_SECONDS": RARELY, CLOCK: str(folder / "clock")}
    with two_servers(folder, share_runs=True, address=address, **settings) as pair:
        pair.wait_until(lambda: pair.sweeper() is not None, "one of them sweeps")
        yield pair


def test_reset_pressed_at_the_server_that_does_not_sweep_starts_the_next_issue(pair: Pair) -> None:
    project = pair.add_project("fails", agent_command=FAILS)
    path = f"/projects/{project}"
    for _ in range(4):
        pair.add_issue("fails")
    sweeper, other = roles(pair)
    for number in (1, 2, 3):
        pair.clients[other].post(f"{path}/afk/start", json={"issue": number}).raise_for_status()
        pair.wait_until(lambda n=number: ended(pair, project) == n, f"run {number} has failed")
    pair.clients[other].put(f"{path}/afk/auto", json={"enabled": True}).raise_for_status()
    assert pair.clients[sweeper].get(path).json()["paused"]

    before = pair.sweeps(sweeper)
    pair.clients[other].post(f"{path}/afk/reset").raise_for_status()
    pair.wait_until(lambda: auto_runs(pair, project) >= 1, "the loop has started issue 4")
    pair.wait_until(lambda: pair.sweeps(sweeper) > before, "the sweep that was asked for is over")


def test_auto_switched_on_at_the_server_that_does_not_sweep_starts_an_issue(pair: Pair) -> None:
    project = pair.add_deliverer("ready")
    pair.add_issue("ready")
    _, other = roles(pair)
    answer = pair.clients[other].put(f"/projects/{project}/afk/auto", json={"enabled": True})
    answer.raise_for_status()
    pair.wait_until(lambda: auto_runs(pair, project) == 1, "the loop has started the issue")


def test_a_run_that_ends_at_the_server_that_does_not_sweep_makes_room_for_the_next_issue(
    pair: Pair,
) -> None:
    project = pair.add_deliverer("chain")
    pair.add_issue("chain")
    pair.add_issue("chain")
    _, other = roles(pair)
    answer = pair.clients[other].put(f"/projects/{project}/afk/auto", json={"enabled": True})
    answer.raise_for_status()
    # each end requests the next start, on whichever server it is noticed
    pair.wait_until(lambda: auto_runs(pair, project) == 2, "both issues had their run")


def test_the_server_that_takes_over_does_what_was_asked_of_the_one_that_is_gone(
    pair: Pair,
) -> None:
    project = pair.add_deliverer("orphaned")
    pair.add_issue("orphaned")
    sweeper, other = roles(pair)
    pair.kill(sweeper)
    try:
        answer = pair.clients[other].put(f"/projects/{project}/afk/auto", json={"enabled": True})
        answer.raise_for_status()
        # the lease of the one that is gone has ended
        (pair.folder / "clock").write_text("11")
        pair.wait_until(lambda: auto_runs(pair, project) == 1, "the follower has started the issue")
        assert pair.sweeper() == other
    finally:
        pair.restart(sweeper)


def roles(pair: Pair) -> tuple[int, int]:
    """Return the index of the server that sweeps, and of the other one."""
    sweeper = pair.sweeper()
    assert sweeper is not None, f"nobody took the lease within {SECONDS} s"
    return sweeper, 1 - sweeper


def auto_runs(pair: Pair, project: str) -> int:
    query = "SELECT count(*) FROM runs WHERE project_id = :id AND trigger = 'auto'"
    [(count,)] = pair.ask(query, id=project)
    return int(count)


def ended(pair: Pair, project: str) -> int:
    query = "SELECT count(*) FROM runs WHERE project_id = :id AND released_at IS NOT NULL"
    [(count,)] = pair.ask(query, id=project)
    return int(count)
