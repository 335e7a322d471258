"""Writes the interface's files: `python -m tests.interface`, after a change that is meant."""

from __future__ import annotations

from tests.interface.described import DESCRIBED, FILES

for name, describe in DESCRIBED.items():
    (FILES / name).write_text(describe(), encoding="utf-8")
