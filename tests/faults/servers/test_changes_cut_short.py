"""A server killed around a run's push to an open change request: nothing is doubled or lost."""

from __future__ import annotations

from collections.abc import Iterator

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
