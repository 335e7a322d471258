"""What the services need from the outside, as protocols; `control_plane` picks who answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from app.domain.rules import ExitRecord

# --- git ---------------------------------------------------------------------------------------


class OriginProblem(Exception):
    """The origin could not be used; the message is a sentence a person can read.

    `for_good` is True where asking again cannot help (no such repository, not allowed),
    False where it may (no answer, a time-out).
    """

    def __init__(self, sentence: str, *, for_good: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.for_good = for_good


class BranchTaken(Exception):
    """The branch that was to be claimed exists already."""


class CannotRead(Exception):
    """Something of a working copy could not be read or trusted: keep everything."""


@dataclass(frozen=True)
class Repository:
    """What git adapters need to know of a project: its id and its origin."""

    project_id: str
    origin: str


@dataclass(frozen=True)
class RemoteBranch:
    """A branch of origin; `updated_at` (UTC) is None while only `ls-remote` has answered."""

    name: str
    sha: str
    updated_at: datetime | None = None


@dataclass(frozen=True)
class Remote:
    """What `ls-remote` said: the branch HEAD names (None: empty or detached) and all branches."""

    head: str | None
    branches: tuple[RemoteBranch, ...]


@dataclass(frozen=True)
class DiffStat:
    """The size of a change: counts of commits, files and lines."""

    commits: int = 0
    files_changed: int = 0
    additions: int = 0
    deletions: int = 0


@dataclass(frozen=True)
class Diff:
    """A unified diff; `is_cut` where it was longer than the cap."""

    text: str
    is_cut: bool = False


@dataclass(frozen=True)
class PushAnswer:
    """How a push ended: accepted, or refused for good with the far side's words."""

    accepted: bool
    because: str = ""


@dataclass(frozen=True)
class MergeAnswer:
    """How a merge ended: `sha` of the merge commit, or why nothing was changed.

    `conflicts` names the files that stood in the way.
    """

    sha: str | None
    because: str = ""
    conflicts: tuple[str, ...] = ()


class Mirrors(Protocol):
    """Runyard's own bare clones. Claims are `refs/heads/*`, origin's are `refs/remotes/origin/*`."""

    def look_at_origin(self, origin: str, *, timeout_seconds: float) -> Remote:
        """Ask origin for its branches. Raises OriginProblem."""
        ...

    def clone(self, repo: Repository, *, progress: Callable[[int, str], None]) -> None:
        """Make the mirror, whole or not at all; `progress` hears percent and phase."""
        ...

    def exists(self, repo: Repository) -> bool:
        """True where the mirror was made."""
        ...

    def remove(self, repo: Repository) -> None:
        """Delete the mirror, if there is one."""
        ...

    def fetch(self, repo: Repository) -> None:
        """Bring origin's branches up to date. Raises OriginProblem."""
        ...

    def branches(self, repo: Repository) -> list[RemoteBranch]:
        """Origin's branches as last fetched, with the time of their newest commit."""
        ...

    def origin_tip(self, repo: Repository, branch: str) -> str | None:
        """Commit of origin's branch as last fetched."""
        ...

    def tip(self, repo: Repository, branch: str) -> str | None:
        """Commit of a claim, None where nothing holds the branch."""
        ...

    def claims(self, repo: Repository) -> set[str]:
        """Every branch that is claimed here."""
        ...

    def claim(self, repo: Repository, branch: str, base_sha: str) -> None:
        """Create the run's branch at `base_sha`. Raises BranchTaken."""
        ...

    def release(self, repo: Repository, branch: str, *, expected_sha: str | None) -> bool:
        """Delete a claim if it still points at `expected_sha` (None: wherever it points)."""
        ...

    def rename(self, repo: Repository, branch: str, new_name: str) -> None:
        """Give a claim another name."""
        ...

    def stat(self, repo: Repository, base_sha: str, tip: str) -> DiffStat:
        """Size of `base_sha..tip`."""
        ...

    def diff(self, repo: Repository, base_sha: str, tip: str) -> Diff:
        """Unified diff from the merge base of the two to `tip`."""
        ...

    def push(self, repo: Repository, branch: str) -> PushAnswer:
        """Push a claim to origin under its own name. Raises OriginProblem when it did not answer."""
        ...

    def delete_at_origin(self, repo: Repository, branch: str, *, expected_sha: str) -> bool:
        """Delete origin's branch if it still points there; False where it was kept."""
        ...

    def merge(self, repo: Repository, *, base: str, branch: str, message: str) -> MergeAnswer:
        """Merge a claim into base in the mirror and push base to origin, or change nothing."""
        ...


@dataclass(frozen=True)
class CopyState:
    """What a working copy holds that its branch's commits do not."""

    uncommitted_files: int

    @property
    def is_clean(self) -> bool:
        """True where every file is in a commit."""
        return self.uncommitted_files == 0


