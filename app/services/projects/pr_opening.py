"""Projects whose agents open their pull requests: the sign-in is checked before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.projects.setting import OpenPr
from app.domain.sandbox.levels import NetworkRule, SandboxLevel, read_level
from app.domain.words import BUILTIN
from app.errors import ForgeUnavailable, Invalid
from app.records.projects.forge_ledger import ForgeLedger
from app.records.tables import ForgeServer, Project
from app.services.context import Adapters
from app.services.ports import ForgePlace, ForgeSilent, ForgeStanding, SignInUnusable
from app.services.tracker.forges import unusable

AT_A_FORGE = "Agents can open pull requests only in projects whose issues are at a forge."
NO_SIGN_IN = (
    "Set pr_sign_in to the folder where gh or tea is signed in with the agents' own account: "
    "without it agents cannot open pull requests."
)
NO_NETWORK = "Without a network agents cannot push or open pull requests."
# settings whose change can make a sign-in unusable
_ABOUT_ACCOUNT = frozenset({"open_pr", "pr_sign_in", "origin"})
_ABOUT = _ABOUT_ACCOUNT | {"sandbox", "network"}


class PrOpening:
    """Decides if a project's agents may open their pull requests, by asking the forge."""

    def __init__(self, forges: ForgeLedger, adapters: Adapters) -> None:
        self._ledger = forges
        self._forges = adapters.forges
        self._sign_ins = adapters.sign_ins

    def settle(
        self, project: Project | None, settings: Mapping[str, Any], level: SandboxLevel
    ) -> dict[str, Any]:
        """Return the columns that a change of these settings brings. Raises a Refusal.

        `level` is the sandbox of new projects.
        """
        told: dict[str, Any] = {} if project is None else project.model_dump()
        now = told | {name: one for name, one in settings.items() if name in _ABOUT or not project}
        if now.get("open_pr") != OpenPr.AGENT or not _ABOUT & settings.keys():
            return {}
        forge = self._forge_of(now)
        if not now.get("pr_sign_in"):
            raise Invalid.field("open_pr", NO_SIGN_IN)
        at = ForgePlace(forge.kind, forge.url, str(now["repository"]), str(now.get("origin")))
        # the sandbox can be tightened while the forge is away
        columns = self._checked(forge, at, now) if _ABOUT_ACCOUNT & settings.keys() else {}
        if read_level(now.get("sandbox") or level) is not SandboxLevel.SANDBOXED:
            self._must_be_found(str(now["pr_sign_in"]), at)
        elif now.get("network") == NetworkRule.NONE:
            raise Invalid.field("network", NO_NETWORK)
        return columns

    def _checked(
        self, forge: ForgeServer, at: ForgePlace, now: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = self._examined(forge, at, str(now["pr_sign_in"]))
        if problem := _lack_of(forge, found):
            raise Invalid.field("pr_sign_in", problem)
        return {"pr_login": found.acts_as}

    def _forge_of(self, now: Mapping[str, Any]) -> ForgeServer:
        forge_id = now.get("forge_id")
        if not forge_id or now.get("tracker") == BUILTIN:
            raise Invalid.field("open_pr", AT_A_FORGE)
        found = self._ledger.one(str(forge_id))
        if found is None:
            raise Invalid.field("open_pr", AT_A_FORGE)
        return found

    def _examined(self, forge: ForgeServer, at: ForgePlace, folder: str) -> ForgeStanding:
        """Return what the sign-in in a folder may do at the forge. Raises a Refusal."""
        try:
            token = self._sign_ins.token(folder, at)
            found = self._forges.inspect(forge.url, forge.kind, token)
            there = self._forges.repository(forge.id, at.repository, token)
        except SignInUnusable as problem:
            raise Invalid.field("pr_sign_in", str(problem)) from problem
        except ForgeSilent as silence:
            if silence.needs_attention:
                raise Invalid.field("pr_sign_in", f"{forge.url}: {silence}.") from silence
            raise ForgeUnavailable(f"{forge.url}: {silence}.") from silence
        if there is None:
            raise Invalid.field("pr_sign_in", f"{found.acts_as} cannot see {at.repository}.")
        if because := unusable(there, found.acts_as):
            raise Invalid.field("pr_sign_in", f"{at.repository} cannot be used: {because}.")
        return found

    def _must_be_found(self, folder: str, at: ForgePlace) -> None:
        """Raise Invalid if an agent in the user's own home would not find its sign-in there.

        gh is told by a variable where to look; tea knows none.
        """
        if not self._sign_ins.is_told(at) and not self._sign_ins.is_default(folder, at):
            raise Invalid.field(
                "pr_sign_in",
                "Unless agents are sandboxed, tea looks only in ~/.config/tea: choose that folder, "
                "or the sandbox level sandboxed.",
            )


def _lack_of(forge: ForgeServer, found: ForgeStanding) -> str | None:
    if found.acts_as.lower() == forge.acts_as.lower():
        return f"{found.acts_as} is Runyard's own account there: agents need a separate one."
    if not {"push", "pull_requests"} <= set(found.may):
        lacks = ", ".join(found.missing) or "the right to push and to open pull requests"
        return f"The token of {found.acts_as} lacks {lacks}."
    return None
