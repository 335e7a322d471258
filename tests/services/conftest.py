"""Planes for the services tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.builders.databases import run_store
from tests.builders.two_stores import Planes
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.planes import FakePlane, TwinPlane, twin_plane
from tests.fakes.world import World


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[TwinPlane]:
    """An in-memory control plane with default settings, for what is decided."""
    with twin_plane(tmp_path) as plane:
        yield plane


@pytest.fixture
def world() -> World:
    """The fake outside world, which outlives a server."""
    return World()


@pytest.fixture
def planes(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planes]:
    """Start servers on one data folder; with `split=True` new runs live in a second database."""
    monkeypatch.delenv("RUNYARD_TEST_SPLIT", raising=False)
    with ExitStack() as ends:

        def begin(*, split: bool = True, **wishes: Any) -> FakePlane:
            if split:
                wishes.setdefault("runs_database_url", run_store(tmp_path))
            plane = FakePlane(tmp_path, world, **wishes)
            ends.callback(plane.stop)
            plane.migrate()
            return plane

        yield begin
