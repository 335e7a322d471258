"""The forge of a new project's address: who keeps its issues, and the token that is missing."""

from __future__ import annotations

from app.api.schemas import ForgeAtOut, ForgeOut
from app.domain.tracker.forges import forge_addresses, full_name, kind_name

_RIGHTS = {"push": "push", "pull_requests": "open pull requests", "issues": "change issues"}


def is_at_a_forge(origin: str) -> bool:
    """Return True for a whole address of a repository that a forge may have."""
    after = origin.partition("://")[2] or origin.partition(":")[2]
    path = after.partition("/")[2] if "://" in origin else after
    name = full_name("/".join(path.strip("/").split("/")[-2:]))
    return name is not None and bool(forge_addresses(origin))


def standing_words(forge: ForgeOut) -> str:
    """Return `acts as bot, may push, may open pull requests`."""
    may = [f"may {_RIGHTS[one]}" for one in forge.may] or ["may do nothing yet"]
    who = forge.acts_as.login or "an account that it does not name"
    return ", ".join([f"acts as {who}", *may])


class ForgeChoice:
    """The forge that was found at an address, and whether a token for it is missing."""

    def __init__(self) -> None:
        self.origin = ""
        self.found: ForgeAtOut | None = None

    def take(self, origin: str, found: ForgeAtOut | None) -> None:
        """Take what is at an address."""
        self.origin, self.found = origin, found

    @property
    def is_known(self) -> bool:
        """True if a forge is at the address."""
        return self.found is not None and self.found.url is not None

    @property
    def forge(self) -> ForgeOut | None:
        """The forge that Runyard has a token for."""
        return self.found.forge if self.found else None

    @property
    def wants_token(self) -> bool:
        """True if a token is missing, or lacks something."""
        return self.is_known and (self.forge is None or bool(self.forge.needs_attention))

    @property
    def scopes(self) -> str:
        """The scopes that a token needs, in words."""
        *first, last = self.found.scopes if self.found and self.found.scopes else [""]
        return f"{', '.join(first)} and {last}" if first else last

    @property
    def words(self) -> str:
        """A sentence about the forge at the address; empty if nothing is known."""
        found = self.found
        if found is None or found.url is None:
            return (found.because or "") if found else ""
        kind = kind_name(found.kind)
        if found.forge is None:
            return f"{found.url} is a {kind} that Runyard has no token for yet."
        said = f"{found.forge.name} ({kind}): {standing_words(found.forge)}."
        return f"{said} {found.forge.needs_attention or ''}".strip()
