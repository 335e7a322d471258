"""Fixtures shared by the engine contract suites."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import WAYS
from tests.fakes.agents.runs import Ears, KeepingEngine, local_engine

# the soak alone tries an engine's whole contract at the two other ways, whose own tests are in
# test_sandboxes.py and tests/attacks/agents
CHOSEN = {(None, SandboxLevel.NONE), (Means.BUBBLEWRAP, SandboxLevel.SANDBOXED)}


@pytest.fixture(
    params=[pytest.param(way, marks=[pytest.mark.soak] * (way not in CHOSEN)) for way in WAYS],
    ids=lambda way: "-".join(filter(None, way)),
)
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[KeepingEngine]:
    """An engine for each level and means; its runs are ended afterwards."""
    means, level = request.param
    with local_engine(tmp_path / "runs", uuid.uuid4().hex, level, means) as engine:
        yield engine


@pytest.fixture
def ears(engine: KeepingEngine) -> Ears:
    """A recorder of the engine's events."""
    return Ears(engine, engine.kept)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """The agent's working folder."""
    folder = tmp_path / "copy"
    folder.mkdir()
    return folder
