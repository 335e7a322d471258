"""The demo's repository, and the commit that Runyard itself runs from."""

from __future__ import annotations

import shutil
from pathlib import Path

from app.adapters.git.command import Git

BRANCH = "main"
UNKNOWN = "unknown"
SHORT = 7


def make_demo_repository(git: Git, files: Path, folder: Path) -> None:
    """Copy `files` to a new `folder` and commit them there on branch `main`."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(files, folder, ignore=shutil.ignore_patterns("__pycache__"))
    git_dir = folder / ".git"
    for args in (
        ["init", "--quiet", "--template=", f"--initial-branch={BRANCH}"],
        ["add", "--all", "--", "."],
        ["commit", "--quiet", "--message", "A package that says hello"],
    ):
        git.run(args, git_dir=git_dir, work_tree=folder, cwd=folder)


def read_commit(git_dir: Path) -> str:
    """Return the short id of the checked-out commit, or `unknown`; git is not needed."""
    try:
        head = (git_dir / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head[:SHORT]
        if (git_dir / name).is_file():
            return (git_dir / name).read_text().strip()[:SHORT]
        packed = (git_dir / "packed-refs").read_text().splitlines()
    except OSError:
        return UNKNOWN
    return next((line[:SHORT] for line in packed if line.endswith(f" {name}")), UNKNOWN)
