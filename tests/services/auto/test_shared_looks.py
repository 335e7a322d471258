"""Looks at the queue for accepted runs: after the answer, and one for many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from app.domain.words import Depth
from app.records.tables import Project
from app.services.auto import sweep
from app.services.runs.requests import RunRequest
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

# long enough for a few accepts on a busy machine
LATER_SECONDS = 0.5


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    plane = FakePlane(tmp_path, world, max_live_runs=1)
    yield plane
    plane.rest()
    plane.stop()


def accept(plane: FakePlane, project: Project, task: str) -> str:
    order = RunRequest(project.id, Depth.QUICK, "auto", task=task)
    return plane.services.accept.accept(order, plane.requester(), plane.clock()).run.id


def test_runs_accepted_at_once_are_answered_before_one_look_at_all_of_them(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world, max_concurrency=10)
    plane.rest()
    monkeypatch.setattr(sweep, "ANSWER_SECONDS", LATER_SECONDS)
    looks: list[str] = []

    def on_statement(*given: object) -> None:
        if "late_launches" in str(given[2]):
            looks.append(str(given[2]))

    _, reader = plane.stores.control.engines
    event.listen(reader, "before_cursor_execute", on_statement)
    accepted = [accept(plane, project, task) for task in ("first", "second", "third")]
    assert not looks
    plane.rest()
    assert len(looks) < len(accepted)
    runs = plane.ledgers.runs.find_all(accepted)
    assert sorted((run.status, bool(run.hold)) for run in runs.values()) == [
        ("queued", True),
        ("queued", True),
        ("running", False),
    ]
