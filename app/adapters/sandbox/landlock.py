"""Landlock with a control group: the level `contained` where neither namespaces can be had.

Less than those: names of files can be listed, sockets of services reached, files made beside a
folder that leads to a hidden one by nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from app.adapters.sandbox.layout import Does, Step
from app.adapters.sandbox.programs import command_of
from app.adapters.supervisor.landlock import NEEDED_ABI, abi

_HIDES = (Does.EMPTY_FOLDER, Does.EMPTY_FILE)


def arguments(steps: Iterable[Step]) -> list[str]:
    """The command line up to the command itself."""
    steps = list(steps)
    plan = {
        "hidden": [str(step.place) for step in steps if step.does in _HIDES],
        "readable": [str(step.place) for step in steps if step.does is Does.BIND_READ_ONLY],
        "writable": [str(step.place) for step in steps if step.does is Does.BIND],
    }
    return [*command_of("landlock"), json.dumps(plan)]


def shortcoming() -> str:
    """Why this kernel's landlock cannot be used; empty where it can."""
    found = abi()
    if found == 0:
        return "this kernel has no landlock, or has it switched off"
    if found < NEEDED_ABI:
        return f"this kernel's landlock has ABI {found}; {NEEDED_ABI} is needed (Linux 6.12)"
    return ""
