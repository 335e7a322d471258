"""The forges that are known: who keeps a project's issues, and git's sign-in there."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from time import monotonic
from typing import Protocol

import structlog

from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.adapters.forge.github.app import AppSignIn
from app.adapters.forge.github.client import GithubClient, SignIn, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.adapters.forge.github.probe import api_of, examine_app, examine_token
from app.adapters.forge.meter import Meter
from app.adapters.forge.probe import GITEA_API, examine, find_kind
from app.adapters.forge.tracked import TrackedForge
from app.domain.secret_masks import Secret
from app.domain.tracker.forges import ForgeKind, repository_name
from app.services.ports import (
    ClaimNotices,
    Forge,
    ForgePlace,
    ForgeSilent,
    ForgeStanding,
    HostedRepository,
    IssueHistories,
    IssueLists,
    PullRequests,
    Spending,
    TrackerStore,
    WrongKey,
)

log = structlog.get_logger()
# tokens that were lent to Apps serve for an hour, and are masked for longer, seconds
LENT_SECONDS = 2 * 3600


class ForgeRow(Protocol):
    """A forge as it is stored; its token, or its App's private key, is encrypted."""

    id: str
    url: str
    kind: str
    token: str
    hook_secret: str | None
    app_id: str | None
    acts_as: str
    checked_at: datetime


class ProjectRow(Protocol):
    """The part of a project that names its tracker."""

    forge_id: str | None
    repository: str | None
    origin: str


