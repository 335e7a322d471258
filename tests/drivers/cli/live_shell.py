"""A real server with one project, shared by the CLI tests that need one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.builders.repositories import make_origin
from tests.drivers.cli.shells import Shell
from tests.drivers.servers.processes import running_server

AGENT = """
import os, pathlib, subprocess, sys
print("\\x1b[32mworking\\x1b[0m", flush=True)
task = pathlib.Path(sys.argv[1]).read_text()
if "please fail" in task:
    sys.exit(7)
if "please wait" in task:
    sys.stdin.read()
    import signal
    signal.pause()
pathlib.Path("greeting.txt").write_text("hello from " + os.environ["RUNYARD_RUN_ID"])
subprocess.run(["git", "add", "."], check=True)
who = ["-c", "user.name=Agent", "-c", "user.email=agent@example.test"]
subprocess.run(["git", *who, "commit", "-qm", "Greet"], check=True)
print("done", flush=True)
sys.exit(9 if "please break" in task else 0)
"""
NOBODY_IS_COUNTED = {"RUNYARD_RUN_QUOTA": "500", "RUNYARD_REPO_CONCURRENCY": "20"}


class LiveShell(Shell):
    """A shell whose data folder belongs to a running server."""

    def add_project(self, name: str) -> None:
        """Register a new repository with an agent that obeys its task."""
        repository = make_origin(self.folder / "origins" / name)
        command = json.dumps([sys.executable, "-I", str(self.agent), "{prompt_file}"])
        added = self.run("projects", "add", str(repository), "--agent-command", command)
        assert added.code == 0, added.err

    def start(self, project: str, task: str) -> str:
        """Trigger a run and return its id."""
        words = ["-p", project, "--agent-type", "script", "--task", task]
        made = self.run("runs", "trigger", *words)
        assert made.code == 0, made.err
        return made.out.strip()

    @property
    def agent(self) -> Path:
        """The agent script of every project; outside the data folder, which agents cannot see."""
        return self.folder.with_name(f"{self.folder.name}-agent.py")


@contextmanager
def a_live_shell(folder: Path) -> Iterator[LiveShell]:
    """Open a shell with a server and a project `shop`."""
    shell = LiveShell(folder)
    shell.agent.write_text(AGENT)
    with running_server(folder, **NOBODY_IS_COUNTED):
        shell.add_project("shop")
        yield shell
