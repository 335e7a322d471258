"""Deliveries of hooks as two real forges, of 2024 and 2026, sent them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

RECORDINGS = Path(__file__).parent / "deliveries"
SECRET = "webhook-secret"


@dataclass(frozen=True)
class Delivered:
    """A delivery: its headers in lower case, and its body as it was signed with SECRET."""

    name: str
    headers: dict[str, str]
    body: bytes


def deliveries() -> list[Delivered]:
    """Return every delivery that was recorded."""
    found: list[Delivered] = []
    for file in sorted(RECORDINGS.glob("*.json")):
        told = json.loads(file.read_text())
        headers = {name.lower(): value for name, value in told["headers"].items()}
        found.append(Delivered(file.stem, headers, told["raw"].encode()))
    return found
