"""What the suites of the engine's port begin with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents_for_tests.runs import Ears, KeepingEngine, local_engine
from tests.sandboxes import WAYS


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(filter(None, way)))
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[KeepingEngine]:
    """An engine of its own, at each level by each means; what it started is ended."""
    means, level = request.param
    with local_engine(tmp_path / "runs", uuid.uuid4().hex, level, means) as engine:
        yield engine


@pytest.fixture
def ears(engine: KeepingEngine) -> Ears:
    """Who hears what the engine tells."""
    return Ears(engine, engine.kept)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Where the agent works."""
    folder = tmp_path / "copy"
    folder.mkdir()
    return folder
