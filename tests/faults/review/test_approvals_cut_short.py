"""A server killed around an approval: nothing that waits is lost, and nothing starts twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.databases import run_store
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for

COMMITS = "echo one > one.txt; git add -A; git commit -qm 'Add one'"


@pytest.fixture(scope="module", params=[False, True], ids=["one store", "two stores"])
def doomed(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Doomed]:
    """A server whose project asks for an approval of each start, with one database or two."""
    folder = tmp_path_factory.mktemp("approvals")
    one = Doomed(folder, RunyardServer(folder / "data"))
    if request.param:
        one.settings["RUNYARD_RUNS_DATABASE_URL"] = run_store(Path(folder))
    with one.begun(COMMITS):
        with one.server.client() as client:
            settings = {"approve_start": True}
            client.patch(f"/projects/{one.project}", json=settings).raise_for_status()
        yield one


def approvals(doomed: Doomed, run_id: str) -> list[dict[str, Any]]:
    """Return the approvals of a run once there is one, in every state."""
    path = f"/approvals?state=all&run_id={run_id}"
    with doomed.server.client() as client:
        return list(wait_for(client, path, lambda found: found["items"])["items"])


def start(doomed: Doomed, task: str) -> None:
    """Ask for a run whose answer may be lost with the server."""
    with doomed.server.client() as client, suppress(httpx.TransportError):
        client.post("/runs", json={"project_id": doomed.project, "task": task})


def newest(doomed: Doomed) -> str:
    """Return the id of the newest run."""
    with doomed.server.client() as client:
        return str(client.get("/runs").json()["items"][0]["id"])


def answer(doomed: Doomed, approval: str, how: str) -> None:
    """Answer an approval; the server's own answer may be lost."""
    path = f"/approvals/{approval}/{how}"
    with doomed.server.client() as client, suppress(httpx.TransportError):
        client.post(path, json={"comment": "because"})


def test_a_run_that_waits_is_asked_for_after_a_kill_at_its_accept(doomed: Doomed) -> None:
    doomed.arm("after_accept")
    start(doomed, "please wait for me")
    doomed.see_death()
    doomed.arm("")
    run_id = newest(doomed)
    waits = doomed.see(run_id, "queued")
    assert waits["hold"] == "Waiting for approval"
    (row,) = approvals(doomed, run_id)
    assert (row["state"], row["run_id"]) == ("pending", run_id)
    answer(doomed, row["id"], "approve")
    assert doomed.released(run_id)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("how", "state", "status"),
    [("approve", "approved", "succeeded"), ("reject", "rejected", "stopped")],
)
def test_an_answer_holds_after_a_kill_right_behind_it(
    doomed: Doomed, how: str, state: str, status: str
) -> None:
    start(doomed, f"{how} this")
    run_id = newest(doomed)
    (row,) = approvals(doomed, run_id)
    doomed.arm("after_approval")
    answer(doomed, row["id"], how)
    doomed.see_death()
    doomed.arm("")
    run = doomed.released(run_id)
    assert run["status"] == status
    with doomed.server.client() as client:
        path = f"/approvals/{row['id']}"
        told = wait_for(client, path, lambda one: one["state"] != "pending")
        again = client.post(f"/approvals/{row['id']}/approve")
        assert (again.status_code, again.json()["error"]) == (409, "already_answered")
        lines = client.get(f"/runs/{run_id}/timeline").json()["items"]
    assert (told["state"], len(told["answers"])) == (state, 1)
    assert sum(one["kind"] == "spawned" for one in lines) == (how == "approve")
