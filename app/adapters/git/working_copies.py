"""Working copies: one clone per run, whose git folder we never open as a repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from app.adapters.git.command import Git, GitFailed
from app.adapters.git.config_guard import keep_look, keep_mirror
from app.adapters.git.diffs import Look
from app.adapters.git.import_commits import (
    check_objects,
    is_claimed,
    is_whole,
    move_claim,
    pack_into,
)
from app.adapters.git.include_list import copy_included
from app.adapters.git.layout import (
    agreed_ref,
    checked_id,
    checked_sha,
    copy_settings,
    head_ref,
    identify,
    lay_out,
    measure,
    mirror_path,
    opened,
    or_cannot_read,
    remove_tree,
)
from app.adapters.git.refs import count_missing, named_commits, read_tip
from app.adapters.git.remotes import is_local
from app.adapters.git.snapshots import CopySnapshot
from app.adapters.git.temp_folders import aside, clear_asides, in_use
from app.services.ports import (
    CannotRead,
    CopyChange,
    CopyState,
    Diff,
    LaunchFailed,
    PreparedMerge,
    Repository,
)

_CHECKOUT_SECONDS = 600.0
_MOST_NAMES = 10_000
# in our folder for a copy adopted in place: the name of the copy's folder
_PLACE = "place"
_PACKED_HEADER = b"# pack-refs with: peeled fully-peeled sorted \n"


class GitWorkingCopies:
    """Working copies at `root/<run id>`, with our own git folders for them in `root/../looks`.

    `looks/<run id>.git` is made first and registers the copy; agents do not work there. A copy
    adopted in place keeps the previous run's name, which a file in that folder records.
    """

    def __init__(self, root: Path, mirrors_root: Path, *, git: Git) -> None:
        self._root = Path(os.path.abspath(root))
        self._looks = self._root.parent / "looks"
        self._mirrors = Path(os.path.abspath(mirrors_root))
        self._git = git.keeping(keep_mirror)

    def path(self, run_id: str) -> Path:
        """Return the path of the run's working copy, existing or not."""
        return self._root / self._name(run_id)

    def exists(self, run_id: str) -> bool:
        """Return True if anything is at the copy's path and no other run has adopted it."""
        path = self.path(run_id)
        return os.path.lexists(path) and not self._is_anothers(run_id, path.name)

    def ids(self) -> list[str]:
        """List the runs with a registered working copy, in no order."""
        return [look.stem for look in self._looks.glob("*.git") if self.exists(look.stem)]

    def prepare(
        self,
        repo: Repository,
        run_id: str,
        *,
        branch: str,
        sha: str,
        merge: PreparedMerge | None = None,
    ) -> Path:
        """Create a copy that borrows the mirror's objects, with `branch` checked out at `sha`.

        With `merge`, git is in the middle of that merge there. A failure leaves nothing behind.
        Raises LaunchFailed, UnsafeArgument.
        """
        agreed_ref(branch)
        path, look = self._root / checked_id(run_id), self._look_dir(run_id)
        for folder in (self._root, self._looks):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.exists(run_id):
            raise LaunchFailed(f"There is a working copy of {run_id} already.")
        try:
            clear_asides(self._root, run_id)
            remove_tree(self._looks, look.name)
            with aside(self._root, run_id) as new:
                self._fill(new, look, repo, branch, checked_sha(sha))
                if merge is not None:
                    self._begin_merge(new, look, repo, sha, merge)
                new.rename(path)
        except BaseException as problem:
            remove_tree(self._looks, look.name)
            if isinstance(problem, GitFailed | OSError):
                raise LaunchFailed(f"The working copy could not be made: {problem}") from problem
            raise
        return path

    def include(self, repo: Repository, run_id: str) -> int:
        """Copy the files listed in `.runyardinclude` from a local origin; return their number.

        Call it before an agent gets the copy. Raises LaunchFailed if the list is too long or
        leaves the repository.
        """
        origin = Path(repo.origin)
        if not is_local(repo.origin) or not (origin / ".git").exists():
            return 0
        try:
            with self._opened(run_id) as copy:
                return copy_included(origin, copy, lambda lines: self._exclude(run_id, lines))
        except OSError as problem:
            raise LaunchFailed(f"The files to include could not be copied: {problem}") from problem

    def _exclude(self, run_id: str, lines: str) -> None:
        # keeps the files from being committed by the agent or counted as its work
        for git_dir in (self.path(run_id) / ".git", self._look_dir(run_id)):
            with (git_dir / "info" / "exclude").open("a") as file:
                file.write(lines)

    def import_work(self, repo: Repository, run_id: str, branch: str) -> str:
        """Import the branch's commits into the mirror, checked; return its tip.

        The claim moves to the tip. Raises CannotRead, also while a state is kept.
        """
        mirror = mirror_path(self._mirrors, repo)
        if self._snapshot(repo, run_id).is_kept:
            raise CannotRead("What its checks changed in the working copy is not put back yet.")
        with or_cannot_read("The working copy"), in_use(mirror), self._opened(run_id) as copy:
            with opened(copy, ".git") as git_dir:
                tip = read_tip(git_dir, branch)
                seen = check_objects(git_dir, mirror)
            if is_claimed(self._git, mirror, branch, tip):
                return tip
            if not is_whole(self._git, mirror, tip):
                objects = self.path(run_id) / ".git" / "objects"
                pack_into(self._git, mirror, objects, tip)
                with opened(copy, ".git") as git_dir:
                    if check_objects(git_dir, mirror) != seen:
                        raise CannotRead("The copy's objects changed while they were read.")
            move_claim(self._git, mirror, branch, tip)
            return tip

    def inspect(self, repo: Repository, run_id: str, *, tip: str) -> CopyState:
        """Count files not in the mirror's commit `tip`, and commits not in the mirror.

        Raises CannotRead.
        """
        mirror = mirror_path(self._mirrors, repo)
        with or_cannot_read("The working copy"), self._opened(run_id) as copy:
            changed, new = self._look(repo, run_id).uncommitted(checked_sha(tip))
            with opened(copy, ".git") as git_dir:
                named = named_commits(git_dir)
            missing = count_missing(self._git, mirror, named)
            return CopyState(len(changed | new), missing, frozenset(changed), frozenset(new))

    def keep_state(self, repo: Repository, run_id: str, *, branch: str, tip: str) -> None:
        """Keep the copy's state in our folder for it. Raises CannotRead."""
        with or_cannot_read("The working copy"), self._opened(run_id) as copy:
            self._snapshot(repo, run_id).keep(copy, branch=branch, tip=checked_sha(tip))

    def changes_since(self, repo: Repository, run_id: str) -> CopyChange:
        """Compare the copy with its kept state, if one is kept. Raises CannotRead."""
        snapshot = self._snapshot(repo, run_id)
        if not snapshot.is_kept:
            return CopyChange()
        with or_cannot_read("The working copy"), self._opened(run_id) as copy:
            return snapshot.compare(copy)

    def put_back(self, repo: Repository, run_id: str, *, is_over: bool) -> None:
        """Put the copy back into its kept state, if one is kept. Raises CannotRead."""
        snapshot = self._snapshot(repo, run_id)
        if not snapshot.is_kept:
            return
        with or_cannot_read("The working copy"):
            with self._opened(run_id) as copy:
                snapshot.put_back(copy, is_over=is_over)
            if is_over:
                snapshot.drop()

    def drop_state(self, repo: Repository, run_id: str) -> bool:
        """Leave the copy as it is, and keep no state of it; return False if none was kept.

        Raises CannotRead.
        """
        snapshot = self._snapshot(repo, run_id)
        was_kept = snapshot.is_kept
        with or_cannot_read("The working copy"):
            snapshot.drop()
        return was_kept

    def diff(self, repo: Repository, run_id: str, *, base_sha: str) -> Diff:
        """Return the unified diff of the files, committed or not. Raises CannotRead."""
        with or_cannot_read("The working copy"), self._opened(run_id):
            return self._look(repo, run_id).diff(checked_sha(base_sha))

    def adopt(self, old_id: str, run_id: str, *, in_place: bool = False) -> None:
        """Hand one run's copy over to another, contents unchanged; safe to repeat.

        Does nothing without a copy of the old run. With `in_place` the folder keeps its name.
        Raises CannotRead.
        """
        with or_cannot_read("The working copy"):
            if self.exists(run_id) or not self.exists(old_id):
                return
            look, new_look = self._look_dir(old_id), self._look_dir(run_id)
            if not look.is_dir() and not new_look.is_dir():
                raise CannotRead(f"{old_id} is not a working copy of ours.")
            with self._opened(old_id):
                pass
            place = self.path(old_id)
            # a copy once adopted in place stays there, so that its path is recorded only once
            stays = in_place or place.name != old_id
            if stays and look.is_dir():
                (look / _PLACE).write_text(place.name)
            # our folder first: a copy without it is not registered
            if look.is_dir():
                remove_tree(self._looks, new_look.name)
                look.rename(new_look)
            if not stays:
                place.rename(self.path(run_id))

    def names(self, run_id: str) -> list[str]:
        """List the top-level names in the copy, at most 10,000. Raises CannotRead."""
        with (
            or_cannot_read("The working copy"),
            self._opened(run_id) as copy,
            os.scandir(copy) as entries,
        ):
            return [entry.name for entry in islice(entries, _MOST_NAMES)]

    def size(self, run_id: str) -> int:
        """Return the size of the copy's files in bytes."""
        return measure(self.path(run_id))

    def remove(self, run_id: str) -> None:
        """Delete the copy. The caller makes sure that no work is lost.

        Raises CannotRead unless it is registered and a real folder directly in the root.
        """
        look = self._look_dir(run_id)
        with or_cannot_read("The working copy"):
            if self._root.is_dir():
                clear_asides(self._root, run_id)
            if self.exists(run_id):
                if not look.is_dir():
                    raise CannotRead(f"{run_id} is not a working copy of ours.")
                with self._opened(run_id):
                    pass
                # moved first: a half-deleted copy must not look like one with changes
                with aside(self._root, run_id) as old:
                    self.path(run_id).rename(old / run_id)
            remove_tree(self._looks, look.name)

    def clear_leftovers(self, is_over: Callable[[str], bool]) -> int:
        """Delete what killed processes left and return the number of folders. Raises OSError.

        Our own folder for a copy that is gone is deleted once `is_over(run_id)`.
        """
        count = clear_asides(self._root) if self._root.is_dir() else 0
        for look in sorted(self._looks.glob("*.git")):
            if not self.exists(look.stem) and is_over(look.stem):
                remove_tree(self._looks, look.name)
                count += 1
        return count

    def _fill(self, aside: Path, look: Path, repo: Repository, branch: str, sha: str) -> None:
        mirror, git_dir = mirror_path(self._mirrors, repo), aside / ".git"
        head, plain = head_ref(branch), {("core",): {"bare": "false"}}
        lay_out(look, plain, head=head, sha=sha, borrow=mirror)
        settings = copy_settings(repo.origin, branch, self._git.identity)
        lay_out(git_dir, settings, head=head, sha=sha, borrow=mirror, is_for_agent=True)
        ref = git_dir / head
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(f"{sha}\n")
        form = "--format=%(objectname) %(refname)"
        tracked = self._git.run(["for-each-ref", form, "refs/remotes/origin/"], git_dir=mirror)
        (git_dir / "packed-refs").write_bytes(_PACKED_HEADER + tracked.out)
        checkout = ["read-tree", "-m", "-u", sha]
        self._look_git(repo).run(checkout, git_dir=look, work_tree=aside, timeout=_CHECKOUT_SECONDS)
        # keeps its mtime: see Look
        shutil.copy2(look / "index", git_dir / "index")

    def _begin_merge(
        self, aside: Path, look: Path, repo: Repository, sha: str, merge: PreparedMerge
    ) -> None:
        """Leave a new copy as a `git merge` that stopped at conflicts leaves it."""
        git_dir, git = aside / ".git", self._look_git(repo)
        update = ["read-tree", "-m", "-u", sha, checked_sha(merge.sha)]
        git.run(update, git_dir=look, work_tree=aside, timeout=_CHECKOUT_SECONDS)
        shutil.copy2(look / "index", git_dir / "index")
        gone = {entry.partition(b"\t")[2] for entry in merge.entries}
        lines = [b"0 %s\t%s" % (b"0" * len(sha), name) for name in sorted(gone)]
        feed = b"".join(line + b"\0" for line in (*lines, *merge.entries))
        git.run(
            ["update-index", "-z", "--index-info"],
            git_dir=look,
            work_tree=aside,
            input=feed,
            env={"GIT_INDEX_FILE": str(git_dir / "index")},
        )
        base = checked_sha(merge.base_sha)
        for name, text in (
            ("MERGE_HEAD", f"{base}\n"),
            ("MERGE_MODE", ""),
            ("MERGE_MSG", f"Merge commit '{base[:12]}'\n"),
        ):
            (git_dir / name).write_text(text)

    def _name(self, run_id: str) -> str:
        """Return the name of the copy's folder."""
        try:
            return checked_id((self._look_dir(run_id) / _PLACE).read_text())
        except FileNotFoundError:
            return run_id

    def _is_anothers(self, run_id: str, name: str) -> bool:
        if name != run_id or self._look_dir(run_id).is_dir():
            return False
        return any(place.read_text() == name for place in self._looks.glob(f"*.git/{_PLACE}"))

    def _look_dir(self, run_id: str) -> Path:
        return self._looks / f"{checked_id(run_id)}.git"

    def _look(self, repo: Repository, run_id: str) -> Look:
        return Look(self._look_git(repo), self._look_dir(run_id), self.path(run_id))

    def _snapshot(self, repo: Repository, run_id: str) -> CopySnapshot:
        return CopySnapshot(self._look(repo, run_id))

    def _look_git(self, repo: Repository) -> Git:
        return self._git.keeping(partial(keep_look, mirror_path(self._mirrors, repo)))

    @contextmanager
    def _opened(self, run_id: str) -> Generator[int]:
        """Hold the copy's folder open; CannotRead if it was replaced by the end."""
        name = self._name(run_id)
        with opened(self._root, name) as copy:
            yield copy
            with opened(self._root, name) as now:
                if identify(now) != identify(copy):
                    raise CannotRead("The working copy was replaced while it was read.")
