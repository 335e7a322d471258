"""Calls of a server over sockets, made by the bench's client in a process of its own."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

from tests.bench.client.phase import Phase, Plan, processor_seconds
from tests.bench.noop import ROOT

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
CLIENT = "tests.bench.client.load"
# a server is quiet once it used less than this share of a core over one look
LOOK_SECONDS, QUIET_SHARE, QUIET_WITHIN = 0.25, 0.02, 10


def send(plan: Plan, python: Path = PYTHON) -> Phase:
    """Carry out a plan, with the client's Python; failed requests are among the answers."""
    done = subprocess.run(
        [python, "-m", CLIENT],
        cwd=ROOT,
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the client failed: {done.stderr[-1000:]}")
    return Phase(**json.loads(done.stdout))


def expect(phase: Phase, *statuses: int) -> Phase:
    """Return the same phase. Raises RuntimeError if an answer had any other status."""
    if phase.answers.keys() - {str(status) for status in statuses}:
        raise RuntimeError(f"answered {phase.answers}: {phase.first_error}")
    return phase


def await_quiet(pid: int) -> float:
    """Wait until a server does nothing, for ten seconds at most; return its processor time."""
    used, give_up_at = processor_seconds(pid), time.monotonic() + QUIET_WITHIN
    while time.monotonic() < give_up_at:
        time.sleep(LOOK_SECONDS)
        before, used = used, processor_seconds(pid)
        if used - before < LOOK_SECONDS * QUIET_SHARE:
            break
    return used
