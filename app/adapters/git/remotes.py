"""Origins: checks of a folder or address, and git's errors and output about them, parsed."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.git.command import Git, GitFailed, GitHadNoRoom, GitTimedOut
from app.adapters.git.layout import checked_sha
from app.domain.names import branch_problem, origin_kind, origin_problem
from app.domain.words import Cause
from app.services.ports import OriginProblem, Remote, RemoteBranch

_CONFIG_CAP = 1024**2
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SAYINGS: tuple[tuple[str, str, bool, Cause | None], ...] = (
    (
        r"Host key verification failed",
        "The ssh key of this host is not known here: connect to it once by hand.",
        True,
        Cause.AUTH,
    ),
    (
        r"Permission denied \(|Authentication failed|could not read (?:Username|Password)"
        r"|returned error: 40[13]|[Pp]ermission to .* denied|Access denied|HTTP Basic",
        "The repository refused the sign-in: check the credential helper or the ssh key.",
        True,
        Cause.AUTH,
    ),
    (
        r"Could not resolve host(?:name)?|Name or service not known"
        r"|Temporary failure in name resolution",
        "The host of this address could not be found.",
        False,
        Cause.NETWORK,
    ),
    (
        r"Connection refused|[Cc]onnection timed out|Network is unreachable|No route to host"
        r"|Failed to connect|Couldn't connect|Connection (?:reset|closed)|Operation timed out"
        r"|Could not connect|Operation too slow",
        "The host of this address did not answer.",
        False,
        Cause.NETWORK,
    ),
    (
        r"SSL certificate|certificate verif",
        "The host's certificate could not be trusted.",
        True,
        None,
    ),
    (
        r"dubious ownership",
        "The repository belongs to another user, so git refuses it.",
        True,
        None,
    ),
    (r"shallow update not allowed", "This repository is a shallow clone.", True, None),
    (
        r"does not appear to be a git repository|[Rr]epository .*not found|not found"
        r"|does not exist|returned error: 404",
        "There is no git repository at this address, or it is not shown to you.",
        True,
        None,
    ),
    (r"Permission denied|insufficient permission", "The repository may not be read.", True, None),
)
HEADS, TRACKED = "refs/heads/", "refs/remotes/origin/"
_FETCH = (
    *("fetch", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"),
    "--recurse-submodules=no",
)
_REFSPEC = f"+{HEADS}*:{TRACKED}*"
_PROGRESS = re.compile(rb"(?:remote: )?([A-Z][a-z]+ [a-z]+):\s+(\d{1,3})%")


def check_origin(git: Git, origin: str) -> None:
    """Raise OriginProblem for a forbidden address, or a folder that is not a repository's root."""
    problem = origin_problem(origin, plain=git.signs_in_at(origin)) or (
        _folder_problem(origin) if origin[:1] == "/" else None
    )
    if problem:
        raise OriginProblem(problem, for_good=True)


def remote_of(git: Git, folder: str) -> str | None:
    """Return the address of a local repository's `origin`; None without a usable one.

    Its config is parsed without includes, so nothing it names is run. An address that may hold
    a secret is not usable.
    """
    if _folder_problem(folder):
        return None
    top = Path(folder)
    text = _config_text(top / ".git" / "config" if (top / ".git").exists() else top / "config")
    ask = ["config", "--file", "-", "--no-includes", "--get", "remote.origin.url"]
    try:
        answer = git.run(ask, input=text, check=False) if text else None
    except GitFailed:
        return None
    found = answer.text.removesuffix("\n") if answer and not answer.code else ""
    is_secret = "://" in found and ("?" in found or "#" in found)
    return None if origin_problem(found) or is_secret else found


def _config_text(file: Path) -> bytes:
    """Read a config file; empty unless it is a readable regular file of at most 1 MiB."""
    try:
        # reading a pipe or a device would never end
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as config:
            is_plain = stat.S_ISREG(os.fstat(opened).st_mode)
            text = config.read(_CONFIG_CAP + 1) if is_plain else b""
    except OSError:
        return b""
    return text if len(text) <= _CONFIG_CAP else b""


def is_local(origin: str) -> bool:
    """Return True if the origin is a folder on this machine."""
    return origin_kind(origin) is not None and origin.startswith("/")


