"""A real server with one project, shared by the CLI tests that need one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.builders.repositories import make_origin
from tests.drivers.cli.shells import Shell
from tests.drivers.servers.processes import running_server

AGENT = r"""
set -e
printf '\033[32mworking\033[0m\n'
task=$(cat "$1")
case "$task" in *"please fail"*) exit 7 ;; esac
case "$task" in *"please wait"*) exec sleep 3600 ;; esac
printf '%s' "hello from $RUNYARD_RUN_ID" > greeting.txt
git add .
git -c user.name=Agent -c user.email=agent@example.test commit -qm Greet
echo done
case "$task" in *"please break"*) exit 9 ;; esac
"""
NOBODY_IS_COUNTED = {"RUNYARD_RUN_QUOTA": "500", "RUNYARD_REPO_CONCURRENCY": "20"}


class LiveShell(Shell):
    """A shell whose data folder belongs to a running server."""

    def add_project(self, name: str) -> None:
        """Register a new repository with an agent that obeys its task."""
        repository = make_origin(self.folder / "origins" / name)
        command = json.dumps(["/bin/sh", str(self.agent), "{prompt_file}"])
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
        return self.folder.with_name(f"{self.folder.name}-agent.sh")


@contextmanager
def a_live_shell(folder: Path) -> Iterator[LiveShell]:
    """Open a shell with a server and a project `shop`."""
    shell = LiveShell(folder)
    shell.agent.write_text(AGENT)
    with running_server(folder, **NOBODY_IS_COUNTED):
        shell.add_project("shop")
        yield shell
