"""Fixtures and steps for tests of a project's pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui.testing.user import User

from app.api.schemas import ProjectOut
from tests.builders.run_scenes import add_project
from tests.pages.conftest import House


@pytest.fixture
async def project(house: House, user: User, tmp_path: Path) -> ProjectOut:
    """A ready project with an agent command."""
    return await add_project(house, user, tmp_path, "make", "shop")


async def open_settings(person: User, project: ProjectOut) -> None:
    """Open a project's settings."""
    await person.open(f"/projects/{project.id}?tab=settings")
