"""Merges made in the mirror, without any files checked out."""

from __future__ import annotations

import re
from pathlib import Path

from app.adapters.git import Git, GitFailed
from app.adapters.git_answers import TRACKED
from app.adapters.git_places import checked_sha
from app.services.ports import MergeAnswer, PushAnswer

_DIRTY = re.compile(r"working directory has|up-to-date check failed|could not update working", re.I)
_MOVED = re.compile(r"non-fast-forward|fetch first|stale info", re.I)


def has_commit(git: Git, mirror: Path, sha: str) -> bool:
    """True where the mirror has this commit."""
    return not git.run(["cat-file", "-e", f"{sha}^{{commit}}"], git_dir=mirror, check=False).code


def is_below(git: Git, mirror: Path, sha: str, tip: str) -> bool:
    """True where one commit is another's ancestor, or the same. Raises GitFailed."""
    question = ["merge-base", "--is-ancestor", sha, tip]
    answer = git.run(question, git_dir=mirror, check=False)
    if answer.code not in {0, 1}:
        raise GitFailed("git merge-base failed", answer.err)
    return answer.code == 0


def merge_found(git: Git, mirror: Path, base_tip: str, tip: str) -> str | None:
    """The commit of base that holds `tip` already: its merge commit, else base's tip."""
    if not is_below(git, mirror, tip, base_tip):
        return None
    walk = ["rev-list", "--first-parent", "--merges", "--parents", f"{tip}..{base_tip}"]
    for line in git.run(walk, git_dir=mirror).text.splitlines():
        sha, _, *others = line.split()
        if tip in others:
            return sha
    return base_tip


def merge_commit(git: Git, mirror: Path, base_tip: str, tip: str, message: str) -> MergeAnswer:
    """Make the merge commit of two commits in the mirror; no ref is touched."""
    make = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", base_tip, tip]
    answer = git.run(make, git_dir=mirror, check=False)
    parts = [part for part in answer.out.decode("utf-8", "replace").split("\0") if part]
    if answer.code == 1:
        files = tuple(dict.fromkeys(parts[1:]))
        return MergeAnswer(None, f"{_files(len(files))} changed on both sides.", files)
    if answer.code and "unrelated histories" in answer.err:
        return MergeAnswer(None, "The branch and the base have no common history.")
    if answer.code or answer.is_cut or not parts:
        raise GitFailed("git merge-tree failed", answer.err)
    tree = checked_sha(parts[0].strip())
    commit = ["commit-tree", "-p", base_tip, "-p", tip, "-F", "-", tree]
    return MergeAnswer(git.run(commit, git_dir=mirror, input=message.encode()).text)


def read_sent(git: Git, mirror: Path, base: str, sha: str, sent: PushAnswer) -> MergeAnswer:
    """Tell what became of a merge commit that was pushed to origin's base."""
    shows = sent.shows if sent.shows and has_commit(git, mirror, sent.shows) else None
    # origin may show a commit on top of this one
    if not sent.accepted and not (shows and is_below(git, mirror, sha, shows)):
        because = _refusal(base, sent.because)
        return MergeAnswer(None, because, hooks_changed=sent.hooks_changed)
    tracked = f"{TRACKED}{base}"
    git.run(["update-ref", tracked, sent.shows or sha], git_dir=mirror)
    return MergeAnswer(sha, hooks_changed=sent.hooks_changed)


def _refusal(base: str, because: str) -> str:
    if _DIRTY.search(because):
        return (
            f"{base} is checked out at origin with changes that are not committed there."
            " Commit or stash them, then merge again."
        )
    if because.startswith(f"{base} is checked out"):
        return because
    if _MOVED.search(because):
        return f"{base} has moved at origin. Merge again."
    return f"Origin refused the merge: {because}"


def _files(count: int) -> str:
    return "One file was" if count == 1 else f"{count} files were"
