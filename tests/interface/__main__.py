"""Write the interface's files after an intended change: `python -m tests.interface`."""

from __future__ import annotations

from tests.interface.described import DESCRIBED, FILES

# all of them before the first is written: where one cannot be described, none changes
described = {name: describe() for name, describe in DESCRIBED.items()}
for name, text in described.items():
    (FILES / name).write_text(text, encoding="utf-8")
