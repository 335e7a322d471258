"""Pushes to origin, and what origin answered."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.adapters.git import NETWORK_SECONDS, Git, GitAnswer, GitFailed
from app.adapters.git_origins import check_origin, explain, is_local, words_of
from app.adapters.git_settings import personal_config
from app.services.ports import OriginProblem, PushAnswer

_LINE = re.compile(r"^([ +\-*!=])\t[^\t]*\t(.*)$", re.MULTILINE)
_LOCKED = re.compile(
    r"cannot lock ref|reference already exists|Unable to create .*\.lock", re.IGNORECASE
)
# a host in trouble says no to everything: that is no judgement of this push
_TROUBLE = re.compile(
    r"No space left|quota exceeded|Read-only file system|Input/output error"
    r"|insufficient permission for adding|unable to create temporary object directory"
    r"|Internal Server Error|fatal error in commit_refs"
)
_REASON = re.compile(r"\((.*)\)\s*$")
_UPDATE = ("git", "-c", "receive.denyCurrentBranch=updateInstead", "receive-pack")


@dataclass(frozen=True)
class Push:
    """One refspec for origin; `lease` is `ref:sha`, what a deletion expects there."""

    refspec: str
    lease: str | None = None
    updates_checkout: bool = False

    @property
    def flags(self) -> Sequence[str]:
        """The flags of git push for it."""
        flags = ["--porcelain", "--no-verify", "--recurse-submodules=no", "--no-follow-tags"]
        flags += [f"--force-with-lease={self.lease}"] if self.lease else []
        if self.updates_checkout:
            # by its owner's own git: with their config, so that their filters write their
            # files, and only where nothing of theirs is in the way
            theirs = ["env", "-u", "GIT_ATTR_NOSYSTEM", *personal_config(), *_UPDATE]
            flags.append(f"--receive-pack={shlex.join(theirs)}")
        return flags


def push(git: Git, mirror: Path, origin: str, order: Push) -> PushAnswer:
    """Push once; a refusal is an answer, with the far side's words.

    Raises OriginProblem (not for good) where origin did not answer, or where its folder is away:
    nothing is known then.
    """
    try:
        check_origin(origin)
        answer = git.run(
            ["push", *order.flags, "--", origin, order.refspec],
            git_dir=mirror,
            origin=origin,
            timeout=NETWORK_SECONDS,
            check=False,
        )
        return _read(answer)
    except OriginProblem as problem:
        # a folder that is not there, or not right, is a disk that comes back or is put right
        if problem.for_good and not is_local(origin):
            return PushAnswer(False, problem.sentence)
        raise OriginProblem(problem.sentence, for_good=False) from problem
    except GitFailed as failure:
        raise explain(failure) from failure


def _read(answer: GitAnswer) -> PushAnswer:
    lines = _LINE.findall(answer.text)
    if answer.code == 0 and lines and all(flag != "!" for flag, _ in lines):
        return PushAnswer(True)
    refused = [summary for flag, summary in lines if flag == "!"]
    if any(_LOCKED.search(summary + answer.err) for summary in refused):
        # somebody writes the same ref just now, perhaps a push of ours that was cut off
        raise OriginProblem("Another push to this branch is under way.", for_good=False)
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
