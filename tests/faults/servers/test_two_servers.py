"""Two servers on one database: one run per key, exact limits, no run lost with its server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from tests.builders.databases import one_postgres
from tests.drivers.servers.redis import redis_server
from tests.drivers.servers.two_servers import Pair, two_servers

LATER = 3600
TABLE, REDIS = "sqlite, runs shared, table", "sqlite, runs apart, redis"
POSTGRESQL = "postgresql, runs shared, table"
QUOTA = 18


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(TABLE, marks=pytest.mark.soak),
        REDIS,
        POSTGRESQL,
    ],
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    is_table = request.param.endswith("table")
    is_postgresql = request.param == POSTGRESQL
    settings = {"RUNYARD_RUN_QUOTA": str(QUOTA), "RUNYARD_REPO_CONCURRENCY": "90"}
    settings["RUNYARD_SWEEP_SECONDS"] = "0.3"
    with ExitStack() as after:
        if not is_table:
            settings["RUNYARD_REDIS_URL"] = after.enter_context(redis_server()).url
        folder = tmp_path_factory.mktemp("two")
        # without tables: one server creates them while the other waits
        bare = one_postgres().create(folder.name) if is_postgresql else None
        pair = after.enter_context(
            two_servers(folder, share_runs=is_table, address=bare, **settings)
        )
        pair.add_project("shop")
        pair.add_project("narrow", max_concurrency=2)
        modes = {client.get("/system").json()["limits"] for client in pair.clients}
        assert modes == {"table" if is_table else "redis"}
        yield pair


def test_f1_fifty_equal_posts_over_both_are_one_run_and_one_agent(pair: Pair) -> None:
    answers = pair.at_once(50, lambda n: pair.start(n % 2, "shop", "one", key="same"))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 49}
    [run_id] = {answer.json()["id"] for answer in answers}
    [(rows,)] = pair.ask("SELECT count(*) FROM runs WHERE idempotency_key = 'same'")
    assert rows == 1
    pair.wait_for_agent(run_id)
    assert (pair.starts(run_id), pair.agents(run_id)) == (1, 1)
    pair.let_go(run_id)
    pair.wait_for_status(run_id, "died")
    assert (pair.starts(run_id), pair.agents(run_id)) == (1, 0)


def test_f6_of_twenty_over_both_a_cap_of_two_accepts_two(pair: Pair) -> None:
    answers = pair.at_once(20, lambda n: pair.start(n % 2, "narrow", f"cap {n}"))
    assert Counter(answer.status_code for answer in answers) == {201: 2, 409: 18}
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {told["error"] for told in refused} == {"concurrency_limit"}
    assert {(told["active"], told["max"]) for told in refused} == {(2, 2)}
    for answer in answers:
        if answer.status_code == 201:
            pair.clients[0].post(f"/runs/{answer.json()['id']}/stop")


@pytest.mark.parametrize("pair", [POSTGRESQL], indirect=True)
def test_of_many_retries_over_both_one_runs_and_the_others_name_it(pair: Pair) -> None:
    first = pair.start(0, "shop", "again").json()["id"]
    pair.let_go(first)
    pair.wait_for_status(first, "died")
    is_released = "SELECT id FROM runs WHERE id = :id AND released_at IS NOT NULL"
    pair.wait_until(lambda: pair.ask(is_released, id=first), "the first is released")
    answers = pair.at_once(12, lambda n: pair.clients[n % 2].post(f"/runs/{first}/retry", json={}))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 11}
    [heir] = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(told["error"], told.get("run_id")) for told in refused} == {("already_running", heir)}
    assert pair.ask("SELECT id FROM runs WHERE retry_of = :id", id=first) == [(heir,)]
    assert pair.clients[1].get(f"/runs/{first}").json()["retried_by"] == [heir]
    pair.let_go(heir)
    pair.wait_for_status(heir, "died")
    assert pair.starts(heir) == 1


@pytest.mark.parametrize("pair", [POSTGRESQL], indirect=True)
def test_what_one_changes_is_shown_live_by_the_other_on_postgresql(pair: Pair) -> None:
    run_id = ""
    with pair.clients[1].stream("GET", "/events") as feed:
        lines = feed.iter_lines()
        next(lines)
        run_id = pair.start(0, "shop", "shown", delay=LATER).json()["id"]
        assert next(line for line in lines if line.startswith("data:") and run_id in line)
    pair.clients[0].post(f"/runs/{run_id}/stop", json={"because": "seen"})
    pair.wait_for_status(run_id, "stopped")


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(TABLE, marks=pytest.mark.soak),
        REDIS,
        pytest.param(POSTGRESQL, marks=pytest.mark.soak),
    ],
    indirect=True,
)
def test_runs_whose_server_was_killed_have_one_agent_and_one_end(pair: Pair) -> None:
    run_id = start_under_way(pair, 0)
    lost = pair.taken_by(run_id)
    # and one that is killed at any point of its launch
    fresh = pair.start(lost, "shop", "just accepted").json()["id"]
    pair.kill(lost)
    try:
        if pair.shares_runs:
            see_taken_over(pair, run_id, lost)
    finally:
        pair.restart(lost)
    see_one_end(pair, run_id)
    pair.wait_for_status(fresh, "running", "not_started")
    if pair.status(fresh) == "running":
        pair.let_go(fresh)
        pair.wait_for_status(fresh, "died")
    assert pair.starts(fresh) <= 1
    assert pair.agents(fresh) == 0


@pytest.mark.parametrize("pair", [POSTGRESQL], indirect=True)
def test_f5_each_ready_issue_is_started_once_and_a_sweeper_that_was_killed_is_followed(
    pair: Pair,
) -> None:
    under_way = [start_under_way(pair, server) for server in (0, 1)]
    pair.add_deliverer("loop")
    for _ in range(5):
        pair.add_issue("loop")
    pair.set_auto("loop", enabled=True)
    pair.wait_until(lambda: any(one[3] == "succeeded" for one in pair.of_issues()), "one is done")
    lost = pair.sweeper()
    assert lost is not None
    # usually each runs at the server where it was started, but both may be taken by one
    while lost not in map(pair.taken_by, under_way):
        under_way.append(start_under_way(pair, lost))
    of_lost = [run_id for run_id in under_way if pair.taken_by(run_id) == lost]
    killed_at = datetime.now(UTC)
    pair.kill(lost)
    try:
        pair.wait_until(lambda: pair.sweeper() == 1 - lost, "the other sweeps")
        assert pair.began_to_sweep(1 - lost) - killed_at <= timedelta(seconds=15)
        for run_id in of_lost:
            see_taken_over(pair, run_id, lost)
        pair.wait_until(lambda: are_over(pair, 5), "every issue had its run")
    finally:
        pair.restart(lost)
    begun = pair.sweeps(1 - lost)
    for run_id in under_way:
        see_one_end(pair, run_id)
    pair.wait_until(lambda: pair.sweeps(1 - lost) >= begun + 3, "it sweeps on")
    of_issues = pair.of_issues()
    assert Counter(issue for _, _, issue, _ in of_issues) == dict.fromkeys(range(1, 6), 1)
    assert all(pair.starts(run_id) == 1 for run_id, *_ in of_issues)


def start_under_way(pair: Pair, server: int) -> str:
    """Start a run at a server; return its id once its agent works."""
    run_id = str(pair.start(server, "shop", f"at {server}").json()["id"])
    pair.wait_for_agent(run_id)
    return run_id


def see_taken_over(pair: Pair, run_id: str, lost: int) -> None:
    """Wait until another server than the lost one has taken the run over, still running."""
    pair.wait_until(lambda: pair.taken_by(run_id) != lost, "the other has taken it over")
    assert pair.status(run_id) == "running"


def see_one_end(pair: Pair, run_id: str) -> None:
    """Let a run's agent finish; assert that it was the only one and ended the run."""
    pair.let_go(run_id)
    pair.wait_for_status(run_id, "died")
    assert (pair.starts(run_id), pair.agents(run_id)) == (1, 0)


