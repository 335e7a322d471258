"""Forges: kept once with their token, checked, and found for a repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from app.domain.tracker.forges import (
    NOT_INSTALLED,
    SCOPES,
    ForgeKind,
    address_problem,
    clean_address,
    forge_addresses,
    full_name,
    host_of,
    repository_name,
)
from app.domain.words import BUILTIN
from app.errors import ForgeUnavailable, Invalid, NameTaken, NotFound, ProjectBusy
from app.records.feed import FeedBroke, ForgesChanged, Numbered
from app.records.people.reach import REACH, within
from app.records.projects.project_ledger import NameInUse
from app.records.tables import ForgeServer
from app.services.context import Context
from app.services.ports import ForgeSilent, ForgeStanding, HostedRepository, Spending
from app.services.system.secret_key import SecretKey

log = structlog.get_logger()
SCHEMES = ("https://", "http://", "ssh://")


@dataclass(frozen=True)
class TrackerChoice:
    """The tracker of a project's issues, as the columns of its row."""

    tracker: str = BUILTIN
    forge_id: str | None = None
    repository: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns by name."""
        return vars(self)


@dataclass(frozen=True)
class ForgeAt:
    """The forge of a repository's address; `url` is None if none is found there.

    `forge` is the known one. `because` says why it is not known what is there.
    """

    url: str | None = None
    kind: ForgeKind | None = None
    version: str = ""
    forge: ForgeServer | None = None
    scopes: tuple[str, ...] = ()
    because: str | None = None


class ForgeService:
    """Adds, checks and removes forges, and finds the one that keeps a repository."""

    def __init__(self, context: Context, key: SecretKey) -> None:
        self._ledger = context.ledgers.forges
        self._forges = context.adapters.forges
        self._key = key
        self._workers = context.workers
        context.feed.subscribe(self._on_change, (ForgesChanged, FeedBroke))

    def _on_change(self, _: Numbered) -> None:
        # the feed is held while it calls its listeners
        self._workers.submit(self._forges.refresh)

    def all(self) -> list[ForgeServer]:
        """Return all forges, by name."""
        return self._ledger.all()

    def is_of_others(self, origin: str) -> bool:
        """Return True for an origin at a forge that only another organisation may use.

        Its token is sent to every repository there.
        """
        if REACH.get() is None or not origin.startswith(SCHEMES):
            return False
        own = {one.id for one in self._ledger.all()}
        with within(None):
            others = [one for one in self._ledger.all() if one.id not in own]
        return any(repository_name(one.url, origin) is not None for one in others)

    def find(self, forge: str) -> ForgeServer:
        """Return a forge by its id or name. Raises NotFound."""
        for one in self._ledger.all():
            if forge in (one.id, one.name):
                return one
        raise NotFound(f"There is no forge {forge!r}.")

    def add(
        self,
        url: str,
        token: str,
        now: datetime,
        *,
        kind: str | None = None,
        name: str = "",
        app_id: str | None = None,
    ) -> ForgeServer:
        """Keep a forge after asking it whose token this is. Raises a Refusal; then nothing is kept.

        The kind is found if none is given. With `app_id`, `token` is a GitHub App's private key.
        """
        if problem := address_problem(url):
            raise Invalid.field("url", problem)
        address = clean_address(url)
        found = self._inspect(address, kind, _given(token, kind, app_id), app_id)
        forge = ForgeServer(
            id=self._ledger.stores.mint_control_id("forge", now),
            name=name.strip() or host_of(address),
            kind=found.kind,
            url=address,
            token="",
            app_id=app_id,
            created_at=now,
            **_told(found, now),
        )
        try:
            self._ledger.insert(forge, self._key.sealer(token.strip()))
        except NameInUse as problem:
            sentence = f"{address} or this name is in use by another forge."
            raise NameTaken(sentence) from problem
        self._forges.refresh()
        return forge

    def change(
        self,
        forge: str,
        now: datetime,
        *,
        name: str | None = None,
        token: str | None = None,
        app_id: str | None = None,
    ) -> ForgeServer:
        """Rename a forge, or give it another token after checking that. Raises a Refusal.

        With `app_id`, `token` is a GitHub App's private key.
        """
        known = self.find(forge)
        columns: dict[str, Any] = {}
        if token is not None:
            secret = _given(token, known.kind, app_id)
            found = self._inspect(known.url, known.kind, secret, app_id)
            if project := self._ledger.project_of_agents(known.id, found.acts_as):
                # their words would count as Runyard's
                said = f"{found.acts_as} is the account of the agents of {project}."
                raise Invalid.field("token", f"{said} Runyard needs another one.")
            columns = {"token": self._key.sealer(secret), "app_id": app_id, **_told(found, now)}
        if name is not None:
            if not name.strip():
                raise Invalid.field("name", "Give the forge a name.")
            columns["name"] = name.strip()
        try:
            changed = self._ledger.change(known.id, **columns) if columns else known
        except NameInUse as problem:
            raise NameTaken from problem
        if changed is None:
            raise NotFound
        self._forges.refresh()
        return changed

    def check(self, forge: str, now: datetime) -> ForgeServer:
        """Ask a forge again what its token may do; what it says is kept. Raises a Refusal."""
        known = self.find(forge)
        try:
            secret = self._key.unseal(known.token)
            found = self._forges.inspect(known.url, known.kind, secret, known.app_id)
        except ForgeSilent as silence:
            if not silence.needs_attention:
                raise ForgeUnavailable(f"{known.url}: {silence}.") from silence
            columns: dict[str, Any] = {"needs_attention": str(silence), "checked_at": now}
        else:
            columns = _told(found, now)
        checked = self._ledger.change(known.id, **columns)
        self._forges.refresh()
        return checked or known

    def troubles(self) -> dict[str, tuple[str, datetime]]:
        """Return why each forge that refused its token needs a person, and since when, by id."""
        return {
            one.id: (f"{one.name}: {one.needs_attention}", one.checked_at)
            for one in self._ledger.all()
            if one.needs_attention and one.needs_attention != _lack_words(one.missing, one.acts_as)
        }

    def note_refusals(self) -> int:
        """Keep with each forge that its token was refused meanwhile; return how many were."""
        refusals = self._forges.refusals()
        known = self._ledger.all() if refusals else []
        said = {one.id: f"{refusals[one.id].capitalize()}." for one in known if one.id in refusals}
        fresh = [
            one for one in known if said.get(one.id, one.needs_attention) != one.needs_attention
        ]
        for one in fresh:
            self._ledger.change(one.id, needs_attention=said[one.id])
        return len(fresh)

    def spending(self) -> dict[str, Spending]:
        """Return what was asked of each forge since this server's start, by its id."""
        return self._forges.spending()

    def remove(self, forge: str) -> ForgeServer:
        """Remove a forge that no project uses. Raises NotFound, ProjectBusy."""
        known = self.find(forge)
        using = self._ledger.remove(known.id)
        if using:
            projects = "1 project keeps its" if using == 1 else f"{using} projects keep their"
            raise ProjectBusy(f"{projects} issues at {known.name}.")
        return known

    def repositories(self, forge: str) -> list[HostedRepository]:
        """Return the repositories that a forge's token sees. Raises a Refusal."""
        known = self.find(forge)
        try:
            return self._forges.repositories(known.id)
        except ForgeSilent as silence:
            raise ForgeUnavailable(f"{known.url}: {silence}.") from silence

    def at(self, origin: str) -> ForgeAt:
        """Return the forge of a repository's address; one that is not known is asked its kind."""
        known = self._chosen(None, origin) if _is_address(origin) else None
        if known is not None:
            kind = ForgeKind(known.kind)
            return ForgeAt(known.url, kind, known.version, known, SCOPES[kind])
        asked = [one for one in forge_addresses(origin) if address_problem(one) is None]
        because = None
        for url in asked:
            try:
                kind, version = self._forges.kind_at(url)
            except ForgeSilent as silence:
                # a web server without a forge is an answer, too
                because = None if silence.needs_attention else f"{url}: {silence}."
                continue
            return ForgeAt(url, ForgeKind(kind), version, None, SCOPES[ForgeKind(kind)])
        return ForgeAt(because=because)

    def has(self, origin: str) -> bool:
        """Return True if an origin is at a forge that is known."""
        return self._chosen(None, origin) is not None

    def choose(self, tracker: str | None, origin: str, remote: str | None) -> TrackerChoice:
        """Return who keeps the issues of a new project. Raises a Refusal.

        `tracker` is the built-in one, or a forge's id, name or kind; without one, the forge that
        has the repository, if it is known. `remote` is where a folder's repository came from.
        """
        if tracker == BUILTIN:
            return TrackerChoice()
        if tracker is None and not _is_address(origin):
            # what is pushed into a folder is not seen by the forge that it came from
            return TrackerChoice()
        address = origin if _is_address(origin) else remote or origin
        forge = self._chosen(tracker, address)
        if forge is None:
            return TrackerChoice()
        name = repository_name(forge.url, address)
        if name is None and not _is_address(address):
            # a folder that came from nowhere is named after the repository
            name = full_name("/".join(address.rstrip("/").split("/")[-2:]))
        if name is None:
            raise Invalid.field("tracker", f"{address} is not at {forge.url}.")
        return TrackerChoice(forge.kind, forge.id, self._verified(forge, name))

    def repository_at(self, forge_id: str, origin: str) -> str:
        """Return the name of the repository at an origin of this forge. Raises a Refusal."""
        forge = self.find(forge_id)
        name = repository_name(forge.url, origin)
        if name is None:
            raise Invalid.field("origin", f"{origin} is not at {forge.url}.")
        return self._verified(forge, name, "origin")

    def _chosen(self, tracker: str | None, address: str) -> ForgeServer | None:
        forges = self._ledger.all()
        if tracker is None:
            return next((one for one in forges if repository_name(one.url, address)), None)
        named = [one for one in forges if tracker in (one.id, one.name)]
        of_kind = [one for one in forges if one.kind == tracker]
        found = named or of_kind
        if len(found) > 1:
            # of several of a kind, the one that has the repository
            found = [one for one in found if repository_name(one.url, address)]
        if len(found) != 1:
            known = ", ".join(one.name for one in forges) or "none"
            raise Invalid.field("tracker", f"Name a forge by its id or name. Known: {known}.")
        return found[0]

    def _verified(self, forge: ForgeServer, name: str, field: str = "tracker") -> str:
        """Return the repository's name as the forge writes it. Raises a Refusal."""
        try:
            found = self._forges.repository(forge.id, name)
        except ForgeSilent as silence:
            raise _refusal(field, forge.url, silence) from silence
        if found is None:
            said = f"{forge.name} shows {forge.acts_as} no repository {name}."
            raise Invalid.field(field, said)
        if found.full_name.lower() != name.lower():
            said = f"{name} is called {found.full_name} now: use its new address."
            raise Invalid.field("origin", said)
        if because := unusable(found, forge.acts_as):
            raise Invalid.field(field, f"{name} cannot be used: {because}.")
        return found.full_name

    def _inspect(
        self, address: str, kind: str | None, token: str, app_id: str | None
    ) -> ForgeStanding:
        field = "token" if app_id is None else "app"
        try:
            return self._forges.inspect(address, kind, token, app_id)
        except ForgeSilent as silence:
            raise _refusal(field, address, silence) from silence
        except ValueError as problem:
            said = str(problem)
            raise Invalid.field(field, f"{said[:1].upper()}{said[1:]}.") from problem


