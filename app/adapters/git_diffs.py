"""Diffs as git itself makes them, bounded, with no driver of anybody's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from app.adapters.git import Git, GitFailed
from app.services.ports import Diff, DiffStat

DIFF_CAP = 2 * 1024 * 1024
PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty")
_SHAPE = ("--src-prefix=a/", "--dst-prefix=b/", "-M", "-l400")
_COUNT = re.compile(r"(\d+) (file|insertion|deletion)")


def diff_between(git: Git, git_dir: Path, base: str, tip: str) -> Diff:
    """Unified diff of two commits from their merge base, at most 2 MiB."""
    return run_diff(git, [_fork(git, git_dir, base, tip), tip], git_dir)


def run_diff(
    git: Git,
    what: list[str],
    git_dir: Path,
    *,
    work_tree: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Diff:
    """Unified diff, cut at the last whole line before the cap. Raises GitFailed."""
    answer = git.run(
        ["diff", *PLAIN, *_SHAPE, *what, "--"],
        git_dir=git_dir,
        work_tree=work_tree,
        env=env,
        check=False,
        output_cap=DIFF_CAP,
    )
    if answer.code and not answer.is_cut:
        raise GitFailed("git diff failed", answer.err)
    out = answer.out[: answer.out.rfind(b"\n") + 1] if answer.is_cut else answer.out
    return Diff(out.decode("utf-8", "replace"), answer.is_cut)


def stat_between(git: Git, git_dir: Path, base: str, tip: str) -> DiffStat:
    """Commits of `base..tip`, and the files and lines that `diff_between` shows."""
    commits = git.run(["rev-list", "--count", f"{base}..{tip}"], git_dir=git_dir).text
    fork = _fork(git, git_dir, base, tip)
    line = git.run(["diff", *PLAIN, "-M", "-l400", "--shortstat", fork, tip], git_dir=git_dir).text
    counts = {what: int(number) for number, what in _COUNT.findall(line)}
    return DiffStat(
        commits=int(commits),
        files_changed=counts.get("file", 0),
        additions=counts.get("insertion", 0),
        deletions=counts.get("deletion", 0),
    )


def _fork(git: Git, git_dir: Path, base: str, tip: str) -> str:
    answer = git.run(["merge-base", base, tip], git_dir=git_dir, check=False)
    if answer.code not in {0, 1}:
        raise GitFailed("git merge-base failed", answer.err)
    return answer.text or base
