"""What the services ask of the agent presets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from app.domain.agents.final_output import Failure
from app.domain.agents.reports import Entry, ReportEvent
from app.domain.sandbox.levels import SandboxLevel
from app.domain.secret_masks import Secret
from app.domain.words import Cause


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


class SignedIn(StrEnum):
    """Whether an agent's account is there, as far as it can be seen."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Unready:
    """Why an agent can do no run here: missing, signed out or refusing root, and what mends it.

    A repository with a file of `unless` may sign it in all the same.
    """

    cause: Cause
    sentence: str
    unless: tuple[str, ...] = ()


def root_mend(variable: str) -> str:
    """What to do where an agent refuses to work as root unless a variable is set."""
    return (
        "Have the project's runs contained, start Runyard as a user of its own, "
        f"or set {variable}=1 in a sandbox."
    )


@dataclass(frozen=True)
class AgentFinding:
    """What doctor sees of one agent on this machine; without a path it is not installed.

    `version` is empty where it does not tell it, None where it took too long.
    `seen_with` is the version that its preset was written for, `unknown_flags` those of its
    command line that its help does not know (None where that could not be read), `evidence` what
    its sign-in was judged by. `install` and `sign_in` say how; `root_variable` is one that it
    wants set here, empty where it wants none.
    """

    name: str
    install: str
    path: str | None = None
    version: str | None = None
    floor: str = ""
    is_old: bool = False
    seen_with: str = ""
    unknown_flags: tuple[str, ...] | None = None
    signed_in: SignedIn = SignedIn.UNKNOWN
    evidence: str = ""
    sign_in: str = ""
    root_variable: str = ""


class PromptTooLong(Exception):
    """A prompt does not fit into the command's arguments; the message is a sentence."""


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
        """The argv for a job; `own_command` is the project's, for `script`.

        Raises PromptTooLong.
        """
        ...

    def reads_stdin(self, agent: str) -> bool:
        """True where the agent takes its prompt from its standard input."""
        ...

    def unready(
        self,
        agent: str,
        own_command: Sequence[str] | None,
        level: SandboxLevel = SandboxLevel.NONE,
    ) -> Unready | None:
        """Why the agent is known to be of no use here, or None; answers at once."""
        ...

    def environment(self, agent: str, level: SandboxLevel = SandboxLevel.NONE) -> dict[str, str]:
        """The allow-listed environment, with what this agent's sign-in needs at a level."""
        ...

    def secrets(self) -> Iterable[Secret]:
        """Every secret that the environment of any agent may hold."""
        ...

    def hosts(self, agent: str) -> Sequence[str]:
        """The hosts that this agent cannot work without, as `host` or `host:port`."""
        ...

    def chosen_hosts(self, agent: str) -> Sequence[str]:
        """The hosts that this agent's environment names in the place of its maker's."""
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

    def line_teller(self, agent: str) -> Callable[[bytes], list[Entry]] | None:
        """Tells what a line of this agent's output says to a person; None: it writes no events.

        It never raises, whatever the line is.
        """
        ...

    def exit_words(self, agent: str, code: int) -> str:
        """What an exit code of this agent means, empty where it says nothing of its own."""
        ...

    def exit_failure(self, agent: str, code: int) -> Failure | None:
        """What this agent fails by where it exits with this code, None where that says nothing."""
        ...

    def continue_command(self, agent: str, session_id: str) -> str:
        """The line by which a person goes on with a session; empty where there is none."""
        ...

    def findings(self) -> list[AgentFinding]:
        """Every preset as found on this machine; takes seconds where many are installed."""
        ...
