"""A real server with projects whose agent obeys its task, for API tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.builders.repositories import make_origin
from tests.drivers.servers.processes import RunyardServer, running_server, wait_for

PLENTY = {
    "RUNYARD_RUN_QUOTA": "500",
    "RUNYARD_REPO_CONCURRENCY": "90",
    "RUNYARD_MAX_LIVE_RUNS": "4",
    "RUNYARD_SWEEP_SECONDS": "1",
    "RUNYARD_KILL_GRACE_SECONDS": "0",
}
# Prints the file beside it when asked to log: all bytes, then characters of many lengths.
AGENT = r"""
set -e
task=$(cat "$1")
asks() { case "$task" in *"$1"*) ;; *) return 1 ;; esac }
commit() {
    git add "$1"
    git -c user.name=Agent -c user.email=agent@example.test commit -qm Work
}
echo begun
if asks "please log"; then cat "${0%/*}/agent.log"; fi
if asks "please commit"; then
    echo "$RUNYARD_BRANCH" > shared.txt
    commit shared.txt
fi
if asks "please mark up"; then
    printf '<script>alert(1)</script>\n\033]52;c;eA==\007\342\200\256\n' > page.txt
    commit page.txt
fi
if asks "please wait"; then exec sleep 3600; fi
if asks "please fail"; then exit 7; fi
echo done
"""
AGENT_LOG = bytes(range(256)) + "ü€😀".encode() * 1000
ENDED = ("succeeded", "died", "timed_out", "stopped", "not_started", "expired", "limited")


@dataclass
class Workshop:
    """A server, a client with the operator's token, and a folder for origins."""

    server: RunyardServer
    api: httpx.Client
    folder: Path
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def origin(self, name: str, **how: Any) -> Path:
        """Create a repository with one commit."""
        return make_origin(self.folder / name, bare=True, **how)

    def add_project(self, name: str, **settings: Any) -> str:
        """Register a new repository, wait until it is cloned, and return the project's id."""
        origin = settings.pop("origin", None) or self.origin(name)
        body = {"name": name, "origin": str(origin), "agent_command": self.agent, **settings}
        answer = self.api.post("/projects", json=body)
        assert answer.status_code == 201, answer.text
        ready = self.wait(f"/projects/{answer.json()['id']}", lambda one: one["state"] != "cloning")
        self.projects[name] = ready
        return str(ready["id"])

    @property
    def agent(self) -> list[str]:
        """The command of an agent that obeys its task."""
        script = self.folder / "agent.sh"
        script.write_text(AGENT)
        script.with_suffix(".log").write_bytes(AGENT_LOG)
        return ["/bin/sh", str(script), "{prompt_file}"]

    def start(self, project_id: str, task: str, **order: Any) -> dict[str, Any]:
        """Start a run and return it."""
        body = {"project_id": project_id, "task": task, **order}
        answer = self.api.post("/runs", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def wait(self, path: str, is_so: Callable[[Any], Any]) -> Any:
        """Read `path` on each event of the feed until `is_so` holds; bounded in time."""
        return wait_for(self.api, path, is_so)

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait until the run is released and return it."""
        return dict(self.wait(f"/runs/{run_id}", lambda run: run["released_at"] is not None))

    def live(self, run_id: str) -> dict[str, Any]:
        """Wait until the agent is running and return the run."""
        return dict(self.wait(f"/runs/{run_id}", lambda run: run["status"] == "running"))

    def stop(self, run_id: str) -> dict[str, Any]:
        """Stop a run and wait until it is released."""
        assert self.api.post(f"/runs/{run_id}/stop").status_code == 200
        return self.ended(run_id)

    def delivered(self, project_id: str, task: str = "please commit", **order: Any) -> Any:
        """Return a run that has delivered a change request."""
        run = self.ended(self.start(project_id, task, **order)["id"])
        assert run["status"] == "succeeded", run
        return run

    def issue(self, project_id: str, title: str = "Do it", **what: Any) -> int:
        """Create a ready issue and return its number."""
        body = {"title": title, "labels": ["ready-for-agent"], **what}
        answer = self.api.post(f"/projects/{project_id}/issues", json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["number"])


@contextmanager
def open_workshop(folder: Path, **settings: str) -> Iterator[Workshop]:
    """Open a workshop; `settings` are environment variables of its server."""
    (folder / "data").mkdir(mode=0o700)
    try:
        with (
            running_server(folder / "data", **PLENTY | settings) as server,
            server.client() as api,
        ):
            yield Workshop(server, api, folder)
    finally:
        _end_agents(folder)


def _end_agents(folder: Path) -> None:
    """Kill the workshop's agents: they outlive their server."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                process.kill()


def at_once(count: int, call: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Make calls at the same moment, each on its own thread; return the responses by number."""
    barrier, answers = threading.Barrier(count), dict[int, httpx.Response]()

    def one(number: int) -> None:
        barrier.wait(20)
        answers[number] = call(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == count
    return [answers[number] for number in range(count)]


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Check the form of a refusal and return its members."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = dict(answer.json())
    assert set(told) >= {"type", "title", "status", "detail", "error", "correlation_id"}
    assert told["status"] == answer.status_code
    assert told["correlation_id"] == answer.headers["x-correlation-id"]
    assert isinstance(told["detail"], str)
    assert told["detail"]
    return told