def unusable(repository: HostedRepository, acts_as: str) -> str | None:
    """Return why a repository cannot be a project whose issues its forge keeps, or None."""
    if repository.is_archived:
        return "it is archived"
    if repository.lacks:
        return f"it has {repository.lacks}"
    return None if repository.may_push else f"{acts_as} may not push to it"


def _refusal(field: str, address: str, silence: ForgeSilent) -> Exception:
    if silence.needs_attention:
        return Invalid.field(field, f"{address}: {silence}.")
    return ForgeUnavailable(f"{address}: {silence}.")


def _given(token: str, kind: str | None, app_id: str | None = None) -> str:
    """Return a token without blanks. Raises Invalid without one: it would be served as nobody."""
    if app_id is not None:
        return token.strip()  # the private key is read when it is used
    if not token.strip():
        scopes = SCOPES.get(ForgeKind(kind)) if kind else SCOPES[ForgeKind.FORGEJO]
        raise Invalid.field("token", f"Give a token with the scopes {', '.join(scopes or ())}.")
    if not (token.strip().isascii() and token.strip().isprintable()) or " " in token.strip():
        raise Invalid.field("token", "A token has no blanks and no other special characters.")
    return token.strip()


def _told(found: ForgeStanding, now: datetime) -> dict[str, Any]:
    lacks = _lack_words(found.missing, found.acts_as)
    return {
        "version": found.version,
        "acts_as": found.acts_as,
        "may": list(found.may),
        "missing": list(found.missing),
        "needs_attention": lacks,
        "checked_at": now,
    }


def _lack_words(missing: Sequence[str], acts_as: str) -> str | None:
    who = "App" if acts_as.endswith("[bot]") else "token"
    if NOT_INSTALLED in missing:
        return "The App is not installed anywhere."
    return f"The {who} lacks {', '.join(missing)}." if missing else None


def _is_address(origin: str) -> bool:
    return origin.startswith(SCHEMES) or not origin.startswith("/")
