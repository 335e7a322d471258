"""A server killed in the middle of a discard or a salvage: repeating it completes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.repositories import tip_of
from tests.drivers.planes import COMMIT
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for

LEAVES_A_FILE = f"{COMMIT}; echo a > a.txt; exit 3"


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    """A server whose runs leave work."""
    folder = tmp_path_factory.mktemp("doomed")
    one = Doomed(folder, RunyardServer(folder / "data"))
    with one.begun(LEAVES_A_FILE):
        yield one


@pytest.mark.parametrize(
    ("point", "path"),
    [
        ("discard.after_copy", "/parked/discard"),
        pytest.param("discard.after_claim", "/parked/discard", marks=pytest.mark.soak),
        ("salvage.before_commit", "/runs/{run}/deliver"),
    ],
)
def test_what_a_kill_broke_off_is_listed_and_completed(
    doomed: Doomed, point: str, path: str
) -> None:
    doomed.arm(point)
    project = doomed.project
    with doomed.server.client() as client:
        issue = {"title": "Add it", "labels": ["ready-for-agent"]}
        number = client.post(f"/projects/{project}/issues", json=issue).json()["number"]
        run = client.post("/runs", json={"project_id": project, "issue": number}).json()["id"]
        branch = wait_for(client, f"/runs/{run}", lambda found: found["parked"])["work_branch"]
        where = path.format(run=run)
        body = {"project_id": project, "branch": branch, "confirm": branch}
        content = body if where == "/parked/discard" else None
        with pytest.raises(httpx.HTTPError):
            client.post(where, json=content)
    doomed.see_death()
    doomed.arm("")
    with doomed.server.client() as client:
        [item] = client.get("/parked").json()["items"]
        assert (item["branch"], item["run_id"]) == (branch, run)
        done = client.post(where, json=content)
        assert done.status_code == 200, done.text
        if content:
            assert_claimable_again(client, project, number, run)
        else:
            assert_delivered_once(client, doomed.folder / "origin", project, run)


def assert_claimable_again(client: httpx.Client, project: str, number: int, run_id: str) -> None:
    """Assert that nothing is left of the run and its issue can be claimed."""
    assert client.get("/parked").json()["items"] == []
    assert client.get(f"/runs/{run_id}").json()["parked"] is False
    items: list[dict[str, Any]] = client.get(f"/projects/{project}/issues").json()["items"]
    [issue] = [one for one in items if one["number"] == number]
    assert issue["claimable"]


def assert_delivered_once(client: httpx.Client, origin: Path, project: str, run_id: str) -> None:
    """Assert that the run has one change request and origin has its commits."""
    run = client.get(f"/runs/{run_id}").json()
    assert run["delivery"]["head_sha"] == tip_of(origin, f"refs/heads/{run['work_branch']}")
    assert len(client.get(f"/projects/{project}/changes").json()["items"]) == 1
