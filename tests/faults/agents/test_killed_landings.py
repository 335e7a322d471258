"""A server killed -9 in the middle of a landing: the next one lands it, and tells it once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.repositories import run_git
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for

ADDS = "echo one > one.txt; git add .; git -c user.name=a -c user.email=a@b.test commit -qm Add"
RULES = {"checks": [{"name": "tests", "command": ["true"]}], "autoland": {"enabled": True}}


@pytest.fixture
def doomed(tmp_path: Path) -> Doomed:
    return Doomed(tmp_path, RunyardServer(tmp_path / "data"))


@pytest.mark.parametrize("point", ["autoland.before_merge", "merge.after_push"])
def test_a_landing_is_neither_lost_nor_doubled(doomed: Doomed, point: str) -> None:
    with doomed.begun(ADDS, point):
        with doomed.server.client() as client:
            assert client.patch(f"/projects/{doomed.project}", json=RULES).status_code == 200
        run = doomed.run_an_issue()
        doomed.see_death()
        doomed.arm("")
        with doomed.server.client() as client:
            place = f"/projects/{doomed.project}/changes"
            found = wait_for(client, place, lambda one: one["items"][0]["state"] == "merged")
            note = found["items"][0]["autoland_note"]
            assert note == "Landed by itself: checks passed, 1 file, 1 line."
            acts = client.get("/audit").json()["items"]
            assert [one["deed"] for one in acts].count("autoland") == 1
            wait_for(client, f"/runs/{run}", lambda one: one["delivery"]["state"] == "merged")
            origin = Path(client.get(f"/projects/{doomed.project}").json()["origin"])
        merges = run_git(origin, "log", "--merges", "--format=%s", "main").splitlines()
        assert len(merges) == 1
