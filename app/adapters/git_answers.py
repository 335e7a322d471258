"""What git says, read: branches of origin, tracked branches, progress."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime

from app.adapters.git_places import checked_sha
from app.domain.names import branch_problem
from app.services.ports import Remote, RemoteBranch

HEADS, TRACKED = "refs/heads/", "refs/remotes/origin/"
_PROGRESS = re.compile(rb"(?:remote: )?([A-Z][a-z]+ [a-z]+):\s+(\d{1,3})%")


def read_remote(text: str) -> Remote:
    """What `ls-remote --symref` told: HEAD's branch and every branch with a usable name."""
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
    """A line of `for-each-ref`: commit, its time in seconds, the tracking ref."""
    sha, seconds, ref = line.split(" ", 2)
    when = None
    with contextlib.suppress(ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(int(seconds), UTC)
    return RemoteBranch(ref.removeprefix(TRACKED), sha, when)


def tip_among(text: str, ref: str) -> str | None:
    """The commit of `ref` in lines of commit and ref: git also lists what stands below a name."""
    lines = (line.partition(" ") for line in text.split("\n"))
    return next((sha for sha, _, name in lines if name == ref), None)


def listen_for(progress: Callable[[int, str], None]) -> Callable[[bytes], None]:
    """A hearer of git's standard error that tells percent and phase as they change."""
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
