"""What the services ask of git: mirrors, claims and working copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from app.domain.secret_masks import SecretMask
from app.domain.words import Cause

# the list, in a repository, of files outside of git that a copy needs too
INCLUDE_LIST = ".runyardinclude"


class OriginProblem(Exception):
    """The origin could not be used; the message is a sentence a person can read.

    `for_good` is True where asking again cannot help (no such repository, not allowed),
    False where it may (no answer, a time-out). `cause` is what kept us from it, if that is known.
    """

    def __init__(self, sentence: str, *, for_good: bool, cause: Cause | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.for_good = for_good
        self.cause = cause


class BranchTaken(Exception):
    """The branch that was to be claimed exists already."""


class CannotRead(Exception):
    """Something could not be read just now: keep everything, conclude nothing, look again."""


class DiskFull(CannotRead):
    """There was no room for what had to be written."""


class Unfinished(CannotRead):
    """A reading took longer, or told more, than one may: the next one will be as long."""


class Tampered(CannotRead):
    """What an agent left is not acceptable, and will not be at the next look: it is evidence."""


@dataclass(frozen=True)
class Repository:
    """A project as git adapters know it: its id and its origin.

    `owner_hooks` is what the hooks of a local origin were when a person switched them on.
    """

    project_id: str
    origin: str
    owner_hooks: str | None = None


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
class LargeFile:
    """A file in commits, with its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Leak:
    """A secret in a commit, by its name: in a file's line, or (0) in the file's own name.

    Without a path it is in the commit itself: its message, its author.
    """

    name: str
    commit: str
    path: str = ""
    line: int = 0


@dataclass(frozen=True)
class PushAnswer:
    """How a push ended: accepted, or refused for good with the far side's words.

    `shows` is the commit that origin shows instead of what was pushed, if it shows one.
    `hooks_changed` is True where hooks were left out that a person had switched on.
    """

    accepted: bool
    because: str = ""
    shows: str | None = None
    hooks_changed: bool = False


@dataclass(frozen=True)
class MergeAnswer:
    """How a merge ended: `sha` of the merge commit, or why nothing was changed.

    `conflicts` names the files that stood in the way. `hooks_changed` is True where hooks were
    left out that a person had switched on, `brings_more` where commits would come into base that
    neither base nor the change has.
    """

    sha: str | None
    because: str = ""
    conflicts: tuple[str, ...] = ()
    hooks_changed: bool = False
    brings_more: bool = False


class Mirrors(Protocol):
    """Runyard's bare clones. Claims are `refs/heads/*`, origin's are `refs/remotes/origin/*`."""

    def look_at_origin(self, origin: str, *, timeout_seconds: float) -> Remote:
        """Ask origin for its branches. Raises OriginProblem."""
        ...

    def check_place(self, origin: str) -> None:
        """Raise OriginProblem for a folder that is gone or no repository; asks nobody else."""
        ...

    def remote_of(self, folder: str) -> str | None:
        """The address a folder's repository calls `origin`; None without a usable one."""
        ...

    def hooks_of(self, origin: str) -> str:
        """The digest of a local origin's hooks, to compare. Raises OriginProblem."""
        ...

    def clone(self, repo: Repository, *, progress: Callable[[int, str], None]) -> None:
        """Make the mirror, whole or not at all; `progress` hears percent and phase."""
        ...

    def exists(self, repo: Repository) -> bool:
        """True where the mirror was made."""
        ...

    def objects(self, repo: Repository) -> Path:
        """The folder of the mirror's objects, which working copies borrow."""
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

    def has_any(self, repo: Repository, branch: str, paths: Sequence[str]) -> bool:
        """True where origin's branch, as last fetched, has one of these files; or CannotRead."""
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

    def large_files(
        self, repo: Repository, base_sha: str, tip: str, *, above: int
    ) -> list[LargeFile]:
        """Files above that many bytes in any commit of `base_sha..tip`, largest first.

        What origin has already does not count. Raises CannotRead.
        """
        ...

    def find_leak(self, repo: Repository, base_sha: str, tip: str, mask: SecretMask) -> Leak | None:
        """The first secret that the commits `base_sha..tip` add, None where they add none.

        Raises CannotRead where not all of them could be read.
        """
        ...

    def push(self, repo: Repository, branch: str, *, sha: str | None = None) -> PushAnswer:
        """Push a claim under its own name: `sha`, whatever came after it, or (None) its tip.

        Raises OriginProblem when origin did not answer.
        """
        ...

    def delete_at_origin(self, repo: Repository, branch: str, *, expected_sha: str) -> bool:
        """Delete origin's branch if it still points there; False where it was kept."""
        ...

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
        """Merge a claim (at `head_sha`) into base, push base to origin, or change nothing.

        With `base_sha`, where the claim began, only into a base that has that commit.
        """
        ...


@dataclass(frozen=True)
class CopyState:
    """What a working copy holds that its branch's commits do not."""

    uncommitted_files: int
    untaken_commits: int = 0

    @property
    def is_clean(self) -> bool:
        """True where every file is in a commit, and every commit it names in the mirror."""
        return self.uncommitted_files == 0 and self.untaken_commits == 0

    @property
    def holds(self) -> str:
        """What would be lost with it, in words."""
        files = f"{_counted(self.uncommitted_files, 'file')} not committed"
        commits = f"{_counted(self.untaken_commits, 'commit')} beside its branch"
        counted = ((self.uncommitted_files, files), (self.untaken_commits, commits))
        return " and ".join(words for count, words in counted if count)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


class WorkingCopies(Protocol):
    """One clone per run. Nothing here opens the agent's git directory as a repository."""

    def path(self, run_id: str) -> Path:
        """Where the run's copy is or would be."""
        ...

    def exists(self, run_id: str) -> bool:
        """True where the folder is there."""
        ...

    def ids(self) -> list[str]:
        """Every run that has a copy, in no order."""
        ...

    def prepare(self, repo: Repository, run_id: str, *, branch: str, sha: str) -> Path:
        """Clone, borrowing the mirror's objects, with `branch` checked out at `sha`."""
        ...

    def include(self, repo: Repository, run_id: str) -> int:
        """Copy the files that `.runyardinclude` lists from a local origin; how many."""
        ...

    def take(self, repo: Repository, run_id: str, branch: str) -> str:
        """Pack the copy's commits into the mirror, checked; the tip.

        Raises Tampered where the copy is not sound by its agent's doing, CannotRead otherwise.
        """
        ...

    def look(self, repo: Repository, run_id: str, *, tip: str) -> CopyState:
        """Compare the files with the commit `tip` (one the mirror has). Raises CannotRead."""
        ...

    def diff(self, repo: Repository, run_id: str, *, base_sha: str) -> Diff:
        """Unified diff of the files, committed or not, against base. Raises CannotRead."""
        ...

    def adopt(self, old_id: str, run_id: str, *, in_place: bool = False) -> None:
        """Make the copy of one run another's; safe to repeat, nothing where there is none.

        With `in_place` its folder stays where it is: a session of an agent knows it by its path.
        Raises CannotRead.
        """
        ...

    def names(self, run_id: str) -> list[str]:
        """Names of what is at the top of the copy, of a great many only some. Raises CannotRead."""
        ...

    def size(self, run_id: str) -> int:
        """Bytes of the copy on disk."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete the copy; a caller has made sure that nothing is lost."""
        ...
