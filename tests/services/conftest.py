"""Planes for the tests of the services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planes import RealPlane, real_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the usual settings."""
    with real_plane(tmp_path) as plane:
        yield plane
