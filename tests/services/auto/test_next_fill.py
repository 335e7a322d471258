"""The fill that a sweep schedules: at the next moment at which something is due, without a tick."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from app.domain.words import Depth
from app.records.database.database import Database, DatabaseSilent
from app.records.tables import Project, Run
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.drivers.schedules import next_fill, pass_time
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    plane = FakePlane(tmp_path, world, max_live_runs=1, batch_quota=60)
    yield plane
    plane.rest()
    plane.stop()


def accept(plane: FakePlane, project: Project, **wishes: Any) -> Run:
    order = RunRequest(project.id, Depth.QUICK, "auto", task=f"at {wishes}", **wishes)
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    return current(plane, run)


def current(plane: FakePlane, run: Run) -> Run:
    found = plane.ledgers.runs.find(run.id)
    assert found is not None
    return found


def test_a_planned_run_that_finds_all_slots_taken_expires_at_its_time(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    assert accept(plane, project).status == "running"
    run = accept(plane, project, delay_seconds=5, ttl_seconds=20)
    pass_time(plane, 5)
    assert current(plane, run).status == "queued"
    assert next_fill(plane) == run.expires_at
    pass_time(plane, 20)
    assert current(plane, run).status == "expired"


def test_a_batch_item_that_falls_due_and_has_to_wait_expires_at_its_time(
    plane: FakePlane, world: World
) -> None:
    project = plane.add_project(world)
    a_batch(plane, project, 1, delay_seconds=5, ttl_seconds=20)
    plane.ledgers.projects.change(project.id, unreachable=True, origin_because="away")
    [run] = plane.ledgers.runs.open_runs()
    pass_time(plane, 6)
    assert current(plane, run).status == "queued"
    assert next_fill(plane) == run.expires_at
    pass_time(plane, 20)
    assert current(plane, run).status == "expired"


def test_a_database_that_is_silent_for_a_moment_delays_no_planned_run(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    run = accept(plane, project, delay_seconds=60)
    with monkeypatch.context() as patched:
        patched.setattr(type(plane.database), "reading", _silent)
        with pytest.raises(DatabaseSilent):
            plane.services.sweep.fill_once(plane.clock())
    # this one comes later, and may not replace the fill of the first
    accept(plane, project, delay_seconds=3600)
    assert next_fill(plane) == run.due_at
    pass_time(plane, 60)
    assert current(plane, run).status == "running"


@contextmanager
def _silent(_: Database) -> Generator[Session]:
    raise DatabaseSilent("away")
    yield
