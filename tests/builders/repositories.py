"""Git repositories for tests, made by real git without this machine's configuration."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.adapters.git.command import Git
from app.adapters.git.environment import Identity
from app.adapters.git.mirrors import GitMirrors
from app.adapters.git.working_copies import GitWorkingCopies
from app.services.ports import Repository

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
    # no automatic gc while a test copies the repository
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "gc.auto",
    "GIT_CONFIG_VALUE_0": "0",
}

# a diff whose lines look like headers
ADDED = """\
diff --git a/a.py b/a.py
index 000..111 100644
--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@ def f():
 same
--- not a header
+++ neither is this
 end
"""


def run_git(repo: Path, *args: str, check: bool = True, stdin: str | None = None) -> str:
    """Run git in a repository as a person or an agent would; return its stripped stdout."""
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
    """Create a repository with one commit on `branch`, a bare one with `bare`.

    `files={}` makes one without any commit. Equal repositories are made once and then copied.
    """
    content = {"README.md": "# A project\n"} if files is None else files
    if bare and content:
        make_origin(path.with_name(f"{path.name}.desk"), files=content, branch=branch)
    made = _made_once(frozenset(content.items()), branch, bare, object_format)
    shutil.copytree(made, path, symlinks=True)
    return path


@cache
def _made_once(
    content: frozenset[tuple[str, str | bytes]], branch: str, bare: bool, object_format: str
) -> Path:
    path = _kept() / os.urandom(8).hex()
    path.mkdir()
    kind = ["--bare"] if bare else []
    form = f"--object-format={object_format}"
    run_git(path, "init", "-q", "-b", branch, form, "--template=", *kind)
    # the copies' inode numbers differ: git shall look at times and sizes only
    run_git(path, "config", "core.checkStat", "minimal")
    run_git(path, "config", "core.trustctime", "false")
    if content and bare:
        desk = _made_once(content, branch, False, object_format)
        run_git(desk, "push", "-q", str(path), branch)
    elif content:
        commit_files(path, dict(content), message="Begin")
    return path


@cache
def _kept() -> Path:
    kept = TemporaryDirectory(prefix="runyard-origins-")
    atexit.register(kept.cleanup)
    return Path(kept.name)


def commit_files(repo: Path, files: Mapping[str, str | bytes], *, message: str = "Change") -> str:
    """Write files, commit everything and return the commit's id."""
    write_files(repo, files)
    run_git(repo, "add", "-A")
    run_git(repo, "commit", "-q", "--no-verify", "-m", message)
    return tip_of(repo)


def commit_file(
    repo: Path, name: str, content: str | bytes = "x\n", message: str = "Change"
) -> str:
    """Write one file, commit everything and return the commit's id."""
    return commit_files(repo, {name: content}, message=message)


def tip_of(repo: Path, rev: str = "HEAD") -> str:
    """Return the commit that a name points at, or an empty text."""
    return run_git(repo, "rev-parse", "--verify", "-q", f"{rev}^{{commit}}", check=False)


def write_hook(git_dir: Path, name: str, script: str) -> Path:
    """Install an executable hook (the text of a shell script) in a git folder."""
    hook = git_dir / "hooks" / name
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)
    return hook


@dataclass(frozen=True)
class Place:
    """One origin with its mirror and the copies of its runs, all real."""

    origin: Path
    repo: Repository
    mirrors: GitMirrors
    copies: GitWorkingCopies
    mirror: Path
    base: str

    @property
    def base_sha(self) -> str:
        """The tip of origin's base branch as last fetched."""
        tip = self.mirrors.origin_tip(self.repo, self.base)
        assert tip
        return tip

    def start(self, run_id: str = "run_1", branch: str = "afk/1") -> Path:
        """Claim a branch and prepare the run's copy, as a launch does; return the copy's path."""
        self.mirrors.claim(self.repo, branch, self.base_sha)
        return self.copies.prepare(self.repo, run_id, branch=branch, sha=self.base_sha)

    def trusting_hooks(self) -> Repository:
        """Return the repository with the hooks that origin has now switched on."""
        return replace(self.repo, owner_hooks=self.mirrors.hooks_of(self.repo.origin))

    def deliver(self, files: Mapping[str, str | bytes], branch: str = "afk/1") -> str:
        """Claim a branch, commit files in a copy and take them into the mirror; return the tip."""
        run_id = "run_" + branch.replace("/", "_")
        commit_files(self.start(run_id, branch), files)
        return self.copies.import_work(self.repo, run_id, branch)


def set_up_place(
    folder: Path,
    *,
    files: Mapping[str, str | bytes] | None = None,
    bare: bool = True,
    branch: str = "main",
    object_format: str = "sha1",
) -> Place:
    """Create an origin in `folder/origin` and its mirror, with folders for copies."""
    origin = make_origin(
        folder / "origin", files=files, bare=bare, branch=branch, object_format=object_format
    )
    git = Git(Identity("Run Yard", "yard@example.test"))
    place = Place(
        origin=origin,
        repo=Repository("proj_1", str(origin)),
        mirrors=GitMirrors(folder / "mirrors", git=git),
        copies=GitWorkingCopies(folder / "copies", folder / "mirrors", git=git),
        mirror=folder / "mirrors" / "proj_1.git",
        base=branch,
    )
    place.mirrors.clone(place.repo, progress=lambda percent, phase: None)
    return place
