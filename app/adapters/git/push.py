"""Pushes and merges to origin, verified against what origin shows afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.adapters.git.command import NETWORK_SECONDS, Git, GitAnswer, GitFailed
from app.adapters.git.layout import checked_sha, mirror_path, or_cannot_read, writing_to
from app.adapters.git.receive import Receiving
from app.adapters.git.remotes import HEADS, TRACKED, check_origin, explain, is_local, words_of
from app.adapters.git.temp_folders import aside
from app.services.ports import (
    CannotRead,
    MergeAnswer,
    OriginProblem,
    PreparedMerge,
    PushAnswer,
    Repository,
)

_LINE = re.compile(r"^([ +\-*!=])\t[^\t]*\t(.*)$", re.MULTILINE)
_LOCKED = re.compile(
    r"cannot lock ref|reference already exists|Unable to create .*\.lock", re.IGNORECASE
)
# a host in trouble refuses everything: no verdict on this push
_TROUBLE = re.compile(
    r"No space left|quota exceeded|Read-only file system|Input/output error"
    r"|insufficient permission for adding|unable to create temporary object directory"
    r"|Internal Server Error|fatal error in commit_refs"
)
_REASON = re.compile(r"\((.*)\)\s*$")
_FLAGS = ("--porcelain", "--no-verify", "--recurse-submodules=no", "--no-follow-tags")
_LOOK_SECONDS = 60.0
_DIRTY = re.compile(r"working directory has|up-to-date check failed|could not update working", re.I)
_NAMED = 5
UNRELATED = "The branch and the base have no common history."
_MOVED = re.compile(r"non-fast-forward|fetch first|stale info", re.I)


@dataclass(frozen=True)
class Push:
    """A push of `sha` to origin's branch; None deletes it, only while it is at `lease`."""

    branch: str
    sha: str | None
    lease: str | None = None
    updates_checkout: bool = False

    @property
    def ref(self) -> str:
        """The full ref of the branch."""
        return f"{HEADS}{self.branch}"

    @property
    def flags(self) -> list[str]:
        """The flags for `git push`."""
        return [*_FLAGS, *([f"--force-with-lease={self.ref}:{self.lease}"] if self.lease else [])]


def push(
    git: Git, mirror: Path, origin: str, order: Push, *, trusted: str | None = None
) -> PushAnswer:
    """Push once and check that origin shows the result; a refusal is returned with its reason.

    `trusted` is the digest of a local origin's hooks when a person enabled them. Raises
    OriginProblem if origin does not answer or its folder is missing or broken: the outcome is
    then unknown.
    """
    try:
        check_origin(git, origin)
        local = Receiving.at(git, origin, trusted) if is_local(origin) else None
        answer = _send(git, mirror, origin, order, local)
        if local is not None and local.has_changed:
            answer = replace(answer, hooks_changed=True)
    except (OriginProblem, GitFailed) as failure:
        problem = explain(failure) if isinstance(failure, GitFailed) else failure
        # a local folder that is missing or broken may come back: retry later
        if problem.for_good and not is_local(origin):
            return PushAnswer(False, problem.sentence)
        raise OriginProblem(problem.sentence, for_good=False, cause=problem.cause) from failure
    return _seen(git, origin, order, answer) if answer.accepted else answer


def _send(git: Git, mirror: Path, origin: str, order: Push, local: Receiving | None) -> PushAnswer:
    flags = list(order.flags)
    if local is not None:
        if order.updates_checkout and order.sha is not None:
            because = local.unwritable(order.branch, _uses(git, mirror, order.sha))
            if because:
                return PushAnswer(False, because)
        command = local.command(updates_checkout=order.updates_checkout)
        flags.append(f"--receive-pack={command}")
    return _read(
        git.run(
            ["push", *flags, "--", origin, f"{order.sha or ''}:{order.ref}"],
            git_dir=mirror,
            origin=origin,
            timeout=NETWORK_SECONDS,
            check=False,
        )
    )


def _uses(git: Git, mirror: Path, tip: str) -> Callable[[str], bool]:
    def uses(name: str) -> bool:
        ask = ["grep", "-q", "-F", "-e", f"filter={name}", tip, "--", ":(glob)**/.gitattributes"]
        answer = git.run(ask, git_dir=mirror, check=False)
        if answer.code not in {0, 1}:
            raise GitFailed("git grep failed", answer.err)
        return not answer.code

    return uses


