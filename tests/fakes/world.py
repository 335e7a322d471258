"""In-memory fakes of everything outside Runyard: a world of commits, branches and processes.

They obey the contracts of the real adapters (tests/contracts/stores/test_twins.py), and hundreds of
scenarios run in the time of one real one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.sandbox.levels import Means, SandboxLevel, SandboxPolicy
from app.domain.secret_masks import SecretMask
from app.domain.words import Cause
from app.services.ports import (
    BranchTaken,
    CannotRead,
    Capability,
    ChangedFile,
    Commit,
    CopyChange,
    CopyState,
    Diff,
    DiffStat,
    Enclosure,
    FileText,
    LargeFile,
    LaunchOrder,
    Leak,
    MergeAnswer,
    MergedChange,
    OriginProblem,
    PreparedMerge,
    PushAnswer,
    Refusal,
    Remote,
    RemoteBranch,
    Repository,
    RevertAnswer,
    Step,
)

BASE = "main"
BOOT = "boot-1"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Copy:
    """A working copy: its branch, its commit, its number of uncommitted files, its kept state."""

    branch: str
    tip: str
    uncommitted: int = 0
    before: tuple[str, int] | None = None


@dataclass
class Process:
    """The process of a run's step, and the state of its process tree.

    `overrun`: how many seconds it is past its time, while it lives.
    """

    pid: int
    step: Step = field(default_factory=Step)
    log_from: int = 0
    boot: str = BOOT
    overrun: float | None = None
    is_alive: bool = True
    exit: ExitRecord | None = None
    can_be_killed: bool = True
    is_proved_gone: bool = True

    @property
    def has_begun(self) -> bool:
        """True unless its command could not be executed."""
        return self.exit is None or self.exit.reason is not ExitReason.NOT_SPAWNED


@dataclass
class World:
    """The state of everything outside Runyard; each commit knows its parent."""

    parents: dict[str, str | None] = field(default_factory=dict)
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    mirrors: dict[str, dict[str, str]] = field(default_factory=dict)
    fetched: dict[str, dict[str, str]] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    # of each run's newest step, and of every step by its run and the ending of its records
    processes: dict[str, Process] = field(default_factory=dict)
    steps: dict[tuple[str, str], Process] = field(default_factory=dict)
    boot: str = BOOT
    launches: list[str] = field(default_factory=list)
    orders: dict[str, LaunchOrder] = field(default_factory=dict)
    words: dict[str, bytes] = field(default_factory=dict)
    # the position from which output arrived at a time
    arrivals: dict[str, list[tuple[int, datetime]]] = field(default_factory=dict)
    refusals: dict[str, list[Refusal]] = field(default_factory=dict)
    while_fetching: Callable[[], None] = lambda: None
    # the files of every commit, by name
    files: dict[str, str] = field(default_factory=dict)
    large_files: list[LargeFile] = field(default_factory=list)
    leak: Leak | None = None
    # the files in which a commit conflicts with every base that does not have its parents
    clashes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # why no run has resolved the conflicts that it was to resolve, if so
    unresolved: str = ""
    # the sentence with which every launch fails, if any, and its cause
    launch_problem: str = ""
    launch_cause: Cause | None = None
    # why no later step can be begun now, if so
    not_yet: str = ""
    while_killing: Callable[[], None] = lambda: None
    is_silent: bool = False
    is_stuck: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_origin(self, name: str) -> str:
        """Add a repository with one commit; return its address."""
        self.origins[name] = {BASE: self.new_commit(None)}
        return name

    def branches_at(self, origin: str) -> dict[str, str]:
        """Return the branches of a repository. Raises OriginProblem if it is not there."""
        if origin not in self.origins:
            raise OriginProblem("The repository could not be found.", for_good=True)
        return self.origins[origin]

    def new_commit(self, parent: str | None) -> str:
        """Add a commit on top of `parent` (None: a first commit); return its id."""
        sha = hashlib.sha1(f"{len(self.parents)}".encode(), usedforsecurity=False).hexdigest()
        self.parents[sha] = parent
        return sha

    def ancestry(self, sha: str | None) -> Iterator[str]:
        """Yield a commit and its ancestors, newest first."""
        while sha is not None:
            yield sha
            sha = self.parents[sha]

    # --- actions of agents ---------------------------------------------------------------------

    def arrive(self, run_id: str) -> None:
        """Note that output arrives now, at the end of the agent's log."""
        begin = len(self.words.get(run_id, b""))
        self.arrivals.setdefault(run_id, []).append((begin, datetime.now(UTC)))

    def say(self, run_id: str, words: str) -> None:
        """Append a line to the agent's log."""
        self.arrive(run_id)
        self.words[run_id] = self.words.get(run_id, b"") + f"{words}\n".encode()

    def commit(self, run_id: str) -> None:
        """Commit in the agent's copy."""
        copy = self.copies[run_id]
        copy.tip = self.new_commit(copy.tip)

    def leave_file(self, run_id: str) -> None:
        """Leave one uncommitted file in the agent's copy."""
        self.copies[run_id].uncommitted += 1

    def end(
        self,
        run_id: str,
        code: int | None = 0,
        *,
        signal: int | None = None,
        reason: ExitReason = ExitReason.EXITED,
    ) -> None:
        """End the agent, and write the exit record that its supervisor would write."""
        process = self.processes[run_id]
        if process.is_alive:
            process.is_alive = False
            process.exit = ExitRecord(code, signal, reason, datetime.now(UTC))

    def reboot(self) -> None:
        """Restart the machine: no process outlives that, and no supervisor records an end."""
        self.boot += "+"
        for process in self.steps.values():
            process.is_alive = False

    def lose(self, run_id: str, *, is_proved: bool = True) -> None:
        """End agent and supervisor without an exit record; `is_proved`: their end is proved."""
        self.processes[run_id].is_alive = False
        self.processes[run_id].is_proved_gone = is_proved


