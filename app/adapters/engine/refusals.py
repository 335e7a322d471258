"""Reads the untrusted record of hosts that a run's proxy refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

from app.adapters.engine.records import open_folder, open_plain_file
from app.adapters.supervisor.network import MAX_REFUSALS
from app.adapters.supervisor.record_files import REFUSED
from app.domain.safe_text import reveal
from app.domain.sandbox.network_rules import LONGEST_NAME
from app.services.ports import Refusal

_MAX_BYTES = 512 * 1024
_LONGEST_REASON = 120


def read_refusals(path: Path) -> list[Refusal]:
    """List the refused hosts, each once, in order; a last one without a name means more."""
    found: dict[str, Refusal] = {}
    for line in _lines(path):
        refusal = _read(line)
        if refusal is not None and refusal.host not in found:
            found[refusal.host] = refusal
        if len(found) > MAX_REFUSALS:
            break
    return list(found.values())


def _lines(path: Path) -> list[bytes]:
    folder = open_folder(path)
    if folder is None:
        return []
    try:
        file = open_plain_file(folder, REFUSED)
        if file is None:
            return []
        with os.fdopen(file, "rb") as record:
            # an unfinished last line is still being written
            return record.read(_MAX_BYTES).split(b"\n")[:-1]
    except OSError:
        return []
    finally:
        os.close(folder)


def _read(line: bytes) -> Refusal | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if fields.get("more") is True:
        return Refusal("")
    host, port, because = (fields.get(name) for name in ("host", "port", "because"))
    if not isinstance(host, str) or not host or not isinstance(because, str):
        return None
    # not isinstance: True is an int, too
    if type(port) is not int or not 0 < port < 65536:
        return None
    return Refusal(reveal(host[:LONGEST_NAME]), port, reveal(because[:_LONGEST_REASON]))
