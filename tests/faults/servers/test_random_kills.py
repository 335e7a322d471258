"""A server that is killed at random moments loses nothing and counts nothing twice (F40)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.databases import SQLITE, run_store
from tests.drivers.servers.killed_lives import check_lives
from tests.drivers.servers.processes import ROOT

SEED = 20_261_121


@pytest.mark.parametrize("stores", [1, pytest.param(2, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    "lives", [3, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_f40_a_server_killed_at_random_moments_keeps_what_it_has_said(
    stores: int, lives: int, tmp_path: Path
) -> None:
    runs = run_store(tmp_path, SQLITE) if stores == 2 else ""
    words = [sys.executable, "-m", "tests.drivers.servers.killed_lives"]
    words += [str(tmp_path), str(SEED), str(lives), runs]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=1700, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = check_lives(tmp_path, runs or None)
    assert counts.total() >= lives // 2, counts
