"""Layout of our git folders: paths, checked names, config text and safe file access."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from app.adapters.git.command import Git, GitFailed
from app.adapters.git.environment import Identity, UnsafeArgument
from app.domain.names import branch_problem
from app.services.ports import CannotRead, Repository, Tampered, Unfinished

_ID = re.compile(r"[a-z0-9_]{1,80}", re.ASCII)
_SHA = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)
# overrides a repository's own attributes: none may name a driver or hide a file's diff
ATTRIBUTES = "* !filter !diff\n"
# the ref that a mirror's HEAD names; never claimed, so that no claim is the current branch
NO_BRANCH = "refs/heads/runyard/none"
# errors for a file or folder that is missing or of another kind; None: raised by our own checks
_MADE_SO = (None, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO)

Settings = Mapping[tuple[str, ...], Mapping[str, str]]
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a named pipe must not wait for a writer
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def checked_id(id_: str) -> str:
    """Return a project or run id if it is safe as a folder name. Raises UnsafeArgument."""
    if not _ID.fullmatch(id_):
        raise UnsafeArgument("This id cannot name a folder.")
    return id_


def checked_sha(sha: str) -> str:
    """Return a commit id if it has 40 or 64 hexadecimal digits. Raises UnsafeArgument."""
    if not _SHA.fullmatch(sha):
        raise UnsafeArgument("This is not a commit id.")
    return sha


def head_ref(branch: str) -> str:
    """Return the full ref of a branch that our rules allow. Raises UnsafeArgument."""
    problem = branch_problem(branch)
    if problem:
        raise UnsafeArgument(problem)
    return f"refs/heads/{branch}"


@lru_cache(1024)
def agreed_ref(branch: str) -> str:
    """Return the full ref of a branch that our rules and git's allow. Raises UnsafeArgument."""
    ref = head_ref(branch)
    if Git(Identity()).run(["check-ref-format", "--branch", branch], check=False).code:
        raise UnsafeArgument("git refuses this branch name.")
    return ref


def mirror_path(root: Path, repo: Repository) -> Path:
    """Return the path of a project's mirror, existing or not. Raises UnsafeArgument."""
    return root / f"{checked_id(repo.project_id)}.git"


def lay_out(
    git_dir: Path,
    settings: Settings,
    *,
    head: str,
    sha: str,
    borrow: Path | None = None,
    is_for_agent: bool = False,
) -> None:
    """Write an empty git folder without git: no templates, no hooks, only our settings.

    `head` is the ref for HEAD, `sha` any commit of the repository (its length gives the hash
    algorithm), `borrow` another git folder whose objects are used.
    """
    for folder in ("objects/info", "objects/pack", "refs/heads", "info", "hooks"):
        (git_dir / folder).mkdir(parents=True)
    (git_dir / "config").write_text(_whole_config(settings, is_sha256=len(sha) == 64))
    (git_dir / "HEAD").write_text(f"ref: {head}\n")
    (git_dir / "info" / "exclude").write_text("")
    if not is_for_agent:
        (git_dir / "info" / "attributes").write_text(ATTRIBUTES)
    if borrow:
        (git_dir / "objects/info/alternates").write_text(borrowing(borrow))


def lay_out_mirror(git_dir: Path, *, sha: str) -> None:
    """Write an empty mirror without git; `sha` is any commit of the repository."""
    lay_out(git_dir, {("core",): {"bare": "true"}}, head=NO_BRANCH, sha=sha)


def own_config(*, is_bare: bool, is_sha256: bool) -> str:
    """Return the complete config of a git folder that no agent works in."""
    settings = {("core",): {"bare": "true" if is_bare else "false"}}
    return _whole_config(settings, is_sha256=is_sha256)


def borrowing(git_dir: Path) -> str:
    """Return the text for `objects/info/alternates` that borrows another folder's objects."""
    return f"{git_dir / 'objects'}\n"


def _whole_config(settings: Settings, *, is_sha256: bool) -> str:
    core = {"repositoryformatversion": str(int(is_sha256)), "filemode": "true"}
    core |= settings.get(("core",), {})
    extra = {("extensions",): {"objectFormat": "sha256"}} if is_sha256 else {}
    return _config_text({**settings, ("core",): core, **extra})


def copy_settings(origin: str, branch: str, identity: Identity) -> Settings:
    """Return the config of a working copy: the real origin, the upstream and the committer."""
    return {
        ("core",): {"bare": "false", "logAllRefUpdates": "true"},
        ("remote", "origin"): {"url": origin, "fetch": "+refs/heads/*:refs/remotes/origin/*"},
        ("branch", branch): {"remote": "origin", "merge": head_ref(branch)},
        ("user",): {"name": identity.name, "email": identity.email},
        # a detached gc would outlive the run
        ("gc",): {"auto": "0"},
        ("maintenance",): {"auto": "false"},
    }


