"""Commits that take a merge back, made in the mirror without a checkout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from app.adapters.git.command import Git
from app.adapters.git.layout import (
    agreed_ref,
    checked_sha,
    mirror_path,
    or_cannot_read,
    writing_to,
)
from app.adapters.git.push import (
    MergedTree,
    Merging,
    has_commit,
    is_below,
    merge_trees,
    shown_at,
)
from app.adapters.git.temp_folders import aside
from app.services.ports import CannotRead, MergedChange, Repository, RevertAnswer

_NOTE = b"What the base was before\n"


class Reverting(Merging):
    """Reverts that no branch holds yet."""

    def prepare_revert(self, repo: Repository, merged: MergedChange, message: str) -> RevertAnswer:
        """Commit on top of origin's base what takes a merge back; no branch moves.

        Fetch before it. Raises OriginProblem, CannotRead.
        """
        agreed_ref(merged.base)
        mirror = mirror_path(self._root, repo)
        # ask origin, not the mirror: an unsandboxed agent can move fetched refs
        tip = shown_at(self._git, repo.origin, merged.base)
        if tip is None:
            return RevertAnswer(None, because=f"The branch {merged.base} no longer exists.")
        with or_cannot_read("The mirror"):
            if not has_commit(self._git, mirror, tip):
                return RevertAnswer(None, because=f"{merged.base} has moved at origin. Undo again.")
            return _revert(self._git, mirror, tip, merged, message)


def _revert(git: Git, mirror: Path, tip: str, merged: MergedChange, message: str) -> RevertAnswer:
    before, after = _span_of(git, mirror, merged) or ("", "")
    if not after or not is_below(git, mirror, after, tip):
        because = f"{merged.base} at origin does not have this merge as it was recorded."
        return RevertAnswer(None, because=because)
    # the mirror is never pruned: objects of reverts that nobody gets must not pile up there
    with aside(mirror, "incoming") as scratch:
        tree = _take_back(git, mirror, tip, before, after, env=writing_to(scratch, mirror))
    if tree.conflicts:
        return RevertAnswer(None, conflicts=tree.conflicts)
    if tree.tree == git.run(["rev-parse", "--verify", f"{tip}^{{tree}}"], git_dir=mirror).text:
        return RevertAnswer(None, is_empty=True)
    tree = _take_back(git, mirror, tip, before, after)
    commit = ["commit-tree", "-p", tip, "-F", "-", tree.tree]
    return RevertAnswer(git.run(commit, git_dir=mirror, input=message.encode()).text, tip)


def _span_of(git: Git, mirror: Path, merged: MergedChange) -> tuple[str, str] | None:
    """Return the commits between which base got the change, None if they cannot be told.

    Usually a merge commit and its first parent. Where somebody merged without a commit for this
    change alone, the commits that the change showed.
    """
    sha, head, base = map(checked_sha, (merged.merged_sha, merged.head_sha, merged.base_sha))
    if not all(has_commit(git, mirror, one) for one in (sha, head, base)):
        return None
    ask = ["rev-list", "--parents", "--max-count=1", sha, "--"]
    _, *parents = git.run(ask, git_dir=mirror).text.split()
    if len(parents) == 2 and parents[1] == head:
        return parents[0], sha
    return (base, head) if is_below(git, mirror, base, head) else None


def _take_back(
    git: Git,
    mirror: Path,
    tip: str,
    before: str,
    after: str,
    *,
    env: Mapping[str, str] | None = None,
) -> MergedTree:
    """Merge into `tip` the way from `after` back to `before`. Raises GitFailed, CannotRead."""
    # a commit of what was before, on top of what came after: their merge begins at `after`, which
    # git before 2.40 cannot be told
    back = ["commit-tree", "-p", after, "-F", "-", f"{before}^{{tree}}"]
    theirs = git.run(back, git_dir=mirror, env=env, input=_NOTE).text
    merged = merge_trees(git, mirror, tip, theirs, env=env)
    if merged is None:
        raise CannotRead("The branch and the base have no common history.")
    return merged