def are_over(pair: Pair, count: int) -> bool:
    runs = pair.of_issues()
    return len(runs) >= count and all(status == "succeeded" for *_, status in runs)


def test_f7_of_three_times_as_many_over_both_the_window_accepts_what_it_holds(pair: Pair) -> None:
    # the last test that starts runs, because the window is full afterwards
    orders: dict[str, dict[str, Any]] = {"ended": {}, "open": {"delay": LATER}}
    for key, order in orders.items():
        first = pair.start(0, "shop", "one", key=key, **order)
        assert first.status_code == 201, first.text
        if key == "ended":
            pair.let_go(first.json()["id"])
            pair.wait_for_status(first.json()["id"], "died")
    quotas = [client.get("/quota/runs").json() for client in pair.clients]
    assert quotas[0] == quotas[1]
    left = quotas[0]["remaining"]
    assert left >= 5
    answers = pair.at_once(3 * left, lambda n: pair.start(n % 2, "shop", f"{n}", delay=LATER))
    assert Counter(answer.status_code for answer in answers) == {201: left, 429: 2 * left}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    [(rows,)] = pair.ask("SELECT count(*) FROM runs WHERE charged_to IS NOT NULL")
    assert rows == QUOTA
    # a key that was accepted is still answered, also once its run has ended
    for server, (key, order) in product((0, 1), orders.items()):
        again = pair.start(server, "shop", "one", key=key, **order)
        assert again.status_code == 200, again.text
        assert again.headers["idempotency-replayed"] == "true"
