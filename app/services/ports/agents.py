"""What the services ask of the agent presets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """What an agent is asked to do."""

    prompt: str
    prompt_file: Path
    workdir: Path
    branch: str
    issue: int | None
    model: str | None


@dataclass(frozen=True)
class AgentFinding:
    """What doctor sees of one agent on this machine."""

    name: str
    installed: bool
    path: str | None = None
    version: str | None = None


class Agents(Protocol):
    """The agent presets."""

    def names(self) -> list[str]:
        """Every preset's name, `script` among them."""
        ...

    def command(self, agent: str, job: Job, own_command: Sequence[str] | None) -> list[str]:
        """The argv for a job; `own_command` is the project's, for `script`."""
        ...

    def missing(self, agent: str, own_command: Sequence[str] | None) -> str | None:
        """Why the agent cannot be started here, or None."""
        ...

    def environment(self, agent: str) -> dict[str, str]:
        """The allow-listed environment, with what this agent's sign-in needs."""
        ...

    def findings(self) -> list[AgentFinding]:
        """Every preset as found on this machine, with its version."""
        ...
