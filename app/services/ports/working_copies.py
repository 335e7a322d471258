"""Port to the working copies of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.services.ports.repositories import Diff, PreparedMerge, Repository


@dataclass(frozen=True)
class CopyState:
    """Contents of a working copy that its branch's commits do not have.

    `changed` names tracked files that differ, `new` those that are not tracked and not ignored.
    """

    uncommitted_files: int
    untaken_commits: int = 0
    changed: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()

    @property
    def is_clean(self) -> bool:
        """True if every file is in a commit, and every commit the copy names is in the mirror."""
        return self.uncommitted_files == 0 and self.untaken_commits == 0

    @property
    def holds(self) -> str:
        """Words for the work that would be lost with the copy; empty if none."""
        files = f"{_counted(self.uncommitted_files, 'file')} not committed"
        commits = f"{_counted(self.untaken_commits, 'commit')} beside its branch"
        counted = ((self.uncommitted_files, files), (self.untaken_commits, commits))
        return " and ".join(words for count, words in counted if count)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True)
class CopyChange:
    """Differences between a copy and its kept state: files, and whether its branch was moved.

    New files are not among them.
    """

    files: tuple[str, ...] = ()
    is_branch_moved: bool = False


class WorkingCopies(Protocol):
    """One clone per run. The agent's git directory is never opened as a repository."""

    def path(self, run_id: str) -> Path:
        """Return the path of the run's copy, even if it does not exist."""
        ...

    def exists(self, run_id: str) -> bool:
        """Return True if the copy's folder exists."""
        ...

    def ids(self) -> list[str]:
        """Return the ids of all runs that have a copy, unordered."""
        ...

    def prepare(
        self,
        repo: Repository,
        run_id: str,
        *,
        branch: str,
        sha: str,
        merge: PreparedMerge | None = None,
    ) -> Path:
        """Clone with borrowed mirror objects, check out `branch` at `sha`, and return the path.

        With `merge`, git is in the middle of that merge there, its conflicts to be resolved.
        """
        ...

    def include(self, repo: Repository, run_id: str) -> int:
        """Copy the files that `.runyardinclude` lists from a local origin. Return how many."""
        ...

    def import_work(self, repo: Repository, run_id: str, branch: str) -> str:
        """Check the copy's commits, pack them into the mirror, and return the tip.

        Raises Tampered if the agent made the copy unsound, CannotRead for other failures, and while
        a state is kept: what the copy holds then may be a check's.
        """
        ...

    def keep_state(self, repo: Repository, run_id: str, *, branch: str, tip: str) -> None:
        """Keep the copy's state, with `branch` at `tip`, before checks run in it.

        Its branches, its index and its files in no commit are kept, in place of what was kept
        before; builds and other ignored files are not. Raises CannotRead.
        """
        ...

    def changes_since(self, repo: Repository, run_id: str) -> CopyChange:
        """Compare the copy with its kept state; nothing differs if none is. Raises CannotRead."""
        ...

    def put_back(self, repo: Repository, run_id: str, *, is_over: bool) -> None:
        """Put the copy back into its kept state, if one is kept. Safe to repeat after a crash.

        New files stay for the next check; with `is_over` they are deleted, and the state is kept no
        longer. Nothing may run in the copy. Raises CannotRead.
        """
        ...

    def drop_state(self, repo: Repository, run_id: str) -> bool:
        """Leave the copy as it is, and keep no state of it; return False if none was kept.

        Raises CannotRead.
        """
        ...

    def inspect(self, repo: Repository, run_id: str, *, tip: str) -> CopyState:
        """Compare the files with the commit `tip`, which the mirror has. Raises CannotRead."""
        ...

    def diff(self, repo: Repository, run_id: str, *, base_sha: str) -> Diff:
        """Return the diff of the files, committed or not, against base. Raises CannotRead."""
        ...

    def adopt(self, old_id: str, run_id: str, *, in_place: bool = False) -> None:
        """Hand one run's copy over to another; safe to repeat, no effect if there is none.

        With `in_place` its folder stays where it is: an agent's session knows it by its path.
        Raises CannotRead.
        """
        ...

    def names(self, run_id: str) -> list[str]:
        """Return names at the top of the copy, only some of very many. Raises CannotRead."""
        ...

    def size(self, run_id: str) -> int:
        """Return the bytes of the copy on disk."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete the copy. The caller has made sure that nothing is lost."""
        ...
