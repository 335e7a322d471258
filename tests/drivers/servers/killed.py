"""A server that is killed at a failpoint and restarted on the data it left."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.builders.repositories import make_origin
from tests.drivers.servers.entry import POINTS
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer, wait_for
from tests.fakes.agents.runs import until

SHORT = {"RUNYARD_KILL_GRACE_SECONDS": "0.3", "RUNYARD_SWEEP_SECONDS": "3600"}


def taking_points(folder: Path) -> dict[str, str]:
    """Return settings for a forked server whose failpoints can be set while it runs."""
    return {"RUNYARD_TEST": "1", POINTS: str(folder / "points")}


def set_points(server: RunyardServer, points: dict[str, str]) -> None:
    """Replace the failpoints of a running server that has the settings of `taking_points`.

    `points` are environment variables.
    """
    assert server.process is not None
    file = Path(server.settings[POINTS])
    made = file.with_suffix(".new")
    made.write_text(json.dumps({"RUNYARD_TEST": "1"} | points))
    made.rename(file)
    server.process.send_signal(signal.SIGUSR2)
    until(lambda: not file.exists(), f"the server has taken {points}", WAIT_SECONDS)


@dataclass
class Doomed:
    """A server that dies at a failpoint, its folder, and its project."""

    folder: Path
    server: RunyardServer
    project: str = ""
    settings: dict[str, str] = field(default_factory=lambda: dict(SHORT))
    # the failpoint of the running server, as environment variables
    points: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def begun(self, agent: str, point: str = "") -> Iterator[None]:
        """Start the server, to die at `point`, with a project whose agent is a shell command."""
        self.arm(point)
        try:
            self._add_project(["/bin/sh", "-c", agent])
            yield
        finally:
            self.server.stop()

    def arm(self, point: str) -> None:
        """Let the server die at this failpoint; with "" it survives. Starts it if it is down."""
        self._serve({"RUNYARD_FAILPOINT": f"{point}:kill9"} if point else {})

    def hold(self, point: str, file: Path) -> None:
        """Let the server wait at this point until the file exists. Starts it if it is down."""
        self._serve({"RUNYARD_RACEPOINT": f"{point}:{file}"})

    def run_an_issue(self) -> str:
        """Start a run of a new issue; return its id."""
        with self.server.client() as client:
            issues = f"/projects/{self.project}/issues"
            issue = client.post(issues, json={"title": "Mend it"}).json()["number"]
            body = {"project_id": self.project, "issue": issue}
            answer = client.post("/runs", json=body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

    def see_death(self) -> None:
        """Wait until the server has died."""
        assert self.server.process is not None
        assert self.server.process.wait(WAIT_SECONDS) == -9
        self.server.kill()

    def see(self, run_id: str, status: str) -> dict[str, Any]:
        """Wait until the run has this status; return it."""
        with self.server.client() as client:
            return dict(wait_for(client, f"/runs/{run_id}", lambda run: run["status"] == status))

    def released(self, run_id: str) -> dict[str, Any]:
        """Wait until no process of the run is left; return the run."""
        with self.server.client() as client:
            return dict(wait_for(client, f"/runs/{run_id}", lambda run: run["released_at"]))

    def _serve(self, points: dict[str, str]) -> None:
        wanted = self.settings | taking_points(self.folder)
        if self.server.process is not None and self.server.settings == wanted | self.points:
            if points != self.points:
                set_points(self.server, points)
        else:
            self.server.stop()
            self.server.settings = wanted | points
            self.server.start()
        self.server.settings = wanted | points
        self.points = points

    def _add_project(self, command: list[str]) -> None:
        origin = make_origin(self.folder / "origin", bare=True)
        body = {"name": "doomed", "origin": str(origin), "agent_command": command}
        with self.server.client() as client:
            made = client.post("/projects", json=body)
            assert made.status_code == 201, made.text
            self.project = made.json()["id"]
            path = f"/projects/{self.project}"
            wait_for(client, path, lambda project: project["state"] == "ready")
