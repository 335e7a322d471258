"""Mirrors: Runyard's bare clones of the projects' repositories."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache, partial
from pathlib import Path

from app.adapters.git.command import LOCAL_SECONDS, NETWORK_SECONDS, Git, GitFailed
from app.adapters.git.config_guard import keep_mirror
from app.adapters.git.diffs import MirrorReads, diff_between, read_file, stat_between
from app.adapters.git.layout import (
    agreed_ref,
    checked_sha,
    head_ref,
    lay_out_mirror,
    mirror_path,
    or_cannot_read,
)
from app.adapters.git.push import (
    Push,
    has_commit,
    is_below,
    merge_commit,
    merge_found,
    push,
    read_sent,
    shown_at,
)
from app.adapters.git.receive import hooks_digest
from app.adapters.git.refs import first_commits, read_claims, ref_tip
from app.adapters.git.remotes import (
    HEADS,
    TRACKED,
    bring,
    check_origin,
    explain,
    is_local,
    read_remote,
    read_tracked,
    remote_of,
)
from app.adapters.git.secret_scan import find_leak, large_files
from app.adapters.git.temp_folders import aside, clear_asides, clear_unused
from app.domain.names import branches_collide
from app.domain.secret_masks import SecretMask
from app.services.ports import (
    BranchTaken,
    Diff,
    DiffStat,
    FileText,
    LargeFile,
    Leak,
    MergeAnswer,
    OriginProblem,
    PushAnswer,
    Remote,
    RemoteBranch,
    Repository,
)

_CLONE_SECONDS = 3600.0
_FETCH_SECONDS = 600.0
_LOOK_SECONDS = 60.0


class GitMirrors(MirrorReads):
    """Mirrors at `root/<project id>.git`: claims, fetches, pushes and merges."""

    def __init__(self, root: Path, *, git: Git) -> None:
        super().__init__(Path(os.path.abspath(root)), git.keeping(keep_mirror))
        # what two commits differ by never changes, and each run asks twice
        self._stat = lru_cache(1024)(partial(stat_between, self._git))

    def inspect_origin(self, origin: str, *, timeout_seconds: float) -> Remote:
        """List origin's branches. Raises OriginProblem."""
        check_origin(self._git, origin)
        ask = ["ls-remote", "--symref", "--", origin, "HEAD", f"{HEADS}*"]
        try:
            answer = self._git.run(ask, origin=origin, timeout=timeout_seconds)
        except GitFailed as failure:
            raise explain(failure) from failure
        return read_remote(answer.text)

    def check_place(self, origin: str) -> None:
        """Raise OriginProblem for a bad address or folder, without using the network."""
        check_origin(self._git, origin)

    def remote_of(self, folder: str) -> str | None:
        """Return the address of a local repository's `origin`; None without a usable one."""
        return remote_of(self._git, folder)

    def hooks_of(self, origin: str) -> str:
        """Return a digest of a local origin's hooks, to detect changes. Raises OriginProblem."""
        return hooks_digest(self._git, origin)

    def clone(self, repo: Repository, *, progress: Callable[[int, str], None]) -> None:
        """Create the mirror completely or not at all; `progress` gets percent and phase.

        Raises OriginProblem, with `for_good` if origin has no commits yet.
        """
        remote = self.inspect_origin(repo.origin, timeout_seconds=_LOOK_SECONDS)
        if not remote.branches:
            raise OriginProblem("This repository has no commits yet.", for_good=True)
        final = mirror_path(self._root, repo)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(repo):
            if final.exists():
                return
            clear_asides(self._root, repo.project_id)
            with aside(self._root, repo.project_id) as new:
                lay_out_mirror(new, sha=remote.branches[0].sha)
                bring(self._git, new, repo.origin, _CLONE_SECONDS, progress)
                new.rename(final)

    def exists(self, repo: Repository) -> bool:
        """Return True if the project has a mirror."""
        return mirror_path(self._root, repo).is_dir()

    def objects(self, repo: Repository) -> Path:
        """Return the mirror's objects folder, which working copies borrow."""
        return mirror_path(self._root, repo) / "objects"

    def remove(self, repo: Repository) -> None:
        """Delete the mirror if it exists."""
        final = mirror_path(self._root, repo)
        if not self._root.is_dir():
            return
        with self._locked(repo):
            clear_asides(self._root, repo.project_id)
            if final.exists():
                with aside(self._root, repo.project_id) as old:
                    final.rename(old / final.name)

    def clear_leftovers(self) -> int:
        """Delete the temporary folders of killed processes; return their number.

        Raises OSError.
        """
        if not self._root.is_dir():
            return 0
        mirrors = sorted(path for path in self._root.glob("*.git") if not path.is_symlink())
        return clear_asides(self._root) + sum(clear_unused(one, "incoming") for one in mirrors)

    def fetch(self, repo: Repository) -> None:
        """Fetch origin's branches. Raises OriginProblem."""
        if not self.exists(repo):
            raise OriginProblem("This project has no mirror yet.", for_good=True)
        check_origin(self._git, repo.origin)
        with self._locked(repo):
            bring(self._git, self._dir(repo), repo.origin, _FETCH_SECONDS)

    def begins_alike(self, repo: Repository, origin: str) -> bool:
        """Return True if a history at `origin` and one of the mirror begin with the same commit.

        Raises OriginProblem, CannotRead.
        """
        remote = self.inspect_origin(origin, timeout_seconds=_LOOK_SECONDS)
        if not remote.branches:
            return False
        with aside(self._root, repo.project_id) as new:
            lay_out_mirror(new, sha=remote.branches[0].sha)
            bring(self._git, new, origin, _CLONE_SECONDS)
            return not first_commits(self._git, new).isdisjoint(
                first_commits(self._git, self._dir(repo))
            )

    def branches(self, repo: Repository) -> list[RemoteBranch]:
        """List origin's branches as last fetched, with commit and time. Raises CannotRead."""
        form = "%(objectname) %(committerdate:unix) %(refname)"
        with or_cannot_read("The mirror"):
            lines = self._refs(repo, form, TRACKED).splitlines()
        return [read_tracked(line) for line in lines]

    def origin_tip(self, repo: Repository, branch: str) -> str | None:
        """Return the commit of origin's branch as last fetched, or None."""
        return self._tip(repo, head_ref(branch).replace(HEADS, TRACKED, 1))

    def has_any(self, repo: Repository, branch: str, paths: Sequence[str]) -> bool:
        """Return True if origin's branch, as last fetched, has any of `paths`.

        Raises CannotRead.
        """
        with or_cannot_read("The mirror"):
            tip = self.origin_tip(repo, branch)
            return tip is not None and bool(self._run(repo, "ls-tree", "-z", tip, "--", *paths))

    def read_file(self, repo: Repository, sha: str, name: str, *, most: int) -> FileText | None:
        """Return up to `most` bytes of a file of a commit, None if it has no such file.

        Raises CannotRead.
        """
        with or_cannot_read("The mirror"):
            return read_file(self._git, self._dir(repo), checked_sha(sha), name, most)

    def tip(self, repo: Repository, branch: str) -> str | None:
        """Return the commit of a claim; None if the branch is not claimed."""
        return self._tip(repo, head_ref(branch))

    def claims(self, repo: Repository) -> set[str]:
        """Return all claimed branches. Raises CannotRead."""
        return read_claims(self._dir(repo))

    def claim(self, repo: Repository, branch: str, base_sha: str) -> None:
        """Create the run's branch at `base_sha`. Raises BranchTaken."""
        sha, ref = checked_sha(base_sha), agreed_ref(branch)
        try:
            self._run(repo, "update-ref", ref, sha, "0" * len(sha))
        except GitFailed:
            if self._stands_in_the_way(repo, branch):
                raise BranchTaken(branch) from None
            raise

    def release(self, repo: Repository, branch: str, *, expected_sha: str | None) -> bool:
        """Delete a claim that is at `expected_sha` (None: any commit); return True if deleted."""
        ref = head_ref(branch)
        found = self._tip(repo, ref)
        if found is None or (expected_sha is not None and found != checked_sha(expected_sha)):
            return False
        try:
            self._run(repo, "update-ref", "-d", ref, found)
        except GitFailed:
            # a concurrent move is no error
            if self._tip(repo, ref) == found:
                raise
            return False
        return True

    def move(self, repo: Repository, branch: str, sha: str, *, expected_sha: str) -> bool:
        """Point a claim that is at `expected_sha` at `sha`; return False if it is elsewhere."""
        ref, expected = head_ref(branch), checked_sha(expected_sha)
        try:
            self._run(repo, "update-ref", ref, checked_sha(sha), expected)
        except GitFailed:
            if self._tip(repo, ref) == expected:
                raise
            return False
        return True

    def rename(self, repo: Repository, branch: str, new_name: str) -> None:
        """Rename a claim in one transaction. Raises BranchTaken, GitFailed without a claim."""
        old, new = head_ref(branch), agreed_ref(new_name)
        sha = self._tip(repo, old)
        if sha is None:
            raise GitFailed(f"There is no branch {branch} to rename.")
        orders = f"start\ncreate {new} {sha}\ndelete {old} {sha}\nprepare\ncommit\n"
        try:
            self._git.run(["update-ref", "--stdin"], git_dir=self._dir(repo), input=orders.encode())
        except GitFailed:
            if self._stands_in_the_way(repo, new_name):
                raise BranchTaken(new_name) from None
            raise

    def stat(self, repo: Repository, base_sha: str, tip: str) -> DiffStat:
        """Count the commits, files and lines of `base_sha..tip`. Raises GitFailed."""
        return self._stat(self._dir(repo), checked_sha(base_sha), checked_sha(tip))

    def diff(self, repo: Repository, base_sha: str, tip: str, paths: Sequence[str] = ()) -> Diff:
        """Return the unified diff from the merge base to `tip`. Raises GitFailed."""
        base, last = checked_sha(base_sha), checked_sha(tip)
        return diff_between(self._git, self._dir(repo), base, last, paths)

    def large_files(
        self, repo: Repository, base_sha: str, tip: str, *, above: int
    ) -> list[LargeFile]:
        """List files of more than `above` bytes in new commits of `base_sha..tip`, largest first.

        Commits that origin has are not new. Raises GitFailed.
        """
        base, last = checked_sha(base_sha), checked_sha(tip)
        return large_files(self._git, self._dir(repo), base, last, above)

    def find_leak(self, repo: Repository, base_sha: str, tip: str, mask: SecretMask) -> Leak | None:
        """Return the first secret that `base_sha..tip` adds, or None. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            return find_leak(
                self._git, self._dir(repo), checked_sha(base_sha), checked_sha(tip), mask
            )

    def push(self, repo: Repository, branch: str, *, sha: str | None = None) -> PushAnswer:
        """Push a claim (at `sha`, else its tip) to origin's branch of the same name.

        Raises OriginProblem if origin does not answer, GitFailed without a claim.
        """
        tip = self._tip(repo, agreed_ref(branch))
        if tip is None:
            raise GitFailed(f"There is no branch {branch} to push.")
        return self._push(repo, Push(branch, tip if sha is None else checked_sha(sha)))

    def delete_at_origin(self, repo: Repository, branch: str, *, expected_sha: str) -> bool:
        """Delete origin's branch if it points at `expected_sha`; False if it was kept.

        Raises OriginProblem.
        """
        ref = agreed_ref(branch)
        if not self._push(repo, Push(branch, None, lease=checked_sha(expected_sha))).accepted:
            remote = self.inspect_origin(repo.origin, timeout_seconds=NETWORK_SECONDS)
            if any(found.name == branch for found in remote.branches):
                return False
        with contextlib.suppress(GitFailed):
            self._run(repo, "update-ref", "-d", ref.replace(HEADS, TRACKED, 1))
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
        """Merge a claim (at `head_sha`, else its tip) in the mirror and push base, or do nothing.

        With `base_sha`, only into a base that contains it. If merged already, return the existing
        merge commit. Raises OriginProblem, GitFailed.
        """
        agreed_ref(base)
        self.fetch(repo)
        mirror, tip = self._dir(repo), self.tip(repo, branch)
        # ask origin, not the mirror: an unsandboxed agent can move fetched refs
        base_tip = shown_at(self._git, repo.origin, base)
        if tip is not None and head_sha is not None:
            tip = checked_sha(head_sha)  # the commit that was reviewed, not later ones
        if base_tip is None or tip is None:
            gone = base if base_tip is None else branch
            return MergeAnswer(None, f"The branch {gone} no longer exists.")
        if not has_commit(self._git, mirror, base_tip):
            return MergeAnswer(None, f"{base} has moved at origin. Merge again.")
        found = merge_found(self._git, mirror, base_tip, tip)
        if found:
            return MergeAnswer(found)
        if base_sha and not is_below(self._git, mirror, checked_sha(base_sha), base_tip):
            because = f"{base} at origin does not have {base_sha[:7]}, where this change began"
            return MergeAnswer(None, because, brings_more=True)
        made = merge_commit(self._git, mirror, base_tip, tip, message)
        if made.sha is None:
            return made
        sent = self._push(repo, Push(base, made.sha, updates_checkout=is_local(repo.origin)))
        if not sent.accepted and sent.shows:
            self.fetch(repo)  # another push on top of it may need fetching
        return read_sent(self._git, mirror, base, made.sha, sent)

    def _push(self, repo: Repository, order: Push) -> PushAnswer:
        trusted = repo.owner_hooks
        return push(self._git, self._dir(repo), repo.origin, order, trusted=trusted)

    def _dir(self, repo: Repository) -> Path:
        return mirror_path(self._root, repo)

    def _run(self, repo: Repository, *args: str) -> str:
        return self._git.run(list(args), git_dir=self._dir(repo), timeout=LOCAL_SECONDS).text

    def _refs(self, repo: Repository, form: str, pattern: str) -> str:
        return self._run(repo, "for-each-ref", f"--format={form}", "--", pattern)

    def _tip(self, repo: Repository, ref: str) -> str | None:
        return ref_tip(self._git, self._dir(repo), ref)

    def _stands_in_the_way(self, repo: Repository, branch: str) -> bool:
        return any(branches_collide(name, branch) for name in self.claims(repo))

    @contextlib.contextmanager
    def _locked(self, repo: Repository) -> Generator[None]:
        # a file lock, because several servers may share the folder of mirrors
        path = self._root / f".{mirror_path(self._root, repo).stem}.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
