"""A server killed in the middle of a discard or a salvage: repeating it completes it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.builders.repositories import make_origin, tip_of
from tests.drivers.servers.processes import wait_for
from tests.faults.servers.test_restarts import COMMIT, SHORT, add_project, killable_server, post_run

LEAVES_A_FILE = f"{COMMIT}; echo a > a.txt; exit 3"
KILLED = {"RUNYARD_TEST": "1"}


@pytest.mark.parametrize(
    ("point", "path"),
    [
        ("discard.after_copy", "/parked/discard"),
        ("discard.after_claim", "/parked/discard"),
        ("salvage.before_commit", "/runs/{run}/deliver"),
    ],
)
def test_what_a_kill_broke_off_is_listed_and_completed(
    tmp_path: Path, point: str, path: str
) -> None:
    origin, kill = make_origin(tmp_path / "origin"), {"RUNYARD_FAILPOINT": f"{point}:kill9"}
    with killable_server(tmp_path, **KILLED, **kill) as server:
        with server.client() as client:
            project = add_project(client, origin, LEAVES_A_FILE)
            issue = {"title": "Mend it", "labels": ["ready-for-agent"]}
            client.post(f"/projects/{project}/issues", json=issue)
            run = post_run(client, project, issue=1)
            run = wait_for(client, f"/runs/{run['id']}", lambda found: found["parked"])
            where = path.format(run=run["id"])
            body = {"project_id": project, "branch": "afk/1", "confirm": "afk/1"}
            content = body if where == "/parked/discard" else None
            with pytest.raises(httpx.HTTPError):
                client.post(where, json=content)
        server.kill()
        server.settings = dict(SHORT)
        server.start()
        with server.client() as client:
            [item] = client.get("/parked").json()["items"]
            assert (item["branch"], item["run_id"]) == ("afk/1", run["id"])
            done = client.post(where, json=content)
            assert done.status_code == 200, done.text
            if content:
                assert_claimable_again(client, project, run["id"])
            else:
                assert_delivered_once(client, origin, project, run["id"])


def assert_claimable_again(client: httpx.Client, project: str, run_id: str) -> None:
    """Assert that nothing is left of the run and its issue can be claimed."""
    assert client.get("/parked").json()["items"] == []
    assert client.get(f"/runs/{run_id}").json()["parked"] is False
    [issue] = client.get(f"/projects/{project}/issues").json()["items"]
    assert issue["claimable"]


def assert_delivered_once(client: httpx.Client, origin: Path, project: str, run_id: str) -> None:
    """Assert that the run has one change request and origin has its commits."""
    delivery = client.get(f"/runs/{run_id}").json()["delivery"]
    assert delivery["head_sha"] == tip_of(origin, "refs/heads/afk/1")
    assert len(client.get(f"/projects/{project}/changes").json()["items"]) == 1
