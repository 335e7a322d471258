"""People of a forge twin, their tokens, and its clock."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zlib import crc32


def stamp(*, for_headers: bool = False) -> str:
    """Return the time now, in whole seconds."""
    now = datetime.now(UTC)
    return email.utils.format_datetime(now, usegmt=True) if for_headers else f"{now:%FT%TZ}"


@dataclass(frozen=True)
class Token:
    """Whose token it is, and what it may."""

    login: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """A person or a bot."""

    login: str

    def row(self) -> dict[str, Any]:
        """Return the person as the API shows one."""
        number = crc32(self.login.encode())
        return {"id": number, "login": self.login, "full_name": "", "is_admin": False}
