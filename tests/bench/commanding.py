"""The time to the command line's first output, alone and with a server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

from tests.bench.noop import ROOT
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

TRIES = 9
PROGRAM = ["-m", "app.cli.main"]


def measure_first_words(yard: Yard) -> Found:
    """Measure seconds to the first byte of `runs list`; `--help` relative to Python's own start."""
    env = dict(os.environ, RUNYARD_DATA_DIR=str(yard.server.data_dir))
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    asked = _median_seconds([*PROGRAM, "runs", "list"], env)
    helped = _median_seconds([*PROGRAM, "--help"], env)
    bare = _median_seconds(["-c", "print()"], env)
    return {
        "first_answer": Measured(asked, f"`python -c 'print()'`: {1000 * bare:.0f} ms"),
        "first_word": Measured(helped / bare, f"{1000 * helped:.0f} ms"),
    }


def _median_seconds(words: list[str], env: dict[str, str]) -> float:
    return median(_seconds(words, env) for _ in range(TRIES))


def _seconds(words: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        taken = time.perf_counter() - began
        process.stdout.read()
    assert process.returncode == 0
    return taken
