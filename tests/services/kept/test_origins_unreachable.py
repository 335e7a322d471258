"""A missing or silent origin: reported at once, blocks starts, and recovers on its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import ProjectBroken
from app.records.tables import Project
from app.services.ports import OriginProblem, Remote
from app.services.system import origin_watch
from tests.drivers.planes import RealPlane

SILENT = OriginProblem("The host of this address did not answer.", for_good=False)


@pytest.fixture
def project(plane: RealPlane) -> Project:
    """A project with one ready issue."""
    project = plane.add_project()
    plane.add_issue(project)
    return project


def look(plane: RealPlane) -> None:
    """Check all origins that are due once."""
    plane.services.origins.check_once(plane.clock())
    plane.rest()


def move_away(project: Project) -> Callable[[], object]:
    """Rename origin's folder; return the function that restores it."""
    origin = Path(project.origin)
    away = origin.rename(origin.with_name("away"))
    return lambda: away.rename(origin)


def fall_silent(plane: RealPlane, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make all origins hosts that do not answer; return the list of those contacted."""
    asked: list[str] = []

    def refuse(origin: str, *, timeout_seconds: float) -> Remote:
        asked.append(origin)
        raise SILENT

    monkeypatch.setattr(plane.adapters.mirrors, "inspect_origin", refuse)
    monkeypatch.setattr(origin_watch, "origin_kind", lambda _: None)
    return asked


def test_a_folder_that_is_gone_makes_the_project_unreachable_until_it_is_back(
    plane: RealPlane, project: Project
) -> None:
    bring_back = move_away(project)
    look(plane)
    away = plane.project(project.id)
    assert away.unreachable
    assert "There is no folder" in str(away.origin_because)
    assert away.origin_since == plane.clock()
    assert away.state == "ready"
    bring_back()
    look(plane)
    back = plane.project(project.id)
    assert (back.unreachable, back.origin_because, back.origin_since) == (False, None, None)


def test_nothing_is_remembered_of_a_project_that_is_archived(
    plane: RealPlane, project: Project
) -> None:
    move_away(project)
    look(plane)
    assert plane.services.origins._gone == {project.id}
    plane.ledgers.projects.change(project.id, archived_at=plane.clock())
    look(plane)
    assert plane.services.origins._gone == set()


def test_a_launch_that_finds_origin_gone_says_so_of_the_project(
    plane: RealPlane, project: Project
) -> None:
    bring_back = move_away(project)
    run = plane.launch(project)
    assert run.status == "not_started"
    assert plane.project(project.id).unreachable
    bring_back()
    assert plane.launch(project).status == "running"
    assert not plane.project(project.id).unreachable


def test_a_start_asks_once_more_and_is_refused_with_the_reason(
    plane: RealPlane, project: Project
) -> None:
    bring_back = move_away(project)
    look(plane)
    with pytest.raises(ProjectBroken, match="Repository unreachable: There is no folder"):
        plane.accept(plane.order(project))
    assert plane.rows() == []
    bring_back()
    assert plane.launch(project).status == "running"


def test_a_run_that_waits_is_held_and_starts_when_origin_is_back(
    plane: RealPlane, project: Project
) -> None:
    accepted = plane.accept(plane.order(project, delay_seconds=60))
    bring_back = move_away(project)
    look(plane)
    plane.clock.advance(60)
    plane.tick()
    waiting = plane.run(accepted.id)
    assert waiting.status == "queued"
    assert "the repository cannot be reached: There is no folder" in str(waiting.hold)
    bring_back()
    look(plane)  # requests a sweep
    plane.rest()
    assert plane.run(accepted.id).status == "running"


def test_the_loop_says_that_the_repository_cannot_be_reached(
    plane: RealPlane, project: Project
) -> None:
    plane.services.projects.change(project.id)
    plane.ledgers.projects.change(project.id, auto_enabled=True)
    move_away(project)
    look(plane)
    plan = plane.services.afk.plan(project.id, plane.clock())
    assert plan.would is None
    assert "the repository cannot be reached" in plan.because
    plane.tick()
    assert plane.rows() == []


def test_a_host_that_is_silent_once_is_not_gone_at_once(
    plane: RealPlane, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fall_silent(plane, monkeypatch)
    look(plane)
    plane.clock.advance(15 * 60)
    look(plane)
    doubted = plane.project(project.id)
    assert (doubted.unreachable, doubted.origin_because) == (False, str(SILENT.sentence))
    plane.clock.advance(30)
    look(plane)
    assert not plane.project(project.id).unreachable
    plane.clock.advance(60)
    look(plane)
    assert plane.project(project.id).unreachable
    assert len(asked) == 3
    # after that it is contacted less and less often
    for _ in range(10):
        plane.clock.advance(30)
        look(plane)
    assert len(asked) <= 6


def test_an_archived_project_is_not_looked_at(plane: RealPlane, project: Project) -> None:
    plane.services.projects.archive(project.id, plane.clock())
    move_away(project)
    look(plane)
    assert not plane.project(project.id).unreachable
