"""What installed agents say of themselves: their version, and the flags that their help knows."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from app.adapters.agents.catalogue import Preset

ASK_SECONDS = 10
CANNOT_START = 127
_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,12}){1,4}", re.ASCII)
_MAX_CHARS = 200_000


@dataclass(frozen=True)
class Words:
    """What a program wrote, and its exit code."""

    code: int
    out: str
    err: str


def ask(argv: list[str], environment: Mapping[str, str]) -> Words | None:
    """What a program answers; None where it takes too long."""
    try:
        asked = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            # no settings of whatever folder the server was started in
            cwd="/",
            start_new_session=True,
        )
    except OSError as problem:
        return Words(CANNOT_START, "", str(problem))
    with asked:
        try:
            out, err = asked.communicate(timeout=ASK_SECONDS)
        except subprocess.TimeoutExpired:
            # its children hold its pipes: all of them go
            with contextlib.suppress(ProcessLookupError):
                os.killpg(asked.pid, signal.SIGKILL)
            return None
    return Words(asked.returncode, _text(out), _text(err))


def read_version(path: str, environment: Mapping[str, str]) -> str | None:
    """The version's number, empty where it does not tell it, None where it takes too long."""
    words = ask([path, "--version"], environment)
    if words is None:
        return None
    if words.code != 0:
        return ""
    # what it has to complain of comes on stderr, with numbers of its own
    found = _VERSION.search(words.out) or _VERSION.search(words.err)
    return found[0] if found else ""


def is_older(version: str | None, floor: str) -> bool:
    """True where a version is known, and older than a floor that is known."""
    return bool(version and floor) and _numbers(version or "") < _numbers(floor)


def unknown_flags(
    path: str, preset: Preset, environment: Mapping[str, str]
) -> tuple[str, ...] | None:
    """The preset's flags that the program's help does not name; None where it has none to read."""
    words = ask([path, *preset.help_arguments], environment)
    if words is None or words.code != 0:
        return None
    text = words.out + words.err
    if not _names(text, "--help"):
        return None
    return tuple(flag for flag in flags_of(preset) if not _names(text, flag))


def flags_of(preset: Preset) -> list[str]:
    """The flags of its command line that its help should name."""
    used = [*preset.arguments, preset.model_flag]
    # a dash alone is the prompt that comes on stdin
    spared = ("-", *preset.unlisted)
    return [word for word in used if word.startswith("-") and word not in spared]


def _names(text: str, flag: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text) is not None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _text(raw: bytes) -> str:
    return raw[:_MAX_CHARS].decode(errors="replace")
