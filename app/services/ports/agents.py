"""Port to the agent presets."""

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
    """Work for an agent; `session` is the id of the agent's earlier session to continue."""

    prompt: str
    prompt_file: Path
    workdir: Path
    branch: str
    issue: int | None
    model: str | None
    session: str | None = None


class SignedIn(StrEnum):
    """Sign-in state of an agent, as far as it can be detected."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Unready:
    """Why an agent cannot run here (missing, signed out or refusing root), with the remedy.

    A repository that has one of the `unless` files may still sign it in.
    """

    cause: Cause
    sentence: str
    unless: tuple[str, ...] = ()


def root_remedy(variable: str) -> str:
    """Return the advice for an agent that refuses to run as root unless `variable` is set."""
    return (
        "Contain the project's runs, start Runyard as a separate user, "
        f"or set {variable}=1 in a sandbox."
    )


@dataclass(frozen=True)
class AgentFinding:
    """Doctor's finding about one agent on this machine; without a path it is not installed.

    `version` is empty if the agent does not report it, None if that took too long. `floor` is the
    oldest version known to work, `seen_with` the version its preset was written for.
    `unknown_flags` are flags of its command line that its help does not list (None if the help
    could not be read), `evidence` is the basis of `signed_in`. `install` and `sign_in` are
    instructions; `root_variable` must be set here if not empty.
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
    """The prompt does not fit into the command's arguments; the message is a sentence."""


class OutputReader(Protocol):
    """Incremental parser of one agent's output; never raises on any input."""

    def feed(self, data: bytes) -> list[ReportEvent]:
        """Parse more output. Return the events that end in it, however the output is split."""
        ...

    def finish(self) -> list[ReportEvent]:
        """Return the events of an unterminated last line. Call once, after the last `feed`."""
        ...


class Agents(Protocol):
    """The agent presets."""

    def names(self) -> list[str]:
        """Return the names of all presets, including `script`."""
        ...

    def command(self, agent: str, job: Job, own_command: Sequence[str] | None) -> list[str]:
        """Return the argv for a job; `own_command` is the project's, for `script`.

        Raises PromptTooLong.
        """
        ...

    def reads_stdin(self, agent: str) -> bool:
        """Return True if the agent reads its prompt from standard input."""
        ...

    def unready(
        self,
        agent: str,
        own_command: Sequence[str] | None,
        level: SandboxLevel = SandboxLevel.NONE,
    ) -> Unready | None:
        """Return, without delay, why the agent is known to be unusable here, or None."""
        ...

    def environment(self, agent: str, level: SandboxLevel = SandboxLevel.NONE) -> dict[str, str]:
        """Return the allow-listed environment, with what the agent's sign-in needs at `level`."""
        ...

    def secrets(self) -> Iterable[Secret]:
        """Return every secret that the environment of any agent may contain."""
        ...

    def hosts(self, agent: str) -> Sequence[str]:
        """Return the hosts that the agent cannot work without, as `host` or `host:port`."""
        ...

    def chosen_hosts(self, agent: str) -> Sequence[str]:
        """Return the hosts that the agent's environment sets in place of its vendor's."""
        ...

    def account(self, agent: str) -> str:
        """Return a mark that identifies the agent's current sign-in on this machine."""
        ...

    def can_continue(self, agent: str, session_id: str) -> bool:
        """Return True if the agent can continue one of its sessions unattended."""
        ...

    def reader(self, agent: str) -> OutputReader | None:
        """Return a new reader of the agent's output, None if its format is unknown."""
        ...

    def entry_parser(self, agent: str) -> Callable[[bytes], list[Entry]] | None:
        """Return a function from an output line to entries for people, None without such a format.

        The function never raises on any line.
        """
        ...

    def exit_words(self, agent: str, code: int) -> str:
        """Return the agent's own meaning of an exit code, empty if it has none."""
        ...

    def exit_failure(self, agent: str, code: int) -> Failure | None:
        """Return the failure that this exit code of the agent stands for, or None."""
        ...

    def continue_command(self, agent: str, session_id: str) -> str:
        """Return the command line to continue a session by hand, empty if there is none."""
        ...

    def findings(self) -> list[AgentFinding]:
        """Return the findings on every preset; takes seconds if many are installed."""
        ...