def shown_at(git: Git, origin: str, branch: str) -> str | None:
    """Return origin's commit of a branch, asked without any git folder's settings; None if gone.

    Raises OriginProblem, never `for_good`: the state of the branch is then unknown.
    """
    ref = f"{HEADS}{branch}"
    try:
        answer = git.run(["ls-remote", "--", origin, ref], origin=origin, timeout=_LOOK_SECONDS)
    except GitFailed as failure:
        silent = f"It could not be seen whether origin has it: {explain(failure).sentence}"
        raise OriginProblem(silent, for_good=False) from failure
    lines = (line.partition("\t") for line in answer.text.splitlines())
    return next((sha for sha, _, name in lines if name == ref), None)


def _seen(git: Git, origin: str, order: Push, answer: PushAnswer) -> PushAnswer:
    """Return the answer if origin shows what was pushed, else a refusal. Raises OriginProblem."""
    shown = shown_at(git, origin, order.branch)
    if shown == order.sha:
        return answer
    where = f"{order.branch} is {f'at {shown[:7]}' if shown else 'missing'} there"
    because = f"origin does not show what was pushed: {where}"
    return replace(answer, accepted=False, because=because, shows=shown)


def _read(answer: GitAnswer) -> PushAnswer:
    lines = _LINE.findall(answer.text)
    if answer.code == 0 and lines and all(flag != "!" for flag, _ in lines):
        return PushAnswer(True)
    refused = [summary for flag, summary in lines if flag == "!"]
    if any(_LOCKED.search(summary + answer.err) for summary in refused):
        # the ref is being written right now, perhaps by an interrupted push of ours
        raise OriginProblem("Another push to this branch is in progress.", for_good=False)
    if any(_TROUBLE.search(summary + answer.err) for summary in refused):
        because = _because(refused[0], answer.err)
        raise OriginProblem(f"The repository could not take it: {because}", for_good=False)
    if refused:
        return PushAnswer(False, _because(refused[0], answer.err))
    raise explain(GitFailed("git push failed", answer.err))


def _because(summary: str, err: str) -> str:
    reason = _REASON.search(summary)
    remote = [line.partition(":")[2].strip() for line in err.splitlines() if line[:7] == "remote:"]
    said = " ".join(line for line in remote if line)
    return words_of(": ".join(part for part in (reason[1] if reason else summary, said) if part))


def has_commit(git: Git, mirror: Path, sha: str) -> bool:
    """Return True if the mirror has this commit."""
    return not git.run(["cat-file", "-e", f"{sha}^{{commit}}"], git_dir=mirror, check=False).code


def is_below(git: Git, mirror: Path, sha: str, tip: str) -> bool:
    """Return True if `sha` is `tip` or one of its ancestors. Raises GitFailed."""
    question = ["merge-base", "--is-ancestor", sha, tip]
    answer = git.run(question, git_dir=mirror, check=False)
    if answer.code not in {0, 1}:
        raise GitFailed("git merge-base failed", answer.err)
    return answer.code == 0


def merge_found(git: Git, mirror: Path, base_tip: str, tip: str) -> str | None:
    """Return the merge commit by which base contains `tip`, else base's tip; None if unmerged."""
    if not is_below(git, mirror, tip, base_tip):
        return None
    walk = ["rev-list", "--first-parent", "--merges", "--parents", f"{tip}..{base_tip}"]
    for line in git.run(walk, git_dir=mirror).text.splitlines():
        sha, _, *others = line.split()
        if tip in others:
            return sha
    return base_tip


@dataclass(frozen=True)
class MergedTree:
    """The merge of two commits: its tree, and the index entries of the files in conflict.

    In the tree those files hold conflict markers, which name the two commits.
    """

    tree: str
    entries: tuple[bytes, ...] = ()

    @property
    def conflicts(self) -> tuple[str, ...]:
        """The names of the files in conflict."""
        names = (entry.partition(b"\t")[2].decode("utf-8", "replace") for entry in self.entries)
        return tuple(dict.fromkeys(names))


def merge_trees(
    git: Git, mirror: Path, ours: str, theirs: str, *, env: Mapping[str, str] | None = None
) -> MergedTree | None:
    """Merge two commits; None without a common history. Raises GitFailed."""
    make = ["merge-tree", "--write-tree", "--no-messages", "-z", ours, theirs]
    answer = git.run(make, git_dir=mirror, env=env, check=False)
    if answer.code and "unrelated histories" in answer.err:
        return None
    parts = [part for part in answer.out.split(b"\0") if part]
    if answer.code not in {0, 1} or answer.is_cut or not parts:
        raise GitFailed("git merge-tree failed", answer.err)
    return MergedTree(checked_sha(parts[0].decode().strip()), tuple(parts[1:]))


