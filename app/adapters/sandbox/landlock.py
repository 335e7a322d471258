"""Landlock with a control group: the level `contained` where namespaces are not available.

Weaker than those: agents can list the names of files and reach the sockets of services, and cannot
create anything in a folder above a hidden one.
"""

# stands alone: one of three means, each a module with `arguments`, picked by the machine

from __future__ import annotations

import json
from collections.abc import Iterable

from app.adapters.sandbox.layout import Does, Step
from app.adapters.sandbox.programs import command_of
from app.adapters.supervisor.landlock import NEEDED_ABI, abi

_HIDES = (Does.EMPTY_FOLDER, Does.EMPTY_FILE)


def arguments(steps: Iterable[Step]) -> list[str]:
    """Return the command line up to the command itself."""
    steps = list(steps)
    plan = {
        "hidden": [str(step.place) for step in steps if step.does in _HIDES],
        "readable": [str(step.place) for step in steps if step.does is Does.BIND_READ_ONLY],
        "writable": [str(step.place) for step in steps if step.does is Does.BIND],
    }
    return [*command_of("landlock"), json.dumps(plan)]


def shortcoming() -> str:
    """Return why this kernel's landlock cannot be used, empty if it can."""
    found = abi()
    if found == 0:
        return "this kernel has no landlock, or has it switched off"
    if found < NEEDED_ABI:
        return f"this kernel's landlock has ABI {found}; {NEEDED_ABI} is needed (Linux 6.12)"
    return ""