class WorkingCopies(Protocol):
    """One clone per run. Nothing here opens the agent's git directory as a repository."""

    def path(self, run_id: str) -> Path:
        """Where the run's copy is or would be."""
        ...

    def exists(self, run_id: str) -> bool:
        """True where the folder is there."""
        ...

    def prepare(self, repo: Repository, run_id: str, *, branch: str, sha: str) -> Path:
        """Clone, borrowing the mirror's objects, with `branch` checked out at `sha`."""
        ...

    def include(self, repo: Repository, run_id: str) -> int:
        """Copy the files that `.runyardinclude` lists from a local origin; how many."""
        ...

    def take(self, repo: Repository, run_id: str, branch: str) -> str:
        """Pack the copy's commits into the mirror, checked; the tip. Raises CannotRead."""
        ...

    def look(self, repo: Repository, run_id: str, *, tip: str) -> CopyState:
        """Compare the files with the commit `tip` (one the mirror has). Raises CannotRead."""
        ...

    def diff(self, repo: Repository, run_id: str, *, base_sha: str) -> Diff:
        """Unified diff of the files, committed or not, against base. Raises CannotRead."""
        ...

    def size(self, run_id: str) -> int:
        """Bytes of the copy on disk."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete the copy; a caller has made sure that nothing is lost."""
        ...


# --- processes ---------------------------------------------------------------------------------


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
    setup: Sequence[str] = ()
    launch_seconds: float = 60
    # what else the agent's environment gets, each name prefixed with RUNYARD_ by the engine
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sight:
    """What one look at a run's process found; `alive` None: the process table was unreadable.

    `tree_gone` is the proof that nothing of the run is left.
    """

    alive: bool | None
    exit: ExitRecord | None
    mark: ProcessMark | None
    tree_gone: bool
    host_restarted: bool = False


class LaunchFailed(Exception):
    """The agent could not be started; the message is a sentence."""


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

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        """Bytes from `offset`, a marker line in the place of dropped ones.

        A negative offset counts from the end.
        """
        ...


class Engine(Protocol):
    """Where runs execute."""

    def launch(self, order: LaunchOrder) -> ProcessMark:
        """Start the agent under its supervisor and wait until it is there. Raises LaunchFailed."""
        ...

    def prompt_file(self, run_id: str) -> Path:
        """Where the agent of this run will find its prompt."""
        ...

    def look(self, run_id: str) -> Sight:
        """Look at the run's records and processes."""
        ...

    def kill(self, run_id: str) -> bool:
        """End the whole tree: TERM, grace, KILL, proof. False where it could not be proved."""
        ...

    def log(self, run_id: str) -> LogView:
        """The run's log, empty where there is none."""
        ...

    def watch(self, run_id: str) -> None:
        """Begin to report this run's changes to the listener given to `listen`."""
        ...

    def unwatch(self, run_id: str) -> None:
        """Stop reporting this run's changes."""
        ...

    def listen(self, on_change: Callable[[str, str], None]) -> None:
        """Set who hears `(run_id, what)`, `what` being `exit`, `gone` or `log`."""
        ...

    def owned(self) -> set[str]:
        """Run ids of every process on this machine that carries this instance's mark."""
        ...

    def close(self) -> None:
        """End the watching; the runs go on."""
        ...


# --- agents ------------------------------------------------------------------------------------


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


# --- forge -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Issue:
    """An issue as a tracker tells it; `state` is `open` or `closed`."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...]
    state: str
    url: str | None = None


@dataclass(frozen=True)
class Delivery:
    """A change or pull request; `kind` is `change` or `pull_request`."""

    kind: str
    number: int
    url: str
    state: str
    branch: str
    head_sha: str
    stat: DiffStat


@dataclass(frozen=True)
class ChangeOrder:
    """A change request to open for a run."""

    run_id: str
    title: str
    body: str
    base: str
    branch: str
    base_sha: str
    head_sha: str
    stat: DiffStat
    closes: int | None


class ForgeSilent(Exception):
    """The tracker did not answer; nothing may be concluded."""


class Forge(Protocol):
    """A tracker: issues and change requests of one project."""

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """One issue. Raises ForgeSilent."""
        ...

    def delivery_of(self, repo: Repository, run_id: str, branch: str) -> Delivery | None:
        """The change request this run opened, unless closed unmerged. Raises ForgeSilent."""
        ...

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a change request for the run, or answer the one it has. Raises ForgeSilent."""
        ...


class TrackerStore(Protocol):
    """Where the built-in tracker keeps its issues and change requests."""

    def issue(self, project_id: str, number: int) -> Any:
        """The issue's row, or None."""
        ...

    def change_of_run(self, run_id: str) -> Any:
        """The row of the change request a run opened, or None."""
        ...

    def open_change(self, **columns: Any) -> Any:
        """Open a change request under the project's next number, or answer the run's own."""
        ...
