"""Secrets in live updates: pages receive them without passing through an API response."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.api.live import LiveStream
from app.api.schemas import ProjectOut, RunOut
from app.domain.secret_masks import dots
from app.records.feed import Numbered, ProjectChanged, RunChanged, RunEventAppended
from app.records.tables import Run
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    plane = FakePlane(tmp_path, world)
    yield plane
    plane.rest()
    plane.stop()


@pytest.fixture
def token(plane: FakePlane) -> str:
    return (plane.settings.data_root / "token").read_text().strip()


def told_of(plane: FakePlane, run: Run) -> list[object]:
    """Return the live updates about a run: its row, last timeline entry and project."""
    line = plane.ledgers.runs.timeline(run.id)[-1]
    changes = (
        RunChanged(run.id, run.project_id),
        RunEventAppended(run.id, line.id or 0),
        ProjectChanged(run.project_id),
    )
    live = LiveStream(plane.services)
    return [one.data for one in live.events_of([Numbered(n, c) for n, c in enumerate(changes, 1)])]


def a_run_about(plane: FakePlane, world: World, words: str) -> Run:
    """Start a run whose title and last timeline entry contain these words."""
    project = plane.add_project(world)
    issue = plane.services.issues.add(project.id, words, "", ["ready-for-agent"], plane.clock())
    requester = replace(plane.requester(), provenance=plane.services.identity.as_dict())
    run = plane.services.afk.start(project.id, issue.number, requester, plane.clock()).run
    plane.rest()
    plane.ledgers.runs.append_event_once(
        run.id, plane.clock(), "note", f"it says {words}", words=[words]
    )
    return run


def test_an_open_page_hears_of_a_run_without_its_secrets(
    plane: FakePlane, world: World, token: str
) -> None:
    run, event, project = told_of(plane, a_run_about(plane, world, f"Use {token}"))
    assert token not in repr((run, event, project))
    assert isinstance(run, RunOut)
    assert isinstance(project, ProjectOut)
    hidden = f"Use {dots(len(token)).decode()}"
    assert run.title == hidden
    assert project.last_run is not None
    assert project.last_run.title == hidden


def test_settings_that_a_person_edits_are_heard_as_they_were_written(
    plane: FakePlane, world: World, token: str
) -> None:
    run = a_run_about(plane, world, "Do it")
    plane.services.projects.change(run.project_id, prompt=f"Never print {token}")
    (project,) = told_of(plane, run)[2:]
    assert isinstance(project, ProjectOut)
    assert project.prompt == f"Never print {token}"
