"""Ports to the engine that executes runs, and to the run folders on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from app.domain.end_causes import ExitRecord
from app.domain.sandbox.levels import SandboxPolicy
from app.domain.words import Cause
from app.services.ports.homes import PrivateHome

# an engine's data about a run's processes, kept in the run's row as JSON
Kept = Mapping[str, Any]
ENDED = "ended"


def ended(kept: Kept | None) -> dict[str, Any]:
    """Return `kept` marked as ended: a kill has proved that no process of the run is left."""
    return {**(kept or {}), ENDED: True}


def is_ended(kept: Kept | None) -> bool:
    """Return True if a kill has proved that no process of the run is left."""
    return kept is not None and kept.get(ENDED) is True


@dataclass(frozen=True)
class Step:
    """One order to the engine within a run: a turn of the agent, or a check after that turn.

    Turns and checks count from 1; `label` is the line in the log where the step begins, empty for
    none.
    """

    turn: int = 1
    check: int | None = None
    label: str = field(default="", compare=False)

    @property
    def is_first(self) -> bool:
        """True for the first turn, which begins a run."""
        return self.turn == 1 and self.check is None

    @property
    def suffix(self) -> str:
        """The ending of the names of its records; the first turn gets its own only later."""
        if self.check is not None:
            return f".{self.turn}.c{self.check}"
        return "" if self.is_first else f".{self.turn}"


def step_of(kept: Kept | None) -> Step | None:
    """Return the step that an engine's data is about; None before the first one."""
    if kept is None:
        return None
    turn, check = (kept.get(name) for name in ("turn", "check"))
    is_check = isinstance(check, int)
    return Step(turn if isinstance(turn, int) else 1, check if is_check else None)


@dataclass(frozen=True)
class ProcessMark:
    """Identity of a process, distinct from another one with the same number.

    `started` is the kernel's start time in clock ticks since boot.
    """

    pid: int
    started: int
    boot_id: str


@dataclass(frozen=True)
class LaunchOrder:
    """Everything the supervisor needs; the budget is in seconds, the log cap in bytes.

    `reads_prompt`: the prompt is the agent's standard input, which is empty otherwise.
    `setup` runs in the working copy before the agent, with the same log; the agent must be
    running within `launch_seconds`, set-up included.
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
    # reachable under the network rule `allowed`: hosts that the agent and the project's languages
    # need, and hosts listed by people
    known_hosts: Sequence[str] = ()
    listed_hosts: Sequence[str] = ()
    # needed by the working copy but read-only: the mirror's objects that it borrows
    readable: Sequence[Path] = ()
    private_home: PrivateHome | None = None
    # more variables for the agent; the engine prefixes each name with RUNYARD_
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    # a later step belongs to a run whose earlier steps are proved gone, and has no set-up
    step: Step = field(default_factory=Step)


@dataclass(frozen=True)
class Observation:
    """Result of inspecting a run's processes; `alive` is None if the process table was unreadable.

    `mark` is set once the agent itself has started, not during its set-up; a record that is missing
    does not take it back. `overrun` is how many seconds of the boot clock its supervisor is past
    the run's time and grace, negative before.
    `tree_gone` proves that nothing of the run is left, `is_untouched` that no supervisor of it
    ever began. `has_untrue_records`: records exist that its supervisor did not write; they are
    ignored. `log_from` is the position in the log at which the step begins. All of it is about the
    step named by the engine's data.
    """

    alive: bool | None
    exit: ExitRecord | None
    mark: ProcessMark | None
    tree_gone: bool
    host_restarted: bool = False
    is_untouched: bool = False
    overrun: float | None = None
    has_untrue_records: bool = False
    log_from: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A host that an agent was refused, and why; without a host it stands for further ones."""

    host: str
    port: int = 0
    because: str = ""