class FakeMirrors:
    """Mirrors in memory."""

    def __init__(self, world: World) -> None:
        self._world = world

    def inspect_origin(self, origin: str, *, timeout_seconds: float) -> Remote:
        branches = self._world.branches_at(origin)
        return Remote(BASE, tuple(RemoteBranch(name, sha) for name, sha in branches.items()))

    def check_place(self, origin: str) -> None:
        """Accept any origin: all origins of this world are addresses."""

    def remote_of(self, folder: str) -> str | None:
        """Return None: no folder of this world has a remote."""
        return None

    def hooks_of(self, origin: str) -> str:
        """Return an empty text: no origin of this world has hooks."""
        return ""

    def clone(self, repo: Repository, *, progress: Callable[[int, str], None]) -> None:
        progress(100, "Receiving objects")
        self._world.mirrors.setdefault(repo.project_id, {})
        self.fetch(repo)

    def exists(self, repo: Repository) -> bool:
        return repo.project_id in self._world.mirrors

    def objects(self, repo: Repository) -> Path:
        return Path("/nowhere") / repo.project_id

    def remove(self, repo: Repository) -> None:
        self._world.mirrors.pop(repo.project_id, None)

    def fetch(self, repo: Repository) -> None:
        self._world.while_fetching()
        self._world.fetched[repo.project_id] = dict(self._world.branches_at(repo.origin))

    def begins_alike(self, repo: Repository, origin: str) -> bool:
        fetched = self._world.fetched[repo.project_id]
        return not set(fetched.values()).isdisjoint(self._world.branches_at(origin).values())

    def branches(self, repo: Repository) -> list[RemoteBranch]:
        return [RemoteBranch(*one) for one in self._world.fetched[repo.project_id].items()]

    def origin_tip(self, repo: Repository, branch: str) -> str | None:
        return self._world.fetched[repo.project_id].get(branch)

    def has_any(self, repo: Repository, branch: str, paths: Sequence[str]) -> bool:
        return False

    def read_file(self, repo: Repository, sha: str, name: str, *, most: int) -> FileText | None:
        text = self._world.files.get(name)
        return None if text is None else FileText(text[:most], len(text) > most)

    def tip(self, repo: Repository, branch: str) -> str | None:
        return self._world.mirrors[repo.project_id].get(branch)

    def claims(self, repo: Repository) -> set[str]:
        if self._world.is_silent or not self.exists(repo):
            raise CannotRead("The mirror could not be read.")
        return set(self._world.mirrors[repo.project_id])

    def claim(self, repo: Repository, branch: str, base_sha: str) -> None:
        with self._world.lock:
            heads = self._world.mirrors[repo.project_id]
            if any(_shuts_out(branch, other) for other in heads):
                raise BranchTaken(branch)
            heads[branch] = base_sha

    def release(self, repo: Repository, branch: str, *, expected_sha: str | None) -> bool:
        with self._world.lock:
            heads = self._world.mirrors[repo.project_id]
            found = heads.get(branch)
            if found is None or (expected_sha is not None and found != expected_sha):
                return False
            del heads[branch]
            return True

    def move(self, repo: Repository, branch: str, sha: str, *, expected_sha: str) -> bool:
        with self._world.lock:
            heads = self._world.mirrors[repo.project_id]
            is_there = heads.get(branch) == expected_sha
            if is_there:
                heads[branch] = sha
            return is_there

    def rename(self, repo: Repository, branch: str, new_name: str) -> None:
        heads = self._world.mirrors[repo.project_id]
        heads[new_name] = heads.pop(branch)

    def stat(self, repo: Repository, base_sha: str, tip: str) -> DiffStat:
        before = set(self._world.ancestry(base_sha))
        commits = sum(sha not in before for sha in self._world.ancestry(tip))
        return DiffStat(commits, commits, commits, 0)

    def diff(self, repo: Repository, base_sha: str, tip: str, paths: Sequence[str] = ()) -> Diff:
        return Diff(f"{base_sha}..{tip}")

    def changed_files(self, repo: Repository, base_sha: str, tip: str) -> list[ChangedFile]:
        before = set(self._world.ancestry(base_sha))
        new = sorted(sha for sha in self._world.ancestry(tip) if sha not in before)
        return [ChangedFile(f"{sha[:7]}.txt", sha, additions=1) for sha in new]

    def changed_between(
        self, repo: Repository, old: str, new: str, patterns: Sequence[str]
    ) -> list[str]:
        return []

    def diff_between(self, repo: Repository, old: str, new: str, patterns: Sequence[str]) -> Diff:
        return Diff("")

    def commits(self, repo: Repository, base_sha: str, tip: str) -> list[Commit]:
        before = set(self._world.ancestry(base_sha))
        new = [sha for sha in self._world.ancestry(tip) if sha not in before]
        return [Commit(sha, f"Make {sha[:7]}", "Agent", BEGAN) for sha in new]

    def conflicts(self, repo: Repository, base_sha: str, tip: str) -> tuple[str, ...]:
        if self._world.is_silent:
            raise CannotRead("The mirror could not be read.")
        has_moved = base_sha not in self._world.ancestry(tip)
        return self._world.clashes.get(tip, ()) if has_moved else ()

    def prepare_merge(self, repo: Repository, head_sha: str, base_sha: str) -> PreparedMerge:
        files = self.conflicts(repo, base_sha, head_sha)
        return PreparedMerge(self._world.new_commit(head_sha), base_sha, files)

    def prepare_revert(self, repo: Repository, merged: MergedChange, message: str) -> RevertAnswer:
        tip = self.origin_tip(repo, merged.base)
        if tip is None:
            return RevertAnswer(None, because=f"The branch {merged.base} no longer exists.")
        if files := self._world.clashes.get(merged.head_sha, ()):
            return RevertAnswer(None, conflicts=tuple(files))
        return RevertAnswer(self._world.new_commit(tip), tip)

    def why_unresolved(self, repo: Repository, tip: str, head_sha: str, base_sha: str) -> str:
        return self._world.unresolved

    def large_files(
        self, repo: Repository, base_sha: str, tip: str, *, above: int
    ) -> list[LargeFile]:
        return [one for one in self._world.large_files if one.size > above]

    def find_leak(self, repo: Repository, base_sha: str, tip: str, mask: SecretMask) -> Leak | None:
        return self._world.leak

    def push(self, repo: Repository, branch: str, *, sha: str | None = None) -> PushAnswer:
        tip = self._world.mirrors[repo.project_id][branch]
        self._world.origins[repo.origin][branch] = sha or tip
        return PushAnswer(True)

    def delete_at_origin(self, repo: Repository, branch: str, *, expected_sha: str) -> bool:
        branches = self._world.origins[repo.origin]
        if branches.get(branch) != expected_sha:
            return False
        del branches[branch]
        return True

    def merge(
        self,
        repo: Repository,
        *,
        base: str,
        branch: str,
        message: str,
        base_sha: str | None = None,
        head_sha: str | None = None,
    ) -> MergeAnswer:
        head = head_sha or self._world.mirrors[repo.project_id][branch]
        self.fetch(repo)
        base_tip = self.origin_tip(repo, base)
        if base_tip and (files := self.conflicts(repo, base_tip, head)):
            return MergeAnswer(None, "Both sides changed them.", files)
        self._world.origins[repo.origin][base] = head
        self.fetch(repo)
        return MergeAnswer(head)


