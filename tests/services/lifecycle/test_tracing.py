"""Spans around the stages of a run, and log lines that name the run they are about."""

from __future__ import annotations

import logging

import pytest
import structlog

from app.services import tracing
from app.services.tracing import unit_of_work
from tests.builders.two_stores import Planes, found, start
from tests.fakes.tracers import RecordingTracer
from tests.fakes.world import World


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> RecordingTracer:
    tracer = RecordingTracer()
    monkeypatch.setattr(tracing, "_tracer", tracer)
    return tracer


def test_each_stage_of_a_run_is_a_span_with_the_run_s_id(
    planes: Planes, world: World, tracer: RecordingTracer
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    run = start(plane, project, issue=plane.add_issue(project))
    world.commit(run.id)
    world.end(run.id, 0)
    plane.tick()
    assert found(plane, run.id).status == "succeeded"
    of_this_run = {"run_id": run.id, "project_id": project.id}
    stages = [span.name for span in tracer.spans if span.attributes == of_this_run]
    assert list(dict.fromkeys(stages)) == ["accept", "launch", "reap", "deliver"]
    assert len(stages) == len(tracer.spans), "a span does not name its run"


def test_a_refused_order_is_a_span_of_its_project(
    planes: Planes, world: World, tracer: RecordingTracer
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    with pytest.raises(Exception, match="no issue"):
        start(plane, project, issue=99)
    [span] = tracer.spans
    assert (span.name, span.attributes) == ("accept", {"project_id": project.id})


def test_log_lines_of_a_unit_of_work_name_its_run(caplog: pytest.LogCaptureFixture) -> None:
    log = structlog.get_logger()
    with caplog.at_level(logging.INFO):
        with unit_of_work("launch", run_id="run_1", project_id="prj_1"):
            log.info("branch_claimed", branch="afk/1")
        log.info("sweep_finished")
    inside, outside = (vars(record) for record in caplog.records)
    assert (inside["run_id"], inside["project_id"], inside["branch"]) == ("run_1", "prj_1", "afk/1")
    assert "run_id" not in outside
