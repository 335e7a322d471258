"""Two servers on one PostgreSQL, both told to act on one change: one of them does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.builders.databases import one_postgres
from tests.builders.repositories import run_git
from tests.drivers.servers.two_servers import SECONDS, Pair, two_servers
from tests.fakes.agents.runs import until

AT_ONCE = 6
RULES = {"checks": [{"name": "tests", "command": ["true"]}], "autoland": {"enabled": True}}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("both")
    bare = one_postgres().create(folder.name)
    with two_servers(folder, share_runs=True, address=bare) as pair:
        pair.add_deliverer("shop")
        yield pair


def delivered(pair: Pair) -> tuple[str, int]:
    """Let a run deliver a change; return the change's path and number."""
    run_id = pair.start(0, "shop", "Add a file").json()["id"]
    path = f"/runs/{run_id}"
    until(lambda: pair.clients[0].get(path).json()["released_at"], "released", SECONDS)
    run = pair.clients[0].get(path).json()
    assert run["status"] == "succeeded", run["because"]
    number = run["delivery"]["number"]
    return f"/projects/{pair.projects['shop']}/changes/{number}", number


def merges(pair: Pair, number: int) -> int:
    """Return how many merges of a change origin's history has."""
    told = run_git(pair.folder / "shop", "log", "--merges", "--format=%s", "main")
    return told.count(f"change #{number}:")


def test_of_merges_at_once_over_both_one_is_made_and_the_others_are_told(pair: Pair) -> None:
    change, number = delivered(pair)
    answers = pair.at_once(AT_ONCE, lambda n: pair.clients[n % 2].post(f"{change}/merge"))
    assert Counter(one.status_code for one in answers) == {200: 1, 409: AT_ONCE - 1}
    refused = [one.json() for one in answers if one.status_code == 409]
    assert {(one["error"], one["detail"]) for one in refused} == {
        ("already_ended", "This change request is already merged.")
    }
    assert merges(pair, number) == 1


def test_of_undos_at_once_over_both_one_opens_a_change_and_the_others_name_it(
    pair: Pair,
) -> None:
    change, _ = delivered(pair)
    pair.clients[0].post(f"{change}/merge").raise_for_status()
    answers = pair.at_once(AT_ONCE, lambda n: pair.clients[n % 2].post(f"{change}/undo"))
    assert Counter(one.status_code for one in answers) == {201: 1, 200: AT_ONCE - 1}
    assert len({one.json()["number"] for one in answers}) == 1
    [revert] = {one.json()["number"] for one in answers}
    path = f"/projects/{pair.projects['shop']}/changes/{revert}/merge"
    merged = pair.at_once(2, lambda n: pair.clients[n].post(path))
    assert sorted(one.status_code for one in merged) == [200, 409]


def test_of_requests_at_once_over_both_one_sends_the_drafts(pair: Pair) -> None:
    change, number = delivered(pair)
    pair.clients[0].post(f"{change}/comments", json={"text": "Once more."}).raise_for_status()
    path = f"{change}/request-changes"
    answers = pair.at_once(AT_ONCE, lambda n: pair.clients[n % 2].post(path, json={}))
    codes = Counter(one.status_code for one in answers)
    assert codes[201] == 1, [one.text for one in answers]
    [run_id] = [one.json()["id"] for one in answers if one.status_code == 201]
    # either the branch is taken, or no draft is left
    refused = {one.json()["error"] for one in answers if one.status_code != 201}
    assert refused <= {"pr_lock", "invalid"}
    rows = pair.ask("SELECT id FROM runs WHERE pr_number = :number", number=number)
    assert rows == [(run_id,)]
    pair.wait_for_status(run_id, "succeeded")
    assert pair.starts(run_id) == 1


# last: from here on the project merges by itself
def test_a_change_is_landed_once_though_both_look_at_it(pair: Pair) -> None:
    path = f"/projects/{pair.projects['shop']}"
    pair.clients[0].patch(path, json=RULES).raise_for_status()
    change, number = delivered(pair)
    for client in pair.clients:
        until(lambda one=client: one.get(change).json()["state"] == "merged", "landed", SECONDS)
    assert merges(pair, number) == 1
    acts = pair.ask("SELECT object FROM audit WHERE deed = 'autoland'")
    assert len(acts) == 1
