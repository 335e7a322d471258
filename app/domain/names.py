"""Validation of names of branches, origins and projects; checks return a sentence or None."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from urllib.parse import urlsplit

from app.domain.safe_text import is_safe_name

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
SCP = re.compile(r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>[^@:/]+):(?P<path>[^:].*)")
MAX_NAME = 80
MAX_BRANCH = 244


def is_loopback(host: str) -> bool:
    """Return True for a host name or address of this machine."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class OriginKind(StrEnum):
    """The kinds of repository addresses; http only on this machine."""

    PATH = "path"
    HTTPS = "https"
    HTTP = "http"
    SSH = "ssh"


def branch_problem(name: str) -> str | None:
    """Return why `name` cannot be a branch, or None.

    Applies git's rules, and stricter ones for the first character.
    """
    if not name.strip():
        return "A branch name must not be empty."
    if len(name.encode()) > MAX_BRANCH:
        return f"A branch name has at most {MAX_BRANCH} bytes."
    if name.startswith(("-", "/", "refs/")) or name.endswith(("/", ".", ".lock")):
        return "This branch name begins or ends with something git refuses."
    if _FORBIDDEN.search(name) or not is_safe_name(name) or name in {"@", "HEAD"}:
        return "This branch name contains characters that git refuses."
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        return "This branch name has a part that git refuses."
    return None


def branches_collide(one: str, other: str) -> bool:
    """Return True if git cannot have both: they are equal, or one is a folder of the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


class TakenNames:
    """A set of existing branches, to find one that prevents another from being created."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        # indexed by folder instead of compared: there may be a thousand names on each side
        self._below = {folder: name for name in self._names for folder in _folders_of(name)}

    def in_the_way_of(self, branch: str) -> str | None:
        """Return a branch that prevents creating this one, the same name first, or None."""
        if branch in self._names:
            return branch
        above = (folder for folder in _folders_of(branch) if folder in self._names)
        return self._below.get(branch) or next(above, None)


def _folders_of(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def project_name_problem(name: str) -> str | None:
    """Return why `name` cannot be a project's name, or None."""
    if not name.strip():
        return "Give the project a name."
    if name != name.strip():
        return "A project name must not begin or end with a space."
    if len(name) > MAX_NAME:
        return f"A project name has at most {MAX_NAME} characters."
    if not is_safe_name(name):
        return "A project name must not contain control or invisible characters."
    return None


def origin_kind(origin: str) -> OriginKind | None:
    """Return the kind of an origin, or None if it is not allowed."""
    if origin_problem(origin, plain=True):
        return None
    if origin.startswith("/"):
        return OriginKind.PATH
    scheme = origin.lower().partition("://")[0]
    return {"https": OriginKind.HTTPS, "http": OriginKind.HTTP}.get(scheme, OriginKind.SSH)


def origin_problem(origin: str, *, plain: bool = False) -> str | None:
    """Return why `origin` is refused, or None.

    Allowed are https and ssh URLs and absolute paths, and with `plain` http URLs of this machine.
    """
    if not origin.strip():
        return "Give the folder or the address of a git repository."
    if len(origin) > 2000 or not is_safe_name(origin) or origin != origin.strip():
        return "This address contains characters that are not allowed."
    if origin.startswith("/"):
        return None
    if "::" in origin or origin.startswith(("-", "~", ".")):
        return "Use an absolute path, or an https or ssh address."
    return _url_problem(origin, plain=plain) if "://" in origin else _scp_problem(origin)


def _url_problem(origin: str, *, plain: bool) -> str | None:
    try:
        parts = urlsplit(origin)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "This address cannot be read."
    is_here = plain and parts.scheme == "http" and is_loopback(host)
    is_known = is_here or parts.scheme.lower() in {"https", "ssh"}
    if not is_known or not origin.startswith(parts.scheme):
        return "Use an absolute path, or an https or ssh address."
    if parts.password or (parts.scheme != "ssh" and parts.username):
        return "Leave user name and password out of the address: use a credential helper or ssh."
    if parts.username and parts.username.startswith("-"):
        return "This address has no valid user name."
    if not HOST.fullmatch(host) or len(parts.path) < 2 or parts.path.startswith("/-"):
        return "This address names no host or no repository."
    return None


def _scp_problem(origin: str) -> str | None:
    match = SCP.fullmatch(origin)
    if not match or not HOST.fullmatch(match["host"]) or match["path"].startswith("-"):
        return "Use an absolute path, or an https or ssh address."
    return None
