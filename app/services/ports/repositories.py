"""Ports to git: mirrors and claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from app.domain.secret_masks import SecretMask
from app.domain.words import Cause, MergeWait
from app.services.ports.commits import (
    ChangedFile,
    Commit,
    Diff,
    DiffStat,
    FileText,
    LargeFile,
    Leak,
)

# a repository's list of files outside git that working copies need too
INCLUDE_LIST = ".runyardinclude"


class OriginProblem(Exception):
    """The origin could not be used; the message is a sentence for people.

    `for_good` is True if asking again cannot help (no such repository, not allowed), False if it
    may (no answer, a timeout). `cause` is set if known.
    """

    def __init__(self, sentence: str, *, for_good: bool, cause: Cause | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.for_good = for_good
        self.cause = cause


class BranchTaken(Exception):
    """The branch to be claimed exists already."""


class CannotRead(Exception):
    """Something could not be read now: keep everything, conclude nothing, try again."""


class DiskFull(CannotRead):
    """The disk had no room for a write."""


class Unfinished(CannotRead):
    """A read exceeded its limit of time or size; the next one will, too."""


class Tampered(CannotRead):
    """An agent left something unacceptable that no retry will change: keep it as evidence."""


@dataclass(frozen=True)
class Repository:
    """A project as git adapters know it: its id and its origin.

    `owner_hooks` is the digest of a local origin's hooks from when a person switched them on,
    `full_name` its name at a forge (`owner/name`), None for a project of the built-in tracker.
    `agents` are accounts of agents there: they write, and are nobody whose words count.
    """

    project_id: str
    origin: str
    owner_hooks: str | None = None
    full_name: str | None = None
    agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoteBranch:
    """A branch of origin; `updated_at` (UTC) is None if known only from `ls-remote`."""

    name: str
    sha: str
    updated_at: datetime | None = None


@dataclass(frozen=True)
class Remote:
    """Output of `ls-remote`: the branch HEAD names (None: empty or detached) and all branches."""

    head: str | None
    branches: tuple[RemoteBranch, ...]


@dataclass(frozen=True)
class PushAnswer:
    """Result of a push: accepted, or refused for good with the remote's message.

    `shows` is the commit that origin has instead of the pushed one, if any. `hooks_changed` is
    True if hooks that a person had switched on did not run because they changed.
    """

    accepted: bool
    because: str = ""
    shows: str | None = None
    hooks_changed: bool = False


@dataclass(frozen=True)
class MergeAnswer:
    """Result of a merge: `sha` of the merge commit, or why nothing was changed.

    `conflicts` names the files in conflict. `hooks_changed` is True if hooks that a person had
    switched on did not run because they changed, `brings_more` if the merge would bring commits
    into base that neither base nor the change has. `waits_for` is what a forge waits for that
    makes the merge by itself.
    """

    sha: str | None
    because: str = ""
    conflicts: tuple[str, ...] = ()
    hooks_changed: bool = False
    brings_more: bool = False
    waits_for: MergeWait | None = None


@dataclass(frozen=True)
class PreparedMerge:
    """The commit `sha` of a merge of `base_sha`, whose `files` in conflict hold markers.

    `entries` are those files' entries of git's index.
    """

    sha: str
    base_sha: str
    files: tuple[str, ...]
    entries: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class MergedChange:
    """A change that was merged into `base`: its own commits, and the commit it was merged as."""

    base: str
    merged_sha: str
    base_sha: str
    head_sha: str


@dataclass(frozen=True)
class RevertAnswer:
    """The commit `sha` on top of base's `base_sha` that takes a merge back, or why there is none.

    `conflicts` names files that later commits changed too, `is_empty` is True if base no longer has
    anything of the merge.
    """

    sha: str | None
    base_sha: str = ""
    because: str = ""
    conflicts: tuple[str, ...] = ()
    is_empty: bool = False


class Mirrors(Protocol):
    """Runyard's bare clones: claims in `refs/heads/*`, origin's in `refs/remotes/origin/*`."""

    def inspect_origin(self, origin: str, *, timeout_seconds: float) -> Remote:
        """Return origin's HEAD and branches from `ls-remote`. Raises OriginProblem."""
        ...

    def check_place(self, origin: str) -> None:
        """Raise OriginProblem for a folder that is gone or no repository; uses no network."""
        ...

    def remote_of(self, folder: str) -> str | None:
        """Return the address a folder's repository calls `origin`, None if it is unusable."""
        ...

    def hooks_of(self, origin: str) -> str:
        """Return the digest of a local origin's hooks, to compare. Raises OriginProblem."""
        ...

    def clone(self, repo: Repository, *, progress: Callable[[int, str], None]) -> None:
        """Create the mirror, complete or not at all; `progress` gets percent and phase."""
        ...

    def exists(self, repo: Repository) -> bool:
        """Return True if the mirror exists."""
        ...

    def objects(self, repo: Repository) -> Path:
        """Return the folder of the mirror's objects, which working copies borrow."""
        ...

    def remove(self, repo: Repository) -> None:
        """Delete the mirror, if there is one."""
        ...

    def fetch(self, repo: Repository) -> None:
        """Fetch origin's branches. Raises OriginProblem."""
        ...

    def begins_alike(self, repo: Repository, origin: str) -> bool:
        """Return True if a history at `origin` and one of the mirror begin with the same commit.

        Raises OriginProblem, CannotRead.
        """
        ...

    def branches(self, repo: Repository) -> list[RemoteBranch]:
        """Return origin's branches as last fetched, with the time of their newest commit."""
        ...

    def origin_tip(self, repo: Repository, branch: str) -> str | None:
        """Return the commit of origin's branch as last fetched, None if it is not there."""
        ...

    def has_any(self, repo: Repository, branch: str, paths: Sequence[str]) -> bool:
        """Return True if origin's branch, as last fetched, has any of these files.

        Raises CannotRead.
        """
        ...

    def read_file(self, repo: Repository, sha: str, name: str, *, most: int) -> FileText | None:
        """Return the first `most` bytes of a file of a commit.

        None if it has no such file; links are no files. Raises CannotRead.
        """
        ...

    def tip(self, repo: Repository, branch: str) -> str | None:
        """Return the commit of a claim, None if the branch is not claimed."""
        ...

    def claims(self, repo: Repository) -> set[str]:
        """Return every branch that is claimed here."""
        ...

    def claim(self, repo: Repository, branch: str, base_sha: str) -> None:
        """Create the run's branch at `base_sha`. Raises BranchTaken."""
        ...

    def release(self, repo: Repository, branch: str, *, expected_sha: str | None) -> bool:
        """Delete a claim that still points at `expected_sha` (None: anywhere). False if kept."""
        ...

    def move(self, repo: Repository, branch: str, sha: str, *, expected_sha: str) -> bool:
        """Point a claim that is still at `expected_sha` at another commit. False if it is not."""
        ...

    def rename(self, repo: Repository, branch: str, new_name: str) -> None:
        """Rename a claim."""
        ...

    def stat(self, repo: Repository, base_sha: str, tip: str) -> DiffStat:
        """Return the size of `base_sha..tip`."""
        ...

    def diff(self, repo: Repository, base_sha: str, tip: str, paths: Sequence[str] = ()) -> Diff:
        """Return the unified diff from the merge base of the two to `tip`.

        With `paths`, of these files only; a rename needs both its paths.
        """
        ...

    def changed_files(self, repo: Repository, base_sha: str, tip: str) -> list[ChangedFile]:
        """Return the files of that diff, all of them, by path. Raises CannotRead."""
        ...

    def changed_between(
        self, repo: Repository, old: str, new: str, patterns: Sequence[str]
    ) -> list[str] | None:
        """Return the files among git's glob `patterns` in which two commits differ, by path.

        None if the mirror does not have the old commit. Raises CannotRead.
        """
        ...

    def diff_between(self, repo: Repository, old: str, new: str, patterns: Sequence[str]) -> Diff:
        """Return the unified diff of those files. Raises CannotRead."""
        ...

    def commits(self, repo: Repository, base_sha: str, tip: str) -> list[Commit]:
        """Return the commits of `base_sha..tip` on its own line, newest first.

        Those that a merge brought in are left out. At most 200. Raises CannotRead.
        """
        ...

    def conflicts(self, repo: Repository, base_sha: str, tip: str) -> tuple[str, ...]:
        """Return the files in which a merge of `tip` into `base_sha` would conflict.

        Raises CannotRead, also for commits without a common history.
        """
        ...

    def prepare_merge(self, repo: Repository, head_sha: str, base_sha: str) -> PreparedMerge:
        """Merge `base_sha` into `head_sha`, conflicts included; no branch moves.

        Raises CannotRead.
        """
        ...

    def why_unresolved(self, repo: Repository, tip: str, head_sha: str, base_sha: str) -> str:
        """Return why `tip` does not conclude that merge, "" if it does. Raises CannotRead."""
        ...

    def prepare_revert(self, repo: Repository, merged: MergedChange, message: str) -> RevertAnswer:
        """Commit on top of origin's base what takes a merge back; no branch moves.

        Fetch before it. Raises OriginProblem, CannotRead.
        """
        ...

    def large_files(
        self, repo: Repository, base_sha: str, tip: str, *, above: int
    ) -> list[LargeFile]:
        """Return files above that many bytes in any commit of `base_sha..tip`, largest first.

        Files that origin has already do not count. Raises CannotRead.
        """
        ...

    def find_leak(self, repo: Repository, base_sha: str, tip: str, mask: SecretMask) -> Leak | None:
        """Return the first secret that the commits `base_sha..tip` add, None if they add none.

        Raises CannotRead if any of them could not be read.
        """
        ...

    def push(self, repo: Repository, branch: str, *, sha: str | None = None) -> PushAnswer:
        """Push a claim under its own name: `sha`, even if commits follow it, or (None) its tip.

        Raises OriginProblem if origin did not answer.
        """
        ...

    def delete_at_origin(self, repo: Repository, branch: str, *, expected_sha: str) -> bool:
        """Delete origin's branch if it still points at `expected_sha`. Return False if kept."""
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
        """Merge a claim (at `head_sha`) into base and push base to origin, or change nothing.

        With `base_sha`, where the claim began, merge only into a base that has that commit.
        """
        ...
