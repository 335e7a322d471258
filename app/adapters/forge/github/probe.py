"""Finding a GitHub, and what a token or an App may do there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from urllib.parse import urlsplit

import httpx

from app.adapters.forge.client import WHOLE_SECONDS, Answer, NotThere
from app.adapters.forge.gitea_rows import part_of, said_by, text_of
from app.adapters.forge.github.app import AppSignIn, lacking
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.meter import Meter
from app.domain.json.objects import is_object
from app.domain.tracker.forges import NOT_INSTALLED, SCOPES, ForgeKind
from app.services.ports import ForgeSilent, ForgeStanding

HOSTED = ("github.com", "www.github.com", "api.github.com")
# what Runyard does, the permission that it takes, and where a repository shows that
_NEEDED = (
    ("push", "contents: write", "/git/refs"),
    ("pull_requests", "pull requests: write", "/pulls"),
    ("issues", "issues: write", "/issues"),
)
# repositories in which a token's permissions are tried
MOST_TRIED = 3
# without these an App works, and the CI of pull requests stays unknown
_CI = ("checks: read", "commit statuses: read")
# a classic token's scope for all of them
CLASSIC = "repo"


def api_of(address: str) -> str:
    """Return where the API of the GitHub at an address is."""
    if urlsplit(address).hostname in HOSTED:
        return "https://api.github.com"
    return f"{address}/api/v3"


def is_hosted(address: str) -> bool:
    """Return True for github.com itself."""
    return urlsplit(address).hostname in HOSTED


def refuse_silence(answer: httpx.Response) -> None:
    """Raise ForgeSilent for a proxy's answer: what is behind it is not known."""
    if answer.status_code == 429 or answer.status_code >= 500:
        raise ForgeSilent(f"it answered {answer.status_code}")


def version_of(http: httpx.Client, address: str) -> str | None:
    """Return the version of a GitHub Enterprise Server, None if there is none at an address."""
    if is_hosted(address):
        return "github.com"
    with http.stream("GET", f"{address}/api/v3/meta") as answer:
        if answer.status_code in (401, 403) and "x-github-request-id" in answer.headers:
            return "unknown"  # in private mode it tells nobody
        refuse_silence(answer)
        if answer.status_code != 200:
            return None
        start = b"".join(start_of(answer, 1024**2))
    try:
        found = httpx.Response(200, content=start).json()
    except (ValueError, RecursionError):
        return None
    if not is_object(found) or "verifiable_password_authentication" not in found:
        return None
    version = found.get("installed_version")
    return version[:100] if isinstance(version, str) else "github.com"


def start_of(answer: httpx.Response, most: int) -> Iterator[bytes]:
    """Yield the beginning of a body, at most so many bytes. Raises httpx.ReadTimeout."""
    read, late = 0, monotonic() + WHOLE_SECONDS
    for chunk in answer.iter_bytes():
        read += len(chunk)
        # whoever sends a byte now and then meets no other limit
        if monotonic() > late:
            raise httpx.ReadTimeout("it did not answer in time")
        if read > most:
            return
        yield chunk


def examine_token(
    address: str, version: str, token: str, meter: Meter | None = None
) -> ForgeStanding:
    """Return whose token it is, and what it may. Raises ForgeSilent.

    A classic token names its scopes. What a fine-grained one lacks, refusals tell: nothing is
    written, since each write that is tried has an empty body.
    """
    with closing(GithubClient(api_of(address), TokenSignIn(token), meter=meter)) as client:
        who = client.get("/user")
        login = text_of(who.row, "login")
        if not who.is_good or not login:
            raise ForgeSilent("GitHub does not say whose token this is")
        scopes = scopes_of(who)
        if scopes is not None:
            missing = () if CLASSIC in scopes else (CLASSIC,)
            may = () if missing else tuple(name for name, *_ in _NEEDED)
            return ForgeStanding(ForgeKind.GITHUB, version, login, may, missing)
        places = _pushable(client)
        granted = {name for name, _, below in _NEEDED if _is_granted(client, places, below)}
    may = tuple(name for name, *_ in _NEEDED if name in granted)
    # where its account may push nowhere, nothing is known of the token
    missing = tuple(one for name, one, _ in _NEEDED if places and name not in granted)
    return ForgeStanding(ForgeKind.GITHUB, version, login, may, missing)


def _pushable(client: GithubClient) -> list[str]:
    """Return the paths of some repositories to which the token's account may push."""
    try:
        rows = client.pages("/user/repos")
    except NotThere as problem:
        raise ForgeSilent(said_by(problem.answer)) from problem
    found = [row for row in rows if part_of(row, "permissions").get("push") is True]
    # public ones are listed for every token, private ones only where it was granted something
    found.sort(key=lambda row: row.get("private") is not True)
    return [f"/repos/{text_of(row, 'full_name')}" for row in found[:MOST_TRIED]]


def _is_granted(client: GithubClient, places: list[str], below: str) -> bool:
    """Return True if one of these repositories would take a write."""
    for place in places:
        try:
            if client.send("POST", f"{place}{below}", {}).status == 422:
                return True
        except ForgeSilent as silence:
            if client.refused is not None or not silence.needs_attention:
                raise
    return False


def scopes_of(answer: Answer) -> frozenset[str] | None:
    """Return a classic token's scopes, None for a fine-grained one, which names none."""
    said = answer.headers.get("x-oauth-scopes")
    return None if said is None else frozenset(one.strip() for one in said.split(",") if one)


def examine_app(version: str, sign_in: AppSignIn) -> ForgeStanding:
    """Return as whom an App acts and what it lacks, at its installations, too.

    Raises ForgeSilent.
    """
    slug, asked_for = sign_in.slug()
    places = [one for one in sign_in.installations() if not one.is_suspended]
    needed = (*SCOPES[ForgeKind.GITHUB], *_CI)
    found = unasked = lacking(needed, asked_for)
    for place in places:
        # a permission that the App asks for anew has yet to be accepted there
        unaccepted = [one for one in lacking(needed, place.permissions) if one not in unasked]
        found = [*found, *(f"{one} at {place.owner}" for one in unaccepted)]
    if not places:
        found = [*found, NOT_INSTALLED]
    may = [name for name, one, _ in _NEEDED if places and not any(one in said for said in found)]
    return ForgeStanding(ForgeKind.GITHUB, version, f"{slug}[bot]", tuple(may), tuple(found))
