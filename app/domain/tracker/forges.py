"""Rules of forges: their kinds and addresses, the marks in their texts, and priorities by label."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from app.domain.names import HOST, SCP, is_loopback
from app.domain.safe_text import is_safe_name
from app.domain.words import Priority

MAX_ADDRESS = 500
# a forge's list is asked for at least hourly: an older one is told with its time
_OLD = timedelta(minutes=75)
# a forge may be silent for a moment
_PATIENCE = timedelta(seconds=60)
_MARK = re.compile(r"<!-- runyard:(run_[0-9a-z_]{1,60}) -->", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_ADDRESSED = re.compile(r"(?<![\w@/.-])@runyard(?![\w/-])", re.IGNORECASE)
_ORDERED = re.compile(r"^\s*/runyard\s+fix\b", re.IGNORECASE | re.MULTILINE)
_BY_LABEL: dict[str, Priority] = {
    **{f"priority/{one}": one for one in Priority},
    "priority/critical": Priority.URGENT,
    "priority/medium": Priority.NORMAL,
    "p0": Priority.URGENT,
    "p1": Priority.HIGH,
    "p2": Priority.NORMAL,
    "p3": Priority.LOW,
}


class ForgeKind(StrEnum):
    """The kinds of forges."""

    FORGEJO = "forgejo"
    GITEA = "gitea"
    GITHUB = "github"


_KIND_NAMES = {
    ForgeKind.FORGEJO: "Forgejo",
    ForgeKind.GITEA: "Gitea",
    ForgeKind.GITHUB: "GitHub",
}


def kind_name(kind: str | None) -> str:
    """Return the name of a kind of forge as it is written, "forge" for one that is unknown."""
    return _KIND_NAMES[ForgeKind(kind)] if kind in set(ForgeKind) else "forge"


class Place(StrEnum):
    """Where a comment on a pull request stands: below it, with a review, or on a line."""

    TALK = "talk"
    REVIEW = "review"
    LINE = "line"


# the rights that a token needs, as the forge's page for tokens calls them
SCOPES: dict[ForgeKind, tuple[str, ...]] = {
    ForgeKind.FORGEJO: ("write:repository", "write:issue", "read:user"),
    ForgeKind.GITEA: ("write:repository", "write:issue", "read:user"),
    ForgeKind.GITHUB: ("contents: write", "pull requests: write", "issues: write"),
}
# what an App lacks that nobody has installed
NOT_INSTALLED = "an installation"


def as_of(
    read_at: datetime | None, silent_since: datetime | None, now: datetime
) -> datetime | None:
    """Return when a forge's list was read, None while it counts as the present one."""
    if read_at is None:
        return None
    is_silent = silent_since is not None and now - silent_since >= _PATIENCE
    return read_at if is_silent or now - read_at >= _OLD else None


def mark_of(run_id: str) -> str:
    """Return the mark by which a run's texts on a forge are recognised."""
    return f"<!-- runyard:{run_id} -->"


def runs_marked(text: str) -> tuple[str, ...]:
    """Return the ids of the runs whose mark a text holds."""
    return tuple(_MARK.findall(text))


def is_addressed(text: str) -> bool:
    """Return True if a comment asks Runyard for something: `@runyard …` or `/runyard fix`.

    What it quotes of others is not asked by it.
    """
    own = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(">"))
    return bool(_ADDRESSED.search(own) or _ORDERED.search(own))


def priority_of(labels: Iterable[str]) -> Priority:
    """Return the most urgent priority that labels give, such as `priority/high` or `P1`."""
    found = {_BY_LABEL.get(label.casefold()) for label in labels}
    return next((one for one in Priority if one in found), Priority.NORMAL)


def address_problem(address: str) -> str | None:
    """Return why a forge cannot be at this address, or None.

    Only a forge on this machine may be asked without encryption.
    """
    if len(address) > MAX_ADDRESS or not is_safe_name(address) or address != address.strip():
        return "This address contains characters that are not allowed."
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "This address cannot be read."
    if parts.scheme not in ("https", "http"):
        return "Give the forge's address, such as https://codeberg.org."
    if parts.username or parts.password:
        return "Leave user name and password out of the address: give a token instead."
    if parts.query or parts.fragment:
        return "Leave out what follows the path of the address."
    if not HOST.fullmatch(host) and not is_loopback(host):
        return "This address names no host."
    if parts.scheme == "http" and not is_loopback(host):
        return "Use https: a token would cross the network unencrypted."
    return None


def clean_address(address: str) -> str:
    """Return an address as it is stored: lower-case host, no slash at the end.

    That of GitHub's API becomes the one that people and git use.
    """
    parts = urlsplit(address)
    host, path = parts.netloc.lower(), parts.path.rstrip("/")
    if host in ("api.github.com", "www.github.com"):
        host, path = "github.com", ""
    return parts._replace(netloc=host, path=path.removesuffix("/api/v3")).geturl()


def host_of(address: str) -> str:
    """Return an address's host, with its port if it names one."""
    return urlsplit(address).netloc


def repository_name(address: str, origin: str) -> str | None:
    """Return `owner/name` of an origin at the forge of this address, None if it is elsewhere.

    Over ssh only the host has to be the same: a forge listens there on another port.
    """
    forge = urlsplit(address)
    try:
        parts = urlsplit(origin) if "://" in origin else None
        if parts is None:
            match = SCP.fullmatch(origin)
            is_here = match is not None and match["host"].lower() == forge.hostname
            path = match["path"] if match else ""
        elif parts.scheme == "ssh":
            is_here, path = parts.hostname == forge.hostname, parts.path
        else:
            is_here = (parts.scheme, parts.netloc.lower()) == (forge.scheme, forge.netloc)
            is_here = is_here and parts.path.startswith(f"{forge.path}/")
            path = parts.path[len(forge.path) :]
    except ValueError:
        return None
    return full_name(path) if is_here else None


def forge_addresses(origin: str) -> list[str]:
    """Return where the forge of a repository's address may be; over ssh, at its host by https."""
    try:
        parts = urlsplit(origin) if "://" in origin else None
        if parts is None:
            match = SCP.fullmatch(origin)
            return [f"https://{match['host'].lower()}"] if match else []
        if parts.scheme == "ssh":
            return [f"https://{parts.hostname}"] if parts.hostname else []
        if parts.scheme not in ("https", "http") or "@" in parts.netloc:
            return []
    except ValueError:
        return []
    above = parts.path.strip("/").split("/")[:-2]
    home = f"{parts.scheme}://{parts.netloc.lower()}"
    return [f"{home}/{'/'.join(above)}"] if above else [home]


def full_name(path: str) -> str | None:
    """Return `owner/name` of a path such as `/acme/shop.git`, None if it is none."""
    parts = path.strip("/").removesuffix(".git").split("/")
    is_name = len(parts) == 2 and all(_NAME.fullmatch(one) and one.strip(".") for one in parts)
    return "/".join(parts) if is_name else None
