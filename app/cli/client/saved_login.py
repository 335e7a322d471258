"""The saved sign-in to a server elsewhere: its address and a token, in the data folder.

The folder is hidden from agents, and the token is sent to this address only.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "login.json"


@dataclass(frozen=True)
class SavedLogin:
    """The address of a server and a token for it."""

    url: str
    token: str


def saved_login(folder: Path) -> SavedLogin | None:
    """Return the sign-in saved in a data folder, None if there is none or it makes no sense."""
    try:
        told = json.loads((folder / FILE).read_text())
        url, token = told["url"], told["token"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return SavedLogin(url, token) if isinstance(url, str) and isinstance(token, str) else None


def save_login(folder: Path, login: SavedLogin) -> None:
    """Save a sign-in in place of the one before, for this user only. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{FILE}.new"
    draft.unlink(missing_ok=True)
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(opened, "w") as file:
        json.dump(asdict(login), file)
    draft.replace(folder / FILE)


def forget_login(folder: Path) -> None:
    """Delete the saved sign-in."""
    (folder / FILE).unlink(missing_ok=True)
