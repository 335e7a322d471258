"""What the services ask of the agent presets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.domain.reports import ReportEvent


@dataclass(frozen=True)
class Job:
    """What an agent is asked to do; `session` is its own one that it goes on with."""

    prompt: str
    prompt_file: Path
    workdir: Path
    branch: str
    issue: int | None
    model: str | None
    session: str | None = None


@dataclass(frozen=True)
class AgentFinding:
    """What doctor sees of one agent on this machine."""

    name: str
    installed: bool
    path: str | None = None
    version: str | None = None


class OutputReader(Protocol):
    """Reads one agent's output from its first byte on; never raises, whatever it is fed."""

    def feed(self, data: bytes) -> list[ReportEvent]:
        """What the output tells that ends within these bytes, however it is cut into pieces."""
        ...

    def finish(self) -> list[ReportEvent]:
        """What a last line without an end tells; nothing is fed after it."""
        ...


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

    def account(self, agent: str) -> str:
        """A mark that tells this agent's sign-in here from another one."""
        ...

    def can_go_on(self, agent: str, session_id: str) -> bool:
        """True where the agent can be started unattended on a session of its own."""
        ...

    def reader(self, agent: str) -> OutputReader | None:
        """A new reader of this agent's output, None where nobody knows its shape."""
        ...

    def exit_words(self, agent: str, code: int) -> str:
        """What an exit code of this agent means, empty where it says nothing of its own."""
        ...

    def continue_command(self, agent: str, session_id: str) -> str:
        """The line by which a person goes on with a session; empty where there is none."""
        ...

    def findings(self) -> list[AgentFinding]:
        """Every preset as found on this machine, with its version."""
        ...