def _folder_problem(origin: str) -> str | None:
    path = Path(origin)
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return f"{origin} is a file, not a folder."
        if not os.access(path, os.R_OK | os.X_OK):
            return f"{origin} may not be read."
        return _repository_problem(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"There is no folder {origin}."
    except PermissionError:
        return f"{origin} may not be read."
    except OSError as problem:
        return f"{origin} cannot be used: {problem.strerror}."


def _repository_problem(path: Path) -> str | None:
    git_dir = path / ".git" if (path / ".git").exists() else path
    is_bare = all((path / part).exists() for part in ("HEAD", "objects", "refs"))
    if git_dir == path and not is_bare:
        above = next((up for up in path.parents if (up / ".git").exists()), None)
        hint = f" It is part of the repository {above}: give that folder." if above else ""
        return f"{path} is a folder, but not a git repository.{hint}"
    if (git_dir / "shallow").exists():
        return f"{path} is a shallow clone: run git fetch --unshallow there first."
    return None


def bring(
    git: Git,
    mirror: Path,
    origin: str,
    timeout: float,
    progress: Callable[[int, str], None] | None = None,
) -> None:
    """Fetch origin's branches into a mirror. Raises OriginProblem."""
    flags = ["--progress"] if progress else ["--quiet"]
    try:
        git.run(
            [*_FETCH, *flags, "--", origin, _REFSPEC],
            git_dir=mirror,
            origin=origin,
            timeout=timeout,
            on_stderr=listen_for(progress) if progress else None,
        )
    except GitFailed as failure:
        raise explain(failure) from failure


def explain(failure: GitFailed) -> OriginProblem:
    """Turn a failed call to origin into a sentence; `for_good` if a retry cannot help."""
    if isinstance(failure, GitTimedOut):
        return OriginProblem("The repository did not answer in time.", for_good=False)
    if isinstance(failure, GitHadNoRoom):
        full = "The disk is full: there is no room for what this repository has."
        return OriginProblem(full, for_good=False, cause=Cause.DISK_FULL)
    for pattern, sentence, for_good, cause in _SAYINGS:
        if re.search(pattern, failure.err):
            return OriginProblem(sentence, for_good=for_good, cause=cause)
    last = words_of(failure.err).splitlines()[-1:] or [words_of(str(failure))]
    return OriginProblem(f"The repository could not be reached: {last[0]}", for_good=False)


def words_of(text: str) -> str:
    """Clean up output of the remote: no control characters, at most 500 characters."""
    return _UNPRINTABLE.sub("", text).strip()[:500]


def read_remote(text: str) -> Remote:
    """Parse `ls-remote --symref`: HEAD's branch, and every branch with a usable name."""
    head, branches = None, []
    for line in text.splitlines():
        what, _, name = line.partition("\t")
        if name == "HEAD" and what.startswith(f"ref: {HEADS}"):
            head = what.removeprefix(f"ref: {HEADS}")
        branch = name.removeprefix(HEADS)
        if branch != name and not branch_problem(branch):
            branches.append(RemoteBranch(branch, checked_sha(what)))
    known = {branch.name for branch in branches}
    return Remote(head if head in known else None, tuple(branches))


def read_tracked(line: str) -> RemoteBranch:
    """Parse a line of `for-each-ref`: commit, commit time in Unix seconds, tracking ref."""
    sha, seconds, ref = line.split(" ", 2)
    when = None
    with contextlib.suppress(ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(int(seconds), UTC)
    return RemoteBranch(ref.removeprefix(TRACKED), sha, when)


def tip_among(text: str, ref: str) -> str | None:
    """Find the commit of exactly `ref`: git also lists the refs below that name."""
    lines = (line.partition(" ") for line in text.split("\n"))
    return next((sha for sha, _, name in lines if name == ref), None)


def listen_for(progress: Callable[[int, str], None]) -> Callable[[bytes], None]:
    """Return a parser for git's standard error that reports changes of percent and phase."""
    rest, last = b"", (-1, "")

    def hear(chunk: bytes) -> None:
        nonlocal rest, last
        *lines, rest = re.split(rb"[\r\n]", rest[-200:] + chunk)
        for match in filter(None, map(_PROGRESS.match, lines)):
            now = (int(match[2]), match[1].decode("ascii").lower())
            if now != last:
                last = now
                progress(*now)

    return hear
