"""Fixtures shared by the tests of process faults."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.agents.runs import Ears, KeepingEngine, local_engine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the runs' records."""
    return tmp_path / "runs"


@pytest.fixture
def instance() -> str:
    """The instance mark of this test's processes."""
    return uuid.uuid4().hex


@pytest.fixture
def engine(root: Path, instance: str) -> Iterator[KeepingEngine]:
    """An engine whose runs are ended afterwards."""
    with local_engine(root, instance) as engine:
        yield engine


@pytest.fixture
def ears(engine: KeepingEngine) -> Ears:
    """A recorder of the engine's events."""
    return Ears(engine, engine.kept)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """An unrelated process that must survive the test."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        assert process.poll() is None, "the stranger was ended"
        process.kill()
