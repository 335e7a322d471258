"""A server killed while a person merges, closes or requests changes: done once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.builders.repositories import run_git
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents.runs import until

ADDS = 'echo "$RUNYARD_RUN_ID" > "made-$RUNYARD_RUN_ID"; git add .; git commit -qm "Make it"'


@dataclass(frozen=True)
class Act:
    """An action on a change, the state it leaves the change in, and the status of a repeat."""

    path: str
    state: str
    again: int
    body: dict[str, Any] | None = None


MERGE = Act("merge", "merged", 409)
CLOSE = Act("close", "closed", 409, {"because": "not wanted"})
QUEUE = Act("close", "closed", 409, {"because": "once more", "issue": "queue"})
SEND = Act("request-changes", "open", 200, {})


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    folder = tmp_path_factory.mktemp("reviewed")
    one = Doomed(folder, RunyardServer(folder / "data"))
    with one.begun(ADDS):
        yield one


@pytest.mark.parametrize(
    ("act", "point"),
    [
        (MERGE, "merge.after_push"),
        (MERGE, "after_change_ended"),
        pytest.param(MERGE, "during_clearing", marks=pytest.mark.soak),
        (CLOSE, "after_change_ended"),
        (QUEUE, "during_clearing"),
        (SEND, "after_accept"),
    ],
    ids=lambda one: one.path if isinstance(one, Act) else one,
)
def test_a_crash_in_a_review_leaves_its_action_done_once(
    doomed: Doomed, act: Act, point: str
) -> None:
    run = doomed.released(doomed.run_an_issue())
    assert run["status"] == "succeeded", run["because"]
    change = f"/projects/{doomed.project}/changes/{run['delivery']['number']}"
    with doomed.server.client() as client:
        client.post(f"{change}/comments", json={"text": "Once more."}).raise_for_status()
    doomed.arm(point)
    head = {"x-idempotency-key": f"{act.path}-{run['id']}"}
    # the server dies before it answers
    with doomed.server.client() as client, suppress(httpx.TransportError):
        client.post(f"{change}/{act.path}", json=act.body, headers=head)
    doomed.see_death()
    doomed.arm("")
    with doomed.server.client() as client:
        wait_for(client, change, lambda one: one["state"] == act.state)
        again = client.post(f"{change}/{act.path}", json=act.body, headers=head)
        assert again.status_code == act.again, again.text
        if act is SEND:
            see_sent_once(doomed, client, change, again.json()["id"])
            return
        assert again.json()["error"] == "already_ended"
        wait_for(client, f"/runs/{run['id']}", lambda one: one["delivery"]["state"] == act.state)
        lines = client.get(f"/runs/{run['id']}/timeline").json()["items"]
        sentence = f"change request #{run['delivery']['number']} {act.state}"
        wait_for(client, "/parked", lambda one: is_parked(one, run) == (act is CLOSE))
    assert [one["sentence"] for one in lines].count(sentence) == 1
    merges = run_git(doomed.folder / "origin", "log", "--merges", "--format=%s", "main")
    assert merges.count(f"change #{run['delivery']['number']}:") == (act is MERGE)
    see_copy(doomed, run, is_left=act is CLOSE)


def is_parked(parked: dict[str, Any], run: dict[str, Any]) -> bool:
    return run["work_branch"] in [one["branch"] for one in parked["items"]]


def see_copy(doomed: Doomed, run: dict[str, Any], *, is_left: bool) -> None:
    """Wait until the branch and the copy of a run are gone, or assert that its work is kept."""
    runs = doomed.server.data_dir / "runs"
    mirror, copy = runs / "mirrors" / f"{doomed.project}.git", runs / "copies" / run["id"]

    def is_kept() -> bool:
        return bool(run_git(mirror, "for-each-ref", f"refs/heads/{run['work_branch']}"))

    if is_left:
        assert is_kept()
    else:
        until(lambda: not is_kept() and not copy.exists(), f"{run['work_branch']} is cleared")


def see_sent_once(doomed: Doomed, client: httpx.Client, change: str, run_id: str) -> None:
    """Assert that the comment went to one run, the one of the key."""
    assert doomed.released(run_id)["status"] == "succeeded"
    [comment] = client.get(f"{change}/comments").json()["items"]
    assert (comment["draft"], comment["round"]) == (False, 2)
    found = client.get("/runs", params={"trigger": "review"}).json()["items"]
    assert [one["id"] for one in found] == [run_id]