def _config_text(settings: Settings) -> str:
    lines = []
    for section, values in settings.items():
        name = "".join(f" {_quoted(part)}" for part in section[1:])
        lines.append(f"[{section[0]}{name}]")
        lines += [f"\t{key} = {_quoted(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if "\0" in text or "\n" in text:
        raise UnsafeArgument("A setting must be one line.")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextmanager
def or_cannot_read(what: str) -> Generator[None]:
    """Turn git, file and value errors into CannotRead, on which callers keep everything.

    Errors that an agent caused become Tampered (a full disk is none of them), a timeout or too
    much output becomes Unfinished.
    """
    try:
        yield
    except (GitFailed, OSError, ValueError) as problem:
        kind = Unfinished if isinstance(problem, Unfinished) else CannotRead
        kind = Tampered if is_made_so(problem) else kind
        raise kind(f"{what} could not be read: {problem}") from problem


def is_made_so(problem: Exception) -> bool:
    """Return True if changed files caused the error, not trouble of the machine."""
    if not isinstance(problem, OSError) or problem.errno not in _MADE_SO:
        return False
    # agent files are opened relative to a folder fd: an absolute path in the error is ours
    return not (isinstance(problem.filename, str) and os.path.isabs(problem.filename))


@contextlib.contextmanager
def opened(root: Path | int, *parts: str) -> Generator[int]:
    """Open the folder `root/parts…` as a file descriptor, no links followed. Raises OSError."""
    with contextlib.ExitStack() as stack:
        fd = os.open(root, _FOLDER) if isinstance(root, Path) else os.dup(root)
        stack.callback(os.close, fd)
        for part in parts:
            fd = os.open(part, _FOLDER, dir_fd=fd)
            stack.callback(os.close, fd)
        yield fd


@contextlib.contextmanager
def opened_file(folder: int, name: str) -> Generator[int]:
    """Open a regular file in an open folder as a file descriptor. Raises OSError."""
    fd = os.open(name, _FILE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{name} is not a regular file")
        yield fd
    finally:
        os.close(fd)


def read_file(folder: int, name: str, *, cap: int) -> str | None:
    """Read a regular file in an open folder; None if missing, OSError past `cap` bytes."""
    try:
        with opened_file(folder, name) as fd, os.fdopen(os.dup(fd), "rb") as file:
            text = file.read(cap + 1)
    except FileNotFoundError:
        return None
    if len(text) > cap:
        raise OSError(f"{name} is too large")
    return text.decode("utf-8", "surrogateescape")


def identify(folder: int) -> tuple[int, int]:
    """Return device and inode, which show if a folder was replaced by another."""
    seen = os.fstat(folder)
    return seen.st_dev, seen.st_ino


def measure(path: Path) -> int:
    """Sum up the bytes of all files in a folder; links are not followed, errors count as 0."""
    total, todo = 0, [path]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(Path(entry.path))
                else:
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def set_aside(root: Path, name: str) -> Path:
    """Create a private temporary folder `.<name>.<random>` in `root` for unfinished work."""
    path = root / f".{name}.{secrets.token_hex(6)}"
    path.mkdir(mode=0o700)
    return path


def remove_tree(root: Path | int, name: str) -> None:
    """Delete the entry `name` directly in the folder `root`; links are unlinked, not followed.

    A missing entry is fine. Raises OSError.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise OSError("only an entry directly under the folder can be deleted")
    with contextlib.suppress(FileNotFoundError), opened(root) as fd:
        if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=fd)
            return
        try:
            shutil.rmtree(name, dir_fd=fd)
        except PermissionError:
            unlock_tree(fd, name)
            shutil.rmtree(name, dir_fd=fd)


def unlock_tree(root: int, name: str) -> None:
    """Make `root/name` and all folders in it writable, so that it can be deleted."""
    _unlock(root, name)
    for _, folders, _, fd in os.fwalk(name, dir_fd=root):
        for folder in folders:
            _unlock(fd, folder)


def _unlock(parent: int, name: str) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.chmod(name, 0o700, dir_fd=parent)


def writing_to(folder: Path, mirror: Path) -> dict[str, str]:
    """Return the environment in which git writes objects to `folder`, and reads the mirror's."""
    return {
        "GIT_OBJECT_DIRECTORY": str(folder),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(mirror / "objects"),
    }


def quoted_path(path: Path) -> str:
    """Return a path as git reads it in a list of folders."""
    # git's own quoting: a bare colon separates paths in this variable
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
