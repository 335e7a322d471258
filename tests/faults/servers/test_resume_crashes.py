"""A server that is killed while a run is resumed: it is resumed once, with its work."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.repositories import make_origin
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer, wait_for
from tests.fakes.agents.runs import until

# first leaves a commit and a file and reaches its limit; when resumed there, commits the file
CLAUDE = """#!/bin/sh
if test "${{*#*--resume}}" != "$*"; then
    session="${{*#*--resume }}"
    test "${{session%% *}} $(pwd)" = "s-1 $(cat {place})" || exit 7
    echo again >> {launches}
    git add --all && git commit --quiet --message 'The rest'
    echo '{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"Bash"}}]}}}}'
    echo '{{"type":"result","subtype":"success","is_error":false,"result":"Done"}}'
else
    pwd > {place}
    echo new > new.txt && git add new.txt && git commit --quiet --message 'Half of it'
    echo left > left.txt
    echo '{{"type":"system","subtype":"init","session_id":"s-1"}}'
    echo '{{"type":"rate_limit_event","rate_limit_info":{info}}}'
    echo '{{"type":"result","is_error":true,"result":"You have hit your limit"}}'
    exit 1
fi
"""


class Limited(Doomed):
    """A server whose agent has reached its limit, to be killed at a failpoint."""

    def limited(self) -> dict[str, Any]:
        """Run an agent that reaches its limit; return the run."""
        with self.server.client() as client:
            run = client.post("/runs", json={"project_id": self.project, "task": "Mend"}).json()
            ended = wait_for(client, f"/runs/{run['id']}", lambda run: run["released_at"])
        assert (ended["status"], ended["parked"]) == ("limited", True), ended
        return dict(ended)

    def pass_time(self, seconds: float) -> None:
        """Advance the running server's clock."""
        (self.folder / "clock").write_text(str(seconds))

    def runs(self) -> list[dict[str, Any]]:
        """Return every run, newest first."""
        with self.server.client() as client:
            return list(client.get("/runs").json()["items"])

    def nobody_goes_first(self) -> bool:
        """Return True unless an account is still waiting for the outcome of a probing run."""
        with self.server.client() as client:
            holds = client.get("/quota/accounts").json()["items"]
        return all(hold["stand"] != "probing" for hold in holds)


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Limited]:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    files = {name: shlex.quote(str(tmp_path / name)) for name in ("place", "launches")}
    info = json.dumps({"status": "rejected", "resetsAt": int(time.time()) + 600})
    program.write_text(CLAUDE.format(info=info, **files))
    program.chmod(0o755)
    settings = {
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "ANTHROPIC_API_KEY": "one",
        "RUNYARD_KILL_GRACE_SECONDS": "0.3",
        "RUNYARD_SWEEP_SECONDS": "0.3",
        "RUNYARD_TEST_CLOCK": str(tmp_path / "clock"),
    }
    one = Limited(tmp_path, RunyardServer(tmp_path / "data"), settings=settings)
    one.arm("")
    with one.server.client() as client:
        origin = make_origin(tmp_path / "origin", bare=True)
        body = {"name": "doomed", "origin": str(origin), "agent": "claude"}
        made = client.post("/projects", json=body)
        assert made.status_code == 201, made.text
        one.project = made.json()["id"]
        wait_for(client, f"/projects/{one.project}", lambda project: project["state"] == "ready")
    yield one
    one.server.stop()


@pytest.mark.parametrize(
    "point",
    [
        "resume.before_accept",
        pytest.param("resume.after_accept", marks=pytest.mark.soak),
        "retry.after_take_over",
        pytest.param("retry.after_adopt", marks=pytest.mark.soak),
        pytest.param("after_prepare", marks=pytest.mark.soak),
        # test_crash_points.py shows it as well
        pytest.param("after_spawn", marks=pytest.mark.soak),
        pytest.param("before_reap_commit", marks=pytest.mark.soak),
    ],
)
def test_a_crash_neither_loses_nor_doubles_a_resume(doomed: Limited, point: str) -> None:
    first = doomed.limited()
    doomed.arm(point)
    doomed.pass_time(1200)
    doomed.see_death()
    doomed.arm("")
    until(lambda: all(run["released_at"] for run in doomed.runs()), "the first end", WAIT_SECONDS)
    # a probe that failed is tried again a little later than its end was seen
    until(doomed.nobody_goes_first, "what went first has been seen", WAIT_SECONDS)
    doomed.pass_time(1500)
    until(
        lambda: any(run["status"] == "succeeded" and run["released_at"] for run in doomed.runs()),
        "the resumed run's end",
        WAIT_SECONDS,
    )
    ended, *before = doomed.runs()
    assert (ended["status"], ended["trigger"], ended["delivery"]["commits"]) == (
        *("succeeded", "resume"),
        2,
    )
    assert {run["status"] for run in before} <= {"limited", "not_started"}
    assert before[-1]["id"] == first["id"]
    assert (doomed.folder / "launches").read_text() == "again\n"