@dataclass
class FakeSandbox:
    """A sandbox that offers `levels`, by default both `contained` and `sandboxed`."""

    levels: Collection[SandboxLevel] = (SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED)
    because: str = ""
    remedy: str = ""
    looks: int = 0
    allows_none: bool = True

    def probe(self, *, again: bool = False) -> Capability:
        self.looks += again
        means = Means.BUBBLEWRAP if self.levels else None
        return Capability(means, self.levels, self.because, self.remedy, self.allows_none)

    def wrap(self, enclosure: Enclosure, policy: SandboxPolicy) -> list[str]:
        return []


def no_sandbox() -> FakeSandbox:
    """Return the sandbox of a machine that offers no level."""
    return FakeSandbox((), "bubblewrap is not installed.", "Install the package bubblewrap.")


class FakeCopies:
    """Working copies in memory."""

    def __init__(self, world: World) -> None:
        self._world = world

    def path(self, run_id: str) -> Path:
        # in a folder that is there: copies are in memory, but their disk is not away
        return Path("/") / f"nowhere-{run_id}"

    def exists(self, run_id: str) -> bool:
        return run_id in self._world.copies

    def ids(self) -> list[str]:
        return list(self._world.copies)

    def prepare(
        self,
        repo: Repository,
        run_id: str,
        *,
        branch: str,
        sha: str,
        merge: PreparedMerge | None = None,
    ) -> Path:
        self._world.copies[run_id] = Copy(branch, sha)
        return self.path(run_id)

    def include(self, repo: Repository, run_id: str) -> int:
        return 0

    def import_work(self, repo: Repository, run_id: str, branch: str) -> str:
        copy = self._copy(run_id)
        heads = self._world.mirrors[repo.project_id]
        if copy.before is not None:
            raise CannotRead("What its checks changed is not put back yet.")
        if branch not in heads:
            raise CannotRead("Nobody claims this branch.")
        heads[branch] = copy.tip
        return copy.tip

    def inspect(self, repo: Repository, run_id: str, *, tip: str) -> CopyState:
        return CopyState(self._copy(run_id).uncommitted)

    def keep_state(self, repo: Repository, run_id: str, *, branch: str, tip: str) -> None:
        copy = self._copy(run_id)
        copy.before = (tip, copy.uncommitted)

    def changes_since(self, repo: Repository, run_id: str) -> CopyChange:
        copy = self._copy(run_id)
        return CopyChange((), copy.before is not None and copy.tip != copy.before[0])

    def put_back(self, repo: Repository, run_id: str, *, is_over: bool) -> None:
        copy = self._copy(run_id)
        if copy.before is not None:
            copy.tip, copy.uncommitted = copy.before[0], max(copy.before[1], copy.uncommitted)
        if copy.before is not None and is_over:
            copy.uncommitted, copy.before = copy.before[1], None

    def drop_state(self, repo: Repository, run_id: str) -> bool:
        copy = self._copy(run_id)
        was_kept, copy.before = copy.before is not None, None
        return was_kept

    def diff(self, repo: Repository, run_id: str, *, base_sha: str) -> Diff:
        return Diff(f"{base_sha}..{self._copy(run_id).tip}")

    def adopt(self, old_id: str, run_id: str, *, in_place: bool = False) -> None:
        if self._world.is_stuck:
            raise CannotRead("The copy could not be moved.")
        if old_id in self._world.copies and run_id not in self._world.copies:
            self._world.copies[run_id] = self._world.copies.pop(old_id)

    def names(self, run_id: str) -> list[str]:
        self._copy(run_id)
        return ["README.md", "pyproject.toml"]

    def size(self, run_id: str) -> int:
        return 1024 if self.exists(run_id) else 0

    def remove(self, run_id: str) -> None:
        self._world.copies.pop(run_id, None)

    def _copy(self, run_id: str) -> Copy:
        if self._world.is_silent or run_id not in self._world.copies:
            raise CannotRead("The copy could not be read.")
        return self._world.copies[run_id]


def _shuts_out(branch: str, other: str) -> bool:
    return branch == other or branch.startswith(f"{other}/") or other.startswith(f"{branch}/")