@dataclass(frozen=True)
class Launched:
    """A started agent: its supervisor's mark, and the data to keep in the run's row.

    `kept` is JSON that only the engine reads. It is in the row before the agent starts, so that
    identifying its processes needs nothing that an agent writes. `sandbox_facts` are fields of the
    run's provenance: sandbox, sandbox_means, network, allow, limits.
    """

    mark: ProcessMark
    kept: Kept
    sandbox_facts: Mapping[str, str] = field(default_factory=dict[str, str])


class LaunchFailed(Exception):
    """The agent could not be started; the message is a sentence, `cause` is set if known."""

    def __init__(self, sentence: str, *, cause: Cause | None = None) -> None:
        super().__init__(sentence)
        self.cause = cause


class NotYet(Exception):
    """A later step cannot be begun now and nothing of it has begun; the message says why."""


@dataclass(frozen=True)
class LogPiece:
    """Bytes of a log and the position after them."""

    content: bytes
    next_offset: int


class LogView(Protocol):
    """A run's log as kept. Positions count the bytes the agent wrote, including dropped ones."""

    @property
    def size(self) -> int:
        """Bytes the agent has written."""
        ...

    @property
    def is_cut(self) -> bool:
        """True if a middle part was dropped."""
        ...

    @property
    def is_replaced(self) -> bool:
        """True if the log was replaced or removed from outside."""
        ...

    @property
    def written_at(self) -> datetime | None:
        """Time of the agent's last write (UTC), None if it has written nothing."""
        ...

    def times(self, positions: Sequence[int]) -> list[datetime | None]:
        """Return when the output at each position arrived (UTC, whole seconds), None if unknown."""
        ...

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        """Return bytes from `offset`, with a marker line in place of dropped ones.

        A negative offset counts from the end.
        """
        ...


class Engine(Protocol):
    """Executes runs; `kept` is the engine's data in a run's row, None if nothing has begun."""

    def launch(self, order: LaunchOrder, keep: Callable[[Kept], None]) -> Launched:
        """Start the agent under its supervisor and wait until it runs.

        `keep` writes to the run's row before the agent begins; if it raises, the launch ends.
        Raises LaunchFailed, and NotYet for a later step.
        """
        ...

    def prompt_file(self, run_id: str, turn: int = 1) -> Path:
        """Return the path where the agent of this run will find the prompt of a turn."""
        ...

    def inspect(self, run_id: str, kept: Kept | None) -> Observation:
        """Inspect the run's records and processes."""
        ...

    def kill(self, run_id: str, kept: Kept | None) -> bool:
        """End the whole process tree: TERM, grace, KILL, proof. Return False without proof."""
        ...

    def log(self, run_id: str) -> LogView:
        """Return the run's log, empty if there is none."""
        ...

    def refusals(self, run_id: str) -> Sequence[Refusal]:
        """Return each host that the run was refused, once, in order."""
        ...

    def watch(self, run_id: str, kept: Kept | None) -> None:
        """Start reporting this run's changes to the listener given to `listen`."""
        ...

    def unwatch(self, run_id: str) -> None:
        """Stop reporting this run's changes."""
        ...

    def listen(self, on_change: Callable[[str, str], None]) -> None:
        """Set the listener, called as `on_change(run_id, what)`.

        `what` is `started`, `exit`, `gone`, `log` or `refused`.
        """
        ...

    def owned(self) -> set[str]:
        """Return the run ids of all processes on this machine that carry this instance's mark."""
        ...

    def close(self) -> None:
        """Stop watching; the runs continue."""
        ...


@dataclass(frozen=True)
class RunFolder:
    """A run's records and log on disk: time of the last write (UTC), and size in bytes."""

    run_id: str
    written_at: datetime
    bytes: int


class RunFolders(Protocol):
    """Folders of all runs on this machine."""

    def all(self) -> list[RunFolder]:
        """Return every run's folder, unordered; takes longer the more there are. Raises OSError."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete a run's folder without following links. Raises OSError."""
        ...
