"""What every story of a fault among processes begins with."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents_for_tests.runs import Ears, KeepingEngine, local_engine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the runs' records are."""
    return tmp_path / "runs"


@pytest.fixture
def instance() -> str:
    """The mark of this test's processes."""
    return uuid.uuid4().hex


@pytest.fixture
def engine(root: Path, instance: str) -> Iterator[KeepingEngine]:
    """An engine of its own; what it started is ended."""
    with local_engine(root, instance) as engine:
        yield engine


@pytest.fixture
def ears(engine: KeepingEngine) -> Ears:
    """Who hears what the engine tells."""
    return Ears(engine, engine.kept)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's business, and must live on."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        assert process.poll() is None, "the stranger was ended"
        process.kill()
