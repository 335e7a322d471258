"""The server of a data folder: its address, and the kernel's word that it is the one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from app.folder_locks import SERVER_LOCK, holder_of


@dataclass(frozen=True)
class Known:
    """The contents of `server.json`; `is_serving` where its process holds the folder's lock."""

    url: str
    page_url: str
    pid: int
    is_serving: bool


def known_server(folder: Path) -> Known | None:
    """The server that a data folder names, None where it names none that can be read."""
    try:
        told = json.loads((folder / "server.json").read_text())
        url, pid = str(told["url"]).rstrip("/"), int(told["pid"])
        page_url = str(told.get("page_url", url))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    # only a process of ours can hold it: the folder is closed to everybody else
    return Known(url, page_url, pid, pid > 0 and pid == holder_of(folder / SERVER_LOCK))
