"""The running server of a data folder: its address, and proof that it holds the folder's lock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from app.folder_locks import SERVER_LOCK, holder_of


@dataclass(frozen=True)
class KnownServer:
    """The contents of `server.json`; `is_serving`: its process holds the folder's lock."""

    url: str
    page_url: str
    pid: int
    is_serving: bool


def known_server(folder: Path) -> KnownServer | None:
    """Return the server that a data folder names, None if it names none or cannot be read."""
    try:
        told = json.loads((folder / "server.json").read_text())
        url, pid = str(told["url"]).rstrip("/"), int(told["pid"])
        page_url = str(told.get("page_url", url))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    # only this user's processes can hold it: the folder is closed to others
    return KnownServer(url, page_url, pid, pid > 0 and pid == holder_of(folder / SERVER_LOCK))
