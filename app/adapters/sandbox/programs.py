"""The commands that set up and run process 1 of a sandbox: Python with a few modules of Runyard."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import app
from app.adapters import supervisor

_ISOLATED = ("-I", "-S", "-X", "utf8")
_ENTRY = Path(supervisor.__file__).resolve().with_name("inside.py")
_APP = Path(app.__file__).resolve().parent


def interpreter() -> str:
    """Return the interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def command_of(program: str) -> list[str]:
    """Return the command that runs the supervisor's `enter`, `init` or `landlock`."""
    return [interpreter(), *_ISOLATED, str(_ENTRY), program]


def needed() -> list[Path]:
    """Return the folders that must be readable inside for these commands."""
    return [Path(os.path.realpath(sys.base_prefix)), _APP]
