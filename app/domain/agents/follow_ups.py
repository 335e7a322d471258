"""The words that tell an agent which required checks did not pass, and what they wrote."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.text.ansi import strip

LAST_LINES = 200
# all outputs together, so that the prompt still fits into an argument
_MOST_BYTES = 48_000


@dataclass(frozen=True)
class RedCheck:
    """A required check that did not pass: its command, its end in words, and its output.

    The output is None if it cannot be read any more.
    """

    name: str
    command: Sequence[str]
    because: str
    output: str | None


def follow_up(checks: Sequence[RedCheck]) -> str:
    """Return the prompt for an agent whose work did not pass these checks."""
    return (
        "Your commits were checked before their delivery, and not all checks passed. Correct the "
        "cause, and commit the correction to the same branch. The checks run again afterwards."
        f"\n\n{checks_text(checks)}\n"
    )


def checks_text(checks: Sequence[RedCheck]) -> str:
    """Return each check with its command and the last lines of its output; empty without any."""
    most = _MOST_BYTES // max(1, len(checks))
    return "\n\n".join(_check_text(one, most) for one in checks)


def _check_text(one: RedCheck, most: int) -> str:
    lines = None if one.output is None else last_lines(one.output, most)
    if lines is None:
        said = "Its output is not available."
    else:
        said = f"The last lines of its output:\n\n{lines}" if lines else "It wrote nothing."
    return f"Check “{one.name}” failed: {one.because}\nCommand: {shlex.join(one.command)}\n{said}"


def last_lines(output: str, most: int) -> str:
    """Return at most the last 200 lines of an output, and at most `most` bytes of them."""
    lines = strip(output).splitlines()[-LAST_LINES:]
    kept: list[str] = []
    size = 0
    for line in reversed(lines):
        cut = line.encode(errors="replace")[-most:].decode(errors="ignore")
        size += len(cut.encode()) + 1
        if size > most and kept:
            break
        kept.append(cut)
    return "\n".join(reversed(kept))
