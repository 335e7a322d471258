"""The way into a page about a project: a visit, and what the page is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.pages.frame import refused
from app.pages.visit import Visit
from app.state.door import Door
from app.state.wire import ApiClient, ApiProblem, ProjectOut

Found = TypeVar("Found")


async def enter(
    door: Door, find: Callable[[ApiClient], Awaitable[Found]]
) -> tuple[Visit, Found] | None:
    """Begin a visit and find what it is for; None where a page now says why it cannot be shown."""
    visit = await Visit.open(door)
    try:
        return visit, await find(visit.api)
    except ApiProblem as problem:
        refused(visit, problem, active="projects")
        return None


async def enter_project(door: Door, project_id: str) -> tuple[Visit, ProjectOut] | None:
    """The same where the project is all that is to be found."""
    return await enter(door, lambda api: api.project(project_id))
