"""A server killed around a push to a change request, or an undo: nothing is doubled or lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.builders.repositories import run_git
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer

# adds a line, and a commit with the run's id
AGENT = """
echo "$RUNYARD_RUN_ID" >> lines && git add -A && git commit -qm "$RUNYARD_RUN_ID"
"""
CHECKS = [{"name": "tests", "command": ["true"], "timeout_seconds": 60, "required": True}]


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    folder = tmp_path_factory.mktemp("changed")
    one = Doomed(folder, RunyardServer(folder / "data"))
    with one.begun(AGENT):
        with one.server.client() as client:
            answer = client.patch(f"/projects/{one.project}", json={"checks": CHECKS})
            assert answer.status_code == 200, answer.text
        assert one.released(one.run_an_issue())["status"] == "succeeded"
        yield one


def begin(doomed: Doomed) -> str:
    """Start a run on change request #2; return its id."""
    with doomed.server.client() as client:
        answer = client.post("/runs", json={"project_id": doomed.project, "pr_number": 2})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def at_origin(doomed: Doomed, *args: str) -> str:
    return run_git(doomed.folder / "origin", *args)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("delivery.before_push", marks=pytest.mark.soak),
        "delivery.after_push",
        pytest.param("delivery.after_update", marks=pytest.mark.soak),
    ],
)
def test_a_crash_around_the_push_to_a_change_doubles_and_loses_nothing(
    doomed: Doomed, point: str
) -> None:
    before = at_origin(doomed, "rev-parse", "refs/heads/afk/1")
    doomed.arm(point)
    run_id = begin(doomed)
    doomed.see_death()
    doomed.arm("")
    run = doomed.released(run_id)
    assert (run["status"], run["cause"]) == ("succeeded", "delivered"), run["because"]
    assert (run["trigger"], run["parked"]) == ("review", False)
    with doomed.server.client() as client:
        [change] = client.get(f"/projects/{doomed.project}/changes").json()["items"]
        events = client.get(f"/runs/{run_id}/timeline").json()["items"]
    tip = at_origin(doomed, "rev-parse", "refs/heads/afk/1")
    assert (change["number"], change["state"], change["head_sha"]) == (2, "open", tip)
    assert (run["delivery"]["head_sha"], run["delivery"]["commits"]) == (tip, 1)
    assert at_origin(doomed, "log", "--format=%s", f"{before}..{tip}") == run_id
    lines = at_origin(doomed, "show", f"{tip}:lines").split()
    assert (len(lines), lines[-1]) == (change["commits"], run_id)
    assert change["body"].count(run_id) == 1
    assert [one["kind"] for one in events].count("delivered") == 1


# --- an undo -------------------------------------------------------------------------------------

ADDS = 'echo "$RUNYARD_RUN_ID" > "made-$RUNYARD_RUN_ID"; git add .; git commit -qm "Make it"'


@pytest.fixture(scope="module")
def undoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    folder = tmp_path_factory.mktemp("undone")
    one = Doomed(folder, RunyardServer(folder / "data"))
    with one.begun(ADDS):
        yield one


def files_at(undoing: Doomed) -> list[str]:
    return run_git(undoing.folder / "origin", "ls-tree", "-r", "--name-only", "main").split()


@pytest.mark.parametrize("point", ["undo.after_claim", "undo.after_open"])
def test_a_crash_in_an_undo_leaves_one_change_that_can_be_merged(
    undoing: Doomed, point: str
) -> None:
    before = files_at(undoing)
    run = undoing.released(undoing.run_an_issue())
    changes = f"/projects/{undoing.project}/changes"
    path = f"{changes}/{run['delivery']['number']}"
    with undoing.server.client() as client:
        client.post(f"{path}/merge").raise_for_status()
    assert files_at(undoing) != before
    undoing.arm(point)
    # the server dies before it answers
    with undoing.server.client() as client, suppress(httpx.TransportError):
        client.post(f"{path}/undo")
    undoing.see_death()
    undoing.arm("")
    with undoing.server.client() as client:
        answer = client.post(f"{path}/undo")
        assert answer.status_code == (200 if point == "undo.after_open" else 201), answer.text
        revert = answer.json()
        reverts = [one for one in client.get(changes).json()["items"] if one["reverts"]]
        assert [one["number"] for one in reverts if one["state"] == "open"] == [revert["number"]]
        merged = client.post(f"{changes}/{revert['number']}/merge")
        assert merged.json()["state"] == "merged", merged.text
        assert client.get("/parked").json()["items"] == []
    assert files_at(undoing) == before
