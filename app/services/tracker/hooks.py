"""Hooks of forges: signed hints to look now, not at the next sweep; never needed."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from app.domain.tracker.hooks import Hint, hint_of, is_signed
from app.errors import ForgeUnavailable, NotFound
from app.records.feed import SweepWanted
from app.records.tables import ForgeServer
from app.services.context import Context
from app.services.ports import ForgeSilent
from app.services.system.secret_key import SecretKey
from app.services.tracker.forge_issues import ForgeIssues
from app.services.tracker.forges import ForgeService
from app.services.tracker.pull_requests import PullRequestWatch

log = structlog.get_logger()
# deliveries that are known again; a forge repeats one within minutes, if at all
MOST_DELIVERIES = 1000


@dataclass(frozen=True)
class HookAddress:
    """Where a forge sends its hooks, and the secret that signs them; what became of an install."""

    url: str
    secret: str
    installed: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict[str, str])


class ForgeHooks:
    """Keeps the secrets of hooks, checks deliveries, and has what they hint at looked at."""

    def __init__(
        self,
        context: Context,
        forges: ForgeService,
        key: SecretKey,
        watch: PullRequestWatch,
        issues: ForgeIssues,
    ) -> None:
        self._ledger = context.ledgers.forges
        self._projects = context.ledgers.projects
        self._forges = forges
        self._port = context.adapters.forges
        self._key = key
        self._publish = context.feed.publish
        self._watch = watch
        self._issues = issues
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def address(self, forge: str, base: str, install: Sequence[str] = ()) -> HookAddress:
        """Return where a forge shall send its hooks, and install them in these repositories.

        `base` is the address of the API. The secret is made at first use. Raises NotFound,
        ForgeUnavailable.
        """
        known = self._forges.find(forge)
        url = f"{base}/hooks/{known.id}"
        secret = self._secret_of(known)
        installed: list[str] = []
        refused: dict[str, str] = {}
        for name in dict.fromkeys(install):
            try:
                because = self._port.install_hook(known.id, name, url, secret)
            except ForgeSilent as silence:
                if not silence.needs_attention:
                    raise ForgeUnavailable(f"{known.url}: {silence}.") from silence
                because = str(silence)
            if because:
                refused[name] = because
            else:
                installed.append(name)
        return HookAddress(url, secret, tuple(installed), refused)

    def take(self, forge_id: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Look at what a delivery hints at; return False if it is not signed by the forge.

        A delivery that is known, or names no project, does nothing.
        """
        forge = self._ledger.one(forge_id)
        if forge is None or forge.hook_secret is None:
            return False
        if not is_signed(headers, body, self._key.unseal(forge.hook_secret)):
            log.info("hook_not_signed", forge_id=forge_id)
            return False
        hint = hint_of(headers, body)
        if hint is not None and self._is_new(forge_id, hint.delivery):
            self._look(forge_id, hint)
        return True

    def _look(self, forge_id: str, hint: Hint) -> None:
        name = hint.repository.casefold()
        for project in self._projects.all():
            if project.forge_id == forge_id and (project.repository or "").casefold() == name:
                self._watch.request(project.id)
                if hint.is_of_issues:
                    self._issues.hint([project.id])
                    self._publish([SweepWanted(whole=False)])

    def _is_new(self, forge_id: str, delivery: str) -> bool:
        if not delivery:
            return True
        with self._guard:
            if (forge_id, delivery) in self._known:
                return False
            self._known[forge_id, delivery] = None
            while len(self._known) > MOST_DELIVERIES:
                self._known.popitem(last=False)
            return True

    def _secret_of(self, forge: ForgeServer) -> str:
        if forge.hook_secret is None:
            fresh = self._key.sealer(secrets.token_hex(32))
            sealed = self._ledger.keep_hook_secret(forge.id, fresh)
            if sealed is None:
                raise NotFound
            return self._key.unseal(sealed)
        return self._key.unseal(forge.hook_secret)
