"""Write the interface's files after an intended change: `python -m tests.interface`."""

from __future__ import annotations

from tests.interface.described import DESCRIBED, FILES

for name, describe in DESCRIBED.items():
    (FILES / name).write_text(describe(), encoding="utf-8")
