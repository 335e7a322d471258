"""A server that ends without warning while a retry takes over: the work is kept by one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.agents_for_tests.runs import until
from tests.repositories import make_origin
from tests.servers import WAIT_SECONDS, RunyardServer, wait_for

SHORT = {"RUNYARD_KILL_GRACE_SECONDS": "0.3", "RUNYARD_SWEEP_SECONDS": "3600"}
# the first try leaves a commit and a file, the next one commits that too
TWO_TRIES = (
    "if test -e left.txt; then git add -A && git commit -qm 'The rest'; else echo new > new.txt && "
    "git add new.txt && git commit -qm 'Half of it'; echo left > left.txt; exit 3; fi"
)


@dataclass
class Doomed:
    """A server that ends at a point, and its project."""

    server: RunyardServer
    project: str = ""

    def arm(self, point: str) -> None:
        """Start it again, to end at this point; "" for one that goes on."""
        if self.server.process is not None:
            self.server.stop()
        kill = {"RUNYARD_TEST": "1", "RUNYARD_FAILPOINT": f"{point}:kill9"} if point else {}
        self.server.settings = SHORT | kill
        self.server.start()

    def hold(self, point: str, file: Path) -> None:
        """Start it again, to wait at this point for a file."""
        self.server.stop()
        self.server.settings = SHORT | {
            "RUNYARD_TEST": "1",
            "RUNYARD_RACEPOINT": f"{point}:{file}",
        }
        self.server.start()

    def died(self) -> dict[str, Any]:
        """A run of a new issue that has left work behind."""
        with self.server.client() as client:
            issue = client.post(f"/projects/{self.project}/issues", json={"title": "Mend it"})
            body = {"project_id": self.project, "issue": issue.json()["number"]}
            run = client.post("/runs", json=body).json()
        return self.released(run["id"])

    def retry_and_die(self, run_id: str, source: str) -> None:
        """Order a run again and see the server end."""
        # it may die before its answer is out
        with self.server.client() as client, suppress(httpx.TransportError):
            client.post(f"/runs/{run_id}/retry", json={"from": source})
        assert self.server.process is not None
        assert self.server.process.wait(WAIT_SECONDS) == -9
        self.server.kill()

    def released(self, run_id: str) -> dict[str, Any]:
        """The run, once nothing of it is left."""
        with self.server.client() as client:
            return dict(wait_for(client, f"/runs/{run_id}", lambda run: run["released_at"]))

    def kept(self) -> dict[str, str]:
        """The run that stands for each parked branch."""
        with self.server.client() as client:
            return {one["branch"]: one["run_id"] for one in client.get("/parked").json()["items"]}

    def copies(self) -> dict[str, Path]:
        """Every working copy by its run."""
        folder = self.server.data_dir / "runs" / "copies"
        return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    folder = tmp_path_factory.mktemp("doomed")
    one = Doomed(RunyardServer(folder / "data", dict(SHORT)))
    one.arm("")
    with one.server.client() as client:
        origin = make_origin(folder / "origin", bare=True)
        body = {"name": "doomed", "origin": str(origin)}
        agent = ["/bin/sh", "-c", TWO_TRIES]
        made = client.post("/projects", json={**body, "agent_command": agent})
        assert made.status_code == 201, made.text
        one.project = made.json()["id"]
        wait_for(client, f"/projects/{one.project}", lambda project: project["state"] == "ready")
    yield one
    one.server.stop()


@pytest.mark.parametrize(
    ("point", "source"),
    [
        ("retry.after_take_over", "parked"),
        ("retry.after_adopt", "parked"),
        ("after_prepare", "parked"),
        ("retry.after_rename", "fresh"),
        ("after_prepare", "fresh"),
    ],
)
def test_a_crash_in_the_middle_of_a_retry_loses_nothing(
    doomed: Doomed, point: str, source: str
) -> None:
    first = doomed.died()
    branch = first["work_branch"]
    doomed.arm(point)
    doomed.retry_and_die(first["id"], source)
    doomed.arm("")
    with doomed.server.client() as client:
        second = client.get(f"/runs/{first['id']}").json()["retried_by"]
    assert doomed.released(second)["status"] == "not_started"
    holder = first["id"] if source == "fresh" else second
    assert doomed.kept() == {branch: holder}
    assert list(doomed.copies()) == [holder]
    assert (doomed.copies()[holder] / "left.txt").exists()
    # and it can be gone on with, as one change of two commits
    with doomed.server.client() as client:
        third = client.post(f"/runs/{holder}/retry").json()
        ended = doomed.released(third["id"])
        assert (ended["status"], ended["delivery"]["commits"]) == ("succeeded", 2)
    assert doomed.kept() == {}


def test_a_retry_that_was_stopped_and_killed_while_it_set_work_aside_brings_it_back(
    doomed: Doomed, tmp_path: Path
) -> None:
    first = doomed.died()
    held = tmp_path / "held"
    doomed.hold("retry.after_rename", held)
    with doomed.server.client() as client:
        second = client.post(f"/runs/{first['id']}/retry", json={"from": "fresh"}).json()["id"]
        until(held.with_name("held.reached.0").exists, "the work is set aside", WAIT_SECONDS)
        assert client.post(f"/runs/{second}/stop").json()["status"] == "stopped"
    doomed.server.kill()
    doomed.arm("")
    assert doomed.released(second)["status"] == "stopped"
    assert doomed.kept() == {first["work_branch"]: first["id"]}
    assert list(doomed.copies()) == [first["id"]]
    with doomed.server.client() as client:
        third = client.post(f"/runs/{first['id']}/retry").json()
    assert doomed.released(third["id"])["delivery"]["commits"] == 2