class ForgeRegistry:
    """Forges by project; one client per forge and token, so that its pauses hold for everybody.

    `read` returns the stored forges, None if the database does not answer.
    """

    def __init__(
        self,
        builtin: Forge,
        store: TrackerStore,
        read: Callable[[], Iterable[ForgeRow] | None],
        unseal: Callable[[str], str],
    ) -> None:
        self._builtin, self._store = builtin, store
        self._read, self._unseal = read, unseal
        self._guard = threading.Lock()
        # every call to git and every masked text asks for them
        self._rows: tuple[ForgeRow, ...] | None = None
        # to be masked in what agents print
        self.tokens: tuple[Secret, ...] = ()
        # texts by their encrypted ones
        self._unsealed: dict[str, str] = {}
        # by address, so that a replaced token and the checks count, too
        self._meters: dict[str, Meter] = {}
        # by id, with the encrypted token that it was made for, and when that was found good
        self._known: dict[str, tuple[str, datetime, TrackedForge]] = {}
        # the same for git: a token that was lent to an App serves both
        self._signed_in: dict[str, tuple[tuple[str, datetime], SignIn]] = {}
        self._kept: tuple[Secret, ...] = ()
        self._lent: deque[tuple[float, Secret]] = deque()

    def rows(self) -> tuple[ForgeRow, ...]:
        """Return all forges, as they were at the last `refresh`."""
        if self._rows is None:
            self.refresh()
        return self._rows or ()

    def refresh(self) -> None:
        """Read the forges anew: one was added, changed or removed; keep them if that fails."""
        found = self._read()
        if found is not None:
            rows = tuple(found)
            unsealed: dict[str, str] = {}
            masked: list[Secret] = []
            for row in rows:
                key = "token" if row.app_id is None else "private key"
                sealed = {key: row.token, "secret of hooks": row.hook_secret}
                for what, one in sealed.items():
                    text = self._text_of(one) if one else None
                    if one and text:
                        unsealed[one] = text
                        masked.append(Secret(f"the {what} of {row.url}", text))
            with self._guard:
                self._kept = tuple(masked)
                self.tokens = (*masked, *(one for _, one in self._lent))
            self._unsealed, self._rows = unsealed, rows

    def _text_of(self, sealed: str) -> str | None:
        """Return a secret's text, None if another server rotated the key of it meanwhile."""
        try:
            return self._unseal(sealed)
        except WrongKey as problem:
            log.warning("secret_not_opened", because=str(problem))
            return None

    def of(self, project: ProjectRow) -> Forge:
        """Return a project's tracker. Raises ForgeSilent if its forge is gone."""
        return self._builtin if project.forge_id is None else self._tracked(project.forge_id)

    def requests_of(self, project: ProjectRow) -> PullRequests | None:
        """Return who merges a project's changes, None if Runyard does. Raises ForgeSilent."""
        return None if project.forge_id is None else self._tracked(project.forge_id).remote

    def notices_of(self, project: ProjectRow) -> ClaimNotices | None:
        """Return what tells a project's issues of claims, None in Runyard. Raises ForgeSilent."""
        return None if project.forge_id is None else self._tracked(project.forge_id).remote

    def place_of(self, project: ProjectRow) -> ForgePlace | None:
        """Return where a project's repository is, None for one of the built-in tracker."""
        row = self._find(project.forge_id)
        if row is None or not project.repository:
            return None
        return ForgePlace(row.kind, row.url, project.repository, project.origin)

    def has_moved(self, project: ProjectRow) -> bool:
        """Return True if a forge redirected a question about a project's repository."""
        if project.forge_id is None or not project.repository:
            return False
        return self._tracked(project.forge_id).remote.has_moved(project.repository)

    def histories_of(self, project: ProjectRow) -> IssueHistories | None:
        """Return the histories of a project's issues, None without any. Raises ForgeSilent."""
        return None if project.forge_id is None else self._tracked(project.forge_id).remote

    def lists_of(self, project: ProjectRow) -> IssueLists | None:
        """Return who lists a project's issues, None if Runyard keeps them. Raises ForgeSilent."""
        return None if project.forge_id is None else self._tracked(project.forge_id).remote

    def sign_in(self, origin: str) -> list[tuple[str, str]]:
        """Return git's settings for an origin at a known forge, bound to that forge's address.

        Raises ForgeSilent if an App is lent no token now.
        """
        if not origin.startswith(("https://", "http://")):
            return []
        for row in self.rows():
            if row.token in self._unsealed and repository_name(row.url, origin) is not None:
                name, token = self._password(row, origin)
                pair = base64.b64encode(f"{name}:{token}".encode()).decode()
                place = f"http.{row.url}/"
                return [
                    (f"{place}.extraHeader", f"Authorization: Basic {pair}"),
                    # the token goes nowhere else
                    (f"{place}.followRedirects", "false"),
                ]
        return []

    def kind_at(self, address: str) -> tuple[str, str]:
        """Return the kind of forge at an address and its version. Raises ForgeSilent."""
        return find_kind(address)

    def inspect(
        self, address: str, kind: str | None, token: str, app_id: str | None = None
    ) -> ForgeStanding:
        """Return what a token may do at an address, or an App with its private key.

        Raises ForgeSilent, ValueError if that key is none.
        """
        found, version = find_kind(address)
        if kind is not None and kind != found:
            raise ForgeSilent(f"this is {found}, not {kind}", needs_attention=True)
        meter = self._meter_at(address)
        if app_id is not None:
            if found != ForgeKind.GITHUB:
                raise ForgeSilent(f"{found} knows no Apps: give a token", needs_attention=True)
            return examine_app(version, AppSignIn(api_of(address), app_id, token, meter=meter))
        if found == ForgeKind.GITHUB:
            return examine_token(address, version, token, meter)
        return examine(address, found, version, token, meter)

    def repository(
        self, forge_id: str, full_name: str, token: str | None = None
    ) -> HostedRepository | None:
        """Return a repository as a forge's token, or another one, sees it; None if it does not.

        Raises ForgeSilent.
        """
        if token is None:
            return self._tracked(forge_id).remote.repository(full_name)
        return self._remote(self._row_of(forge_id), token).repository(full_name)

    def repositories(self, forge_id: str) -> list[HostedRepository]:
        """Return the repositories that a forge's token sees. Raises ForgeSilent."""
        return self._tracked(forge_id).remote.repositories()

    def install_hook(self, forge_id: str, full_name: str, url: str, secret: str) -> str:
        """Have a repository send hooks to an address; return why not, "" if it does.

        Raises ForgeSilent.
        """
        return self._tracked(forge_id).remote.install_hook(full_name, url, secret)

    def spending(self) -> dict[str, Spending]:
        """Return what was asked of each forge since the start, by its id."""
        return {row.id: self._meter_at(row.url).read() for row in self.rows()}

    def _meter_at(self, address: str) -> Meter:
        return self._meters.setdefault(address, Meter())

    def is_any(self) -> bool:
        """Return True if a forge is known."""
        return bool(self.rows())

    def refusals(self) -> dict[str, str]:
        """Return why only a person can help, by id of the forges that refused their token."""
        with self._guard:
            asked = {forge_id: known[2].remote.refused for forge_id, known in self._known.items()}
        return {forge_id: because for forge_id, because in asked.items() if because}

    def _find(self, forge_id: str | None) -> ForgeRow | None:
        return next((one for one in self.rows() if one.id == forge_id), None)

    def _row_of(self, forge_id: str) -> ForgeRow:
        row = self._find(forge_id)
        if row is None:
            raise ForgeSilent("its forge was removed", needs_attention=True)
        return row

    def _tracked(self, forge_id: str) -> TrackedForge:
        row = self._row_of(forge_id)
        with self._guard:
            known = self._known.get(forge_id)
            # one that was refused is asked again after a person's check
            if known is None or known[:2] != (row.token, row.checked_at):
                made = TrackedForge(self._remote(row), self._store)
                known = self._known[forge_id] = row.token, row.checked_at, made
            return known[2]

    def _remote(self, row: ForgeRow, token: str | None = None) -> GithubForge | GiteaForge:
        """Return the forge of a row, asked with its own sign-in or another token."""
        meter = self._meter_at(row.url)
        if row.kind == ForgeKind.GITHUB:
            sign_in = self._sign_in_of(row) if token is None else TokenSignIn(token)
            return GithubForge(GithubClient(api_of(row.url), sign_in, meter=meter))
        secret = self._secret_of(row) if token is None else token
        return GiteaForge(ForgeClient(f"{row.url}{GITEA_API}", secret, meter=meter))

    def _secret_of(self, row: ForgeRow) -> str:
        """Return a forge's token or private key. Raises ForgeSilent if the key does not open it."""
        secret = self._unsealed.get(row.token) or self._text_of(row.token)
        if secret is None:
            because = "this server's key does not open its token: copy the key file, and restart"
            raise ForgeSilent(because, needs_attention=True)
        return secret

    def _sign_in_of(self, row: ForgeRow) -> SignIn:
        """Return how to sign in at a GitHub, the same for the API and for git."""
        now = row.token, row.checked_at
        known = self._signed_in.get(row.id)
        if known is None or known[0] != now:
            secret, api = self._secret_of(row), api_of(row.url)
            made = (
                TokenSignIn(secret)
                if row.app_id is None
                else AppSignIn(
                    api,
                    row.app_id,
                    secret,
                    note=self._note_lent,
                    meter=self._meter_at(row.url),
                )
            )
            known = self._signed_in[row.id] = now, made
        return known[1]

    def _password(self, row: ForgeRow, origin: str) -> tuple[str, str]:
        """Return the user name and the password for git. Raises ForgeSilent."""
        if row.kind != ForgeKind.GITHUB:
            return row.acts_as or "runyard", self._secret_of(row)
        owner = (repository_name(row.url, origin) or "").partition("/")[0]
        return "x-access-token", self._sign_in_of(row).bearer(owner)

    def _note_lent(self, token: str) -> None:
        with self._guard:
            now = monotonic()
            while self._lent and now - self._lent[0][0] > LENT_SECONDS:
                self._lent.popleft()
            self._lent.append((now, Secret("a token of a GitHub App", token)))
            self.tokens = (*self._kept, *(one for _, one in self._lent))
