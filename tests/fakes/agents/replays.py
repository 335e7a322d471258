"""Programs with the real agents' names that replay a recorded stream, line by line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

STREAMS = Path(__file__).parent / "streams"
PAUSE_SECONDS = 0.005
# an agent that is known to be signed out is never launched
_KEYS = ("ANTHROPIC_API_KEY", "CODEX_API_KEY", "GEMINI_API_KEY")
_PROGRAM = """#!{python} -IS
import os, signal, subprocess, sys, time
lines = open({recording!r}, "rb").read().splitlines(True)
for number, line in enumerate(lines):
    if number == {hold_before} and {gate!r}:
        open({gate!r}).read()
    half = len(line) // 2
    for part in (line[:half], line[half:]):
        os.write(1, part)
        time.sleep({pause})
if {delivers}:
    open("new.txt", "w").write("new\\n")
    subprocess.run(["git", "add", "new.txt"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "Mend it"], check=True)
if {lingers}:
    signal.pause()
sys.exit({code})
"""


def find_replays_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a folder's programs first in PATH, and sign their agents in."""
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for key in _KEYS:
        monkeypatch.setenv(key, "a key for tests")


def install_replay(
    folder: Path,
    agent: str,
    recording: Path,
    *,
    code: int = 0,
    delivers: bool = True,
    lingers: bool = False,
    hold_before: int | None = None,
) -> Path:
    """Make `folder/agent` replay a recording; return its gate, used with `hold_before`.

    With `lingers` it does not exit when it is done.
    """
    folder.mkdir(exist_ok=True)
    gate = folder / f"{agent}.gate"
    if hold_before is not None:
        gate.unlink(missing_ok=True)  # of a first try
        os.mkfifo(gate)
    program = folder / agent
    program.write_text(
        _PROGRAM.format(
            python=sys.executable,
            recording=str(recording),
            hold_before=-1 if hold_before is None else hold_before,
            gate="" if hold_before is None else str(gate),
            pause=PAUSE_SECONDS,
            delivers=delivers,
            lingers=lingers,
            code=code,
        )
    )
    program.chmod(0o755)
    return gate


def open_gate(gate: Path) -> None:
    """Let a held replay continue."""
    with gate.open("w"):
        pass
