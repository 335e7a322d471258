"""Shared helpers for tests with runs in a second database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.domain.words import Depth
from app.records.runs.run_pages import RunFilter
from app.records.tables import Project, Run
from app.services.runs.requests import Requester, RunRequest
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

Planes = Callable[..., FakePlane]


def order(project: Project, **wishes: Any) -> RunRequest:
    return RunRequest(project.id, Depth.QUICK, "auto", **wishes)


def requester(plane: FakePlane, key: str) -> Requester:
    return Requester(**{**plane.requester().__dict__, "key": key})


def start(plane: FakePlane, project: Project, **wishes: Any) -> Run:
    """Accept and launch a run."""
    accepted = plane.services.accept.accept(
        order(project, **wishes), plane.requester(), plane.clock()
    ).run
    plane.rest()
    return found(plane, accepted.id)


def found(plane: FakePlane, run_id: str) -> Run:
    run = plane.ledgers.runs.find(run_id)
    assert run is not None
    return run


def strikes(plane: FakePlane, project: Project) -> int:
    row = plane.ledgers.projects.find(project.id)
    assert row is not None
    return row.strikes


def die(plane: FakePlane, world: World, run: Run) -> None:
    """End a run's agent with a failure and reap the run."""
    world.end(run.id, 1)
    plane.reaper.reap_once(run.id)
    plane.rest()


def listed(plane: FakePlane) -> list[str]:
    return [run.id for run in plane.services.listing.page(RunFilter(), limit=50).items]
