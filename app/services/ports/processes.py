"""What the services ask of the place where runs execute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from app.domain.end_causes import ExitRecord
from app.domain.sandbox.levels import SandboxPolicy
from app.domain.words import Cause
from app.services.ports.homes import Lodging

# what an engine has asked a run's row to keep of its processes, as JSON
Kept = Mapping[str, Any]
ENDED = "ended"


def ended(kept: Kept | None) -> dict[str, Any]:
    """The same, with what a kill has proved: nothing of the run is left."""
    return {**(kept or {}), ENDED: True}


def is_ended(kept: Kept | None) -> bool:
    """True where a kill has proved it."""
    return kept is not None and kept.get(ENDED) is True


@dataclass(frozen=True)
class ProcessMark:
    """A process that can be told from another with the same number.

    `started` is the kernel's start time in clock ticks since boot.
    """

    pid: int
    started: int
    boot_id: str


@dataclass(frozen=True)
class LaunchOrder:
    """Everything the supervisor needs; the budget is in seconds, the log cap in bytes.

    `reads_prompt`: the prompt is the agent's standard input, which is empty otherwise.
    `setup` is run in the working copy before the agent, in the same log; both together have
    `launch_seconds` until the agent must be there.
    """

    run_id: str
    argv: Sequence[str]
    workdir: Path
    env: Mapping[str, str]
    budget_seconds: float
    grace_seconds: float
    log_cap_bytes: int
    prompt: str
    reads_prompt: bool = False
    setup: Sequence[str] = ()
    launch_seconds: float = 60
    policy: SandboxPolicy = field(default_factory=SandboxPolicy)
    # what may be reached at the network rule `allowed`: what the agent and the project's languages
    # need, and what people have named
    known_hosts: Sequence[str] = ()
    listed_hosts: Sequence[str] = ()
    # what the working copy needs and must not change: the mirror's objects that it borrows
    readable: Sequence[Path] = ()
    lodging: Lodging | None = None
    # what else the agent's environment gets, each name prefixed with RUNYARD_ by the engine
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sight:
    """What one look at a run's process found; `alive` None: the process table was unreadable.

    `mark` is there once the agent itself was started, not while its set-up goes on.
    `overrun` is by how many seconds of the boot clock its supervisor has let its time and grace
    pass, below 0 while they last. `tree_gone` is the proof that nothing of the run is left,
    `is_untouched` that no supervisor of it has ever begun. `has_untrue_records`: there are records
    that its supervisor did not write; they are not believed.
    """

    alive: bool | None
    exit: ExitRecord | None
    mark: ProcessMark | None
    tree_gone: bool
    host_restarted: bool = False
    is_untouched: bool = False
    overrun: float | None = None
    has_untrue_records: bool = False


@dataclass(frozen=True)
class Refusal:
    """A host that an agent asked for and may not reach, and why; without a host: further ones."""

    host: str
    port: int = 0
    because: str = ""


@dataclass(frozen=True)
class Launched:
    """An agent that was started: its supervisor's mark, and what the run's row has to keep of it.

    `kept` is JSON that only the engine reads; what it asks for is in its row before the agent is
    there, so that nothing an agent writes is needed to know its processes again. `surroundings`
    are what the run's provenance tells of it: sandbox, sandbox_means, network, allow, limits.
    """

    mark: ProcessMark
    kept: Kept
    surroundings: Mapping[str, str] = field(default_factory=dict)


class LaunchFailed(Exception):
    """The agent could not be started; the message is a sentence, `cause` is there if known."""

    def __init__(self, sentence: str, *, cause: Cause | None = None) -> None:
        super().__init__(sentence)
        self.cause = cause


@dataclass(frozen=True)
class LogPiece:
    """Bytes of a log and the position after them."""

    content: bytes
    next_offset: int


class LogView(Protocol):
    """A run's log as kept. Positions count the bytes the agent wrote, dropped ones too."""

    @property
    def size(self) -> int:
        """Bytes the agent has written."""
        ...

    @property
    def is_cut(self) -> bool:
        """True where a middle part was dropped."""
        ...

    @property
    def is_replaced(self) -> bool:
        """True where somebody has put something else in the log's place, or taken it away."""
        ...

    @property
    def written_at(self) -> datetime | None:
        """When the agent last wrote (UTC), None where it has written nothing."""
        ...

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        """Bytes from `offset`, a marker line in the place of dropped ones.

        A negative offset counts from the end.
        """
        ...


class Engine(Protocol):
    """Where runs execute; `kept` is what its row has of a run, None where nothing has begun."""

    def launch(self, order: LaunchOrder, keep: Callable[[Kept], None]) -> Launched:
        """Start the agent under its supervisor and wait until it is there. Raises LaunchFailed.

        `keep` writes into the run's row, before the agent begins; what it raises ends the launch.
        """
        ...

    def prompt_file(self, run_id: str) -> Path:
        """Where the agent of this run will find its prompt."""
        ...

    def look(self, run_id: str, kept: Kept | None) -> Sight:
        """Look at the run's records and processes."""
        ...

    def kill(self, run_id: str, kept: Kept | None) -> bool:
        """End the whole tree: TERM, grace, KILL, proof. False where it could not be proved."""
        ...

    def log(self, run_id: str) -> LogView:
        """The run's log, empty where there is none."""
        ...

    def refusals(self, run_id: str) -> Sequence[Refusal]:
        """Each host that the run's way out has refused, once, in order."""
        ...

    def watch(self, run_id: str, kept: Kept | None) -> None:
        """Begin to report this run's changes to the listener given to `listen`."""
        ...

    def unwatch(self, run_id: str) -> None:
        """Stop reporting this run's changes."""
        ...

    def listen(self, on_change: Callable[[str, str], None]) -> None:
        """Set who hears `(run_id, what)`.

        `what` is `started`, `exit`, `gone`, `log` or `refused`.
        """
        ...

    def owned(self) -> set[str]:
        """Run ids of every process on this machine that carries this instance's mark."""
        ...

    def close(self) -> None:
        """End the watching; the runs go on."""
        ...


@dataclass(frozen=True)
class RunFolder:
    """A run's records and log on disk: when it was last written to (UTC), and its bytes."""

    run_id: str
    written_at: datetime
    bytes: int


class RunFolders(Protocol):
    """The folders of all runs on this machine."""

    def all(self) -> list[RunFolder]:
        """Each run's folder, in no order; the longer the more are kept. Raises OSError."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete a run's folder, links not followed. Raises OSError."""
        ...
