"""Makes the demo's repository: a few files under one commit."""

from __future__ import annotations

import shutil
from pathlib import Path

from app.adapters.git import Git

BRANCH = "main"


def make_demo_repository(git: Git, files: Path, folder: Path) -> None:
    """Copy `files` to a new `folder` and commit them there on branch main."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(files, folder, ignore=shutil.ignore_patterns("__pycache__"))
    git_dir = folder / ".git"
    for args in (
        ["init", "--quiet", "--template=", f"--initial-branch={BRANCH}"],
        ["add", "--all", "--", "."],
        ["commit", "--quiet", "--message", "A package that says hello"],
    ):
        git.run(args, git_dir=git_dir, work_tree=folder, cwd=folder)
