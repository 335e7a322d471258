"""Finding out which forge is at an address, and what a token may do there."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any

import httpx

from app.adapters.forge.client import CONNECT_SECONDS, READ_SECONDS, Answer, ForgeClient
from app.adapters.forge.github import probe as github_probe
from app.adapters.forge.meter import Meter
from app.domain.json.objects import is_object
from app.domain.tracker.forges import SCOPES, ForgeKind
from app.services.ports import ForgeSilent, ForgeStanding

GITEA_API = "/api/v1"
# a repository that nobody has: a write to it shows only whether the token's scopes allow one
NOWHERE = "/repos/-/-"
_REQUIRED = re.compile(r"required(?:=| scope\(s\): )\[([a-z:,]+)\]")
_VERSION_CAP = 4096


def find_kind(address: str) -> tuple[ForgeKind, str]:
    """Return the kind of forge at an address and its version. Raises ForgeSilent."""
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.Client(timeout=timeout, trust_env=False) as http:
            # github.com needs no question
            version = None if github_probe.is_hosted(address) else _gitea_version(http, address)
            github = github_probe.version_of(http, address) if version is None else None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
        raise ForgeSilent("no forge answers at this address") from problem
    if github is not None:
        return ForgeKind.GITHUB, github
    if version is None:
        said = "there is no Forgejo, Gitea or GitHub at this address"
        raise ForgeSilent(said, needs_attention=True)
    # Forgejo tells which Gitea it is compatible with
    return (ForgeKind.FORGEJO if "+gitea-" in version else ForgeKind.GITEA), version


def _gitea_version(http: httpx.Client, address: str) -> str | None:
    with http.stream("GET", f"{address}{GITEA_API}/version") as answer:
        github_probe.refuse_silence(answer)
        if answer.status_code != 200:
            return None
        return _version_of(b"".join(github_probe.start_of(answer, _VERSION_CAP)))


def _version_of(start: bytes) -> str | None:
    try:
        found: Any = json.loads(start)
    except (ValueError, RecursionError):
        return None
    version = found.get("version") if is_object(found) else None
    return version[:100] if isinstance(version, str) else None


def examine(
    address: str, kind: ForgeKind, version: str, token: str, meter: Meter | None = None
) -> ForgeStanding:
    """Return whose token it is, what it may and which scopes it lacks. Raises ForgeSilent.

    Nothing is written: the writes that are tried name a repository that cannot exist.
    """
    with closing(ForgeClient(f"{address}{GITEA_API}", token, meter=meter)) as client:
        login, missing = _who(client)
        for below, scope in (("/issues", "write:issue"), ("/pulls", "write:repository")):
            missing += _lacking(client, below, scope)
    lacking = tuple(one for one in SCOPES[kind] if one in missing)
    may = [name for name, scope in _NEEDED if scope not in lacking]
    return ForgeStanding(kind, version, login, tuple(may), lacking)


_NEEDED = (
    ("push", "write:repository"),
    ("pull_requests", "write:repository"),
    ("issues", "write:issue"),
)


def _who(client: ForgeClient) -> tuple[str, list[str]]:
    try:
        answer = client.get("/user")
    except ForgeSilent as silence:
        if client.refused is None and (lacks := _scopes_in(str(silence))):
            return "", lacks
        raise
    return _login(answer), []


def _lacking(client: ForgeClient, below: str, scope: str) -> list[str]:
    try:
        client.send("POST", f"{NOWHERE}{below}", {"title": "", "head": "", "base": ""})
    except ForgeSilent as silence:
        if client.refused is None and (lacks := _scopes_in(str(silence))):
            return [scope, *lacks]
        raise
    return []


def _scopes_in(sentence: str) -> list[str]:
    found = _REQUIRED.search(sentence)
    return found[1].split(",") if found else []


def _login(answer: Answer) -> str:
    login = answer.row.get("login")
    if not answer.is_good or not isinstance(login, str) or not login:
        raise ForgeSilent("the forge does not say whose token this is")
    return login