def files_in_conflict(git: Git, mirror: Path, base: str, tip: str) -> tuple[str, ...]:
    """Return the files in which a merge of `tip` into `base` has conflicts; nothing is kept.

    Raises GitFailed, OSError, CannotRead for commits without a common history.
    """
    # the mirror is never pruned: objects of merges that nobody made must not pile up there
    with aside(mirror, "incoming") as scratch:
        merged = merge_trees(git, mirror, base, tip, env=writing_to(scratch, mirror))
    if merged is None:
        raise CannotRead(UNRELATED)
    return merged.conflicts


def prepare_merge(git: Git, mirror: Path, head: str, base: str) -> PreparedMerge:
    """Merge `base` into `head` as far as git can, and commit that without a ref.

    Raises GitFailed, CannotRead for commits without a common history.
    """
    merged = merge_trees(git, mirror, head, base)
    if merged is None:
        raise CannotRead(UNRELATED)
    words = b"The base merged into the change, before its conflicts are resolved\n"
    commit = ["commit-tree", "-p", head, "-p", base, "-F", "-", merged.tree]
    sha = git.run(commit, git_dir=mirror, input=words).text
    return PreparedMerge(sha, base, merged.conflicts, merged.entries)


def why_unresolved(git: Git, mirror: Path, tip: str, head: str, base: str) -> str:
    """Return why `tip` does not conclude the merge of `base` into `head`; "" if it does.

    Raises GitFailed.
    """
    if not is_below(git, mirror, base, tip):
        return f"the merge of {base[:7]} was not concluded"
    marks = ("-e", f"<<<<<<< {head}", "-e", f">>>>>>> {base}")
    search = ["grep", "-l", "-z", "-F", *marks, tip, "--"]
    answer = git.run(search, git_dir=mirror, check=False)
    if answer.code not in {0, 1}:
        raise GitFailed("git grep failed", answer.err)
    names = [name.partition(":")[2] for name in answer.text.split("\0") if name]
    return f"conflict markers are left in {', '.join(names[:_NAMED])}" if names else ""


def merge_commit(git: Git, mirror: Path, base_tip: str, tip: str, message: str) -> MergeAnswer:
    """Create the merge commit of two commits in the mirror; refs are not changed.

    Conflicts are returned in the answer. Raises GitFailed.
    """
    merged = merge_trees(git, mirror, base_tip, tip)
    if merged is None:
        return MergeAnswer(None, UNRELATED)
    if files := merged.conflicts:
        return MergeAnswer(None, f"{_files(len(files))} changed on both sides.", files)
    commit = ["commit-tree", "-p", base_tip, "-p", tip, "-F", "-", merged.tree]
    return MergeAnswer(git.run(commit, git_dir=mirror, input=message.encode()).text)


def read_sent(git: Git, mirror: Path, base: str, sha: str, sent: PushAnswer) -> MergeAnswer:
    """Turn the answer to the push of a merge commit into the merge's answer.

    A merge that origin has also updates the mirror's copy of base. Raises GitFailed.
    """
    shows = sent.shows if sent.shows and has_commit(git, mirror, sent.shows) else None
    # origin may already show a later commit on top of this one
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


class Merging:
    """Merges that nobody has pushed: what they would conflict in, and what they begin with."""

    def __init__(self, root: Path, git: Git) -> None:
        self._root = root
        self._git = git

    def conflicts(self, repo: Repository, base_sha: str, tip: str) -> tuple[str, ...]:
        """Return the files in which a merge of `tip` would conflict. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            base, last = checked_sha(base_sha), checked_sha(tip)
            return files_in_conflict(self._git, mirror_path(self._root, repo), base, last)

    def prepare_merge(self, repo: Repository, head_sha: str, base_sha: str) -> PreparedMerge:
        """Merge `base_sha` into `head_sha`, conflicts included. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            head, base = checked_sha(head_sha), checked_sha(base_sha)
            return prepare_merge(self._git, mirror_path(self._root, repo), head, base)

    def why_unresolved(self, repo: Repository, tip: str, head_sha: str, base_sha: str) -> str:
        """Return why `tip` does not conclude that merge, "" if it does. Raises CannotRead."""
        with or_cannot_read("The mirror"):
            shas = checked_sha(tip), checked_sha(head_sha), checked_sha(base_sha)
            return why_unresolved(self._git, mirror_path(self._root, repo), *shas)
