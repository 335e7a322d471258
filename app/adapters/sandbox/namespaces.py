"""Kernel namespaces through util-linux's `unshare`: the level `contained`."""

# stands alone: one of three means, each a module with `arguments`, picked by the machine

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from app.adapters.sandbox.layout import Step
from app.adapters.sandbox.programs import command_of

EXECUTABLE = "unshare"
_ALWAYS = ("--pid", "--ipc", "--mount", "--fork", "--kill-child=SIGKILL")
_AS_ROOT_INSIDE = ("--user", "--map-root-user")


def arguments(path: str, steps: Iterable[Step], *, with_users: bool) -> list[str]:
    """Return the command line up to the command itself.

    `with_users` adds a user namespace, which all but root need to create the others.
    """
    plan = {
        "steps": [(step.does, str(step.place), step.source) for step in steps],
        "uid": os.getuid() if with_users else None,
        "gid": os.getgid() if with_users else None,
    }
    users = _AS_ROOT_INSIDE if with_users else ()
    return [path, *users, *_ALWAYS, "--", *command_of("enter"), json.dumps(plan)]
