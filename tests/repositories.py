"""Git repositories for tests, made by real git that sees nobody's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PERSON = ("Ann Example", "ann@example.test")
_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": PERSON[0],
    "GIT_AUTHOR_EMAIL": PERSON[1],
    "GIT_COMMITTER_NAME": PERSON[0],
    "GIT_COMMITTER_EMAIL": PERSON[1],
    "LC_ALL": "C",
}


def run_git(repo: Path, *args: str, check: bool = True, stdin: str | None = None) -> str:
    """Run git in a repository as a person or an agent would; its standard output, stripped."""
    env = {"PATH": os.environ["PATH"], "HOME": str(repo), **_ENV}
    done = subprocess.run(
        ["git", *args], cwd=repo, env=env, input=stdin, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(args)}: {done.stderr}")
    return done.stdout.strip()


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write text or bytes to paths below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_origin(
    path: Path,
    *,
    files: Mapping[str, str | bytes] | None = None,
    branch: str = "main",
    bare: bool = False,
    object_format: str = "sha1",
) -> Path:
    """A repository with one commit on `branch`; with `bare` one that nobody works in.

    `files={}` makes one without any commit.
    """
    path.mkdir(parents=True)
    init = ["init", "-q", "-b", branch, f"--object-format={object_format}", "--template="]
    content = {"README.md": "# A project\n"} if files is None else files
    if not bare:
        run_git(path, *init)
        if content:
            commit_files(path, content, message="Begin")
        return path
    run_git(path, *init, "--bare")
    if content:
        desk = make_origin(path.with_name(f"{path.name}.desk"), files=content, branch=branch)
        run_git(desk, "push", "-q", str(path), branch)
    return path


def commit_files(repo: Path, files: Mapping[str, str | bytes], *, message: str = "Change") -> str:
    """Write files, commit everything and answer the commit's id."""
    write_files(repo, files)
    run_git(repo, "add", "-A")
    run_git(repo, "commit", "-q", "--no-verify", "-m", message)
    return tip_of(repo)


def commit_file(
    repo: Path, name: str, content: str | bytes = "x\n", message: str = "Change"
) -> str:
    """Write one file, commit everything and answer the commit's id."""
    return commit_files(repo, {name: content}, message=message)


def tip_of(repo: Path, rev: str = "HEAD") -> str:
    """The commit a name points at, empty where there is none."""
    return run_git(repo, "rev-parse", "--verify", "-q", f"{rev}^{{commit}}", check=False)


def write_hook(git_dir: Path, name: str, script: str) -> Path:
    """Install an executable hook (the text of a shell script) in a git folder."""
    hook = git_dir / "hooks" / name
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)
    return hook
