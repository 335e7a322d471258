"""Previews: the prompt of a run that would start now, its refusals, and nothing that is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.errors import Invalid, Refusal
from app.records.tables import Project
from tests.drivers.planes import COMMIT
from tests.fakes.planes import TwinPlane

Scene = Callable[[TwinPlane, Project], dict[str, Any]]


def preview(plane: TwinPlane, project: Project, key: str | None = None, **wishes: Any) -> str:
    order, requester = plane.order(project, **wishes), plane.requester(key)
    return plane.services.prompts.preview(order, requester, plane.clock()).text


def refusal_of(ask: Callable[[], object]) -> tuple[str, str, dict[str, Any]]:
    with pytest.raises(Refusal) as refused:
        ask()
    return refused.value.code, refused.value.detail, refused.value.members


def delivered(plane: TwinPlane, project: Project) -> int:
    """Return the number of a change request that a run of an issue opened."""
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    return run.delivery["number"]


# --- what each of these leaves behind refuses the order that it returns -------------------------


def left_work(plane: TwinPlane, project: Project) -> dict[str, Any]:
    issue = plane.add_issue(project).number
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", f"{COMMIT}; exit 1"])
    assert plane.finish(project, issue=issue).parked
    return {"issue": issue}


def left_work_on_a_change(plane: TwinPlane, project: Project) -> dict[str, Any]:
    number = delivered(plane, project)
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", f"{COMMIT}; exit 1"])
    assert plane.finish(project, pr_number=number).parked
    return {"pr_number": number}


def running(plane: TwinPlane, project: Project) -> dict[str, Any]:
    return {"issue": plane.start_running_issue(project).issue, "task": "Do more."}


def running_on_a_change(plane: TwinPlane, project: Project) -> dict[str, Any]:
    number = delivered(plane, project)
    plane.start_running(project, pr_number=number)
    return {"pr_number": number, "task": "Do more."}


def identical(plane: TwinPlane, project: Project) -> dict[str, Any]:
    plane.start_running(project, task="Do it.")
    return {"task": "Do it."}


def in_review(plane: TwinPlane, project: Project) -> dict[str, Any]:
    delivered(plane, project)
    return {"issue": 1}


def closed_change(plane: TwinPlane, project: Project) -> dict[str, Any]:
    number = delivered(plane, project)
    plane.services.changes.close(project.id, number, plane.clock())
    return {"pr_number": number}


def closed_issue(plane: TwinPlane, project: Project) -> dict[str, Any]:
    issue = plane.add_issue(project).number
    plane.services.issues.change(project.id, issue, {"state": "closed"}, plane.clock())
    return {"issue": issue}


def archived(plane: TwinPlane, project: Project) -> dict[str, Any]:
    plane.services.projects.archive(project.id, plane.clock())
    return {}


def late(plane: TwinPlane, project: Project) -> dict[str, Any]:
    return {"starts_on": "2020-01-01T00:00:00Z"}


def nowhere(plane: TwinPlane, project: Project) -> dict[str, Any]:
    return {"branch": "nowhere"}


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        (left_work, "parked"),
        (left_work_on_a_change, "parked"),
        (running, "pr_lock"),
        (running_on_a_change, "pr_lock"),
        (identical, "already_running"),
        (in_review, "in_review"),
        (closed_change, "change_closed"),
        (closed_issue, "issue_closed"),
        (archived, "project_archived"),
        (late, "invalid"),
        (nowhere, "invalid"),
    ],
)
def test_a_preview_is_refused_as_the_run_would_be(twin: TwinPlane, scene: Scene, code: str) -> None:
    project = twin.add_project()
    wishes = scene(twin, project)
    started = refusal_of(lambda: twin.accept(twin.order(project, **wishes)))
    assert started[0] == code
    assert refusal_of(lambda: preview(twin, project, **wishes)) == started


def test_a_key_that_another_order_has_refuses_a_preview_too(twin: TwinPlane) -> None:
    project = twin.add_project()
    order = twin.order(project, task="Do it.")
    run = twin.accept(order, "k-1")
    twin.rest()
    code, _, members = refusal_of(lambda: preview(twin, project, "k-1", task="Do more."))
    assert (code, members["run_id"]) == ("key_reused", run.id)
    assert preview(twin, project, "k-1", task="Do it.").startswith("Do it.\n")


def test_quota_and_limits_refuse_no_preview(twin: TwinPlane) -> None:
    project = twin.add_project(max_concurrency=1)
    twin.start_running(project, task="Do it.")
    with pytest.raises(Refusal):
        twin.accept(twin.order(project, task="Do more."))
    assert preview(twin, project, task="Do more.").startswith("Do more.\n")


def test_what_origin_answers_to_a_preview_is_written_nowhere(twin: TwinPlane) -> None:
    project = twin.add_project()
    branches = twin.world.origins[project.origin]
    branches["later"] = branches[project.base_branch]
    twin.ledgers.projects.set_origin(project.id, "It was away.", twin.clock(), unreachable=True)
    before = twin.project(project.id).model_dump()
    assert preview(twin, project, branch="later", task="Do it.").startswith("Do it.\n")
    with pytest.raises(Invalid):
        preview(twin, project, branch="nowhere")
    assert twin.project(project.id).model_dump() == before
    assert twin.rows() == []
    assert twin.accept(twin.order(project, branch="later", task="Do it.")).branch_name == "later"
    assert twin.project(project.id).model_dump() != before


def test_a_preview_for_a_change_names_its_branch(twin: TwinPlane) -> None:
    project = twin.add_project()
    number = delivered(twin, project)
    text = preview(twin, project, pr_number=number, task="Shorten it.")
    assert "You are on branch afk/1 in your own working copy." in text
    assert f"You work on change request #{number}, “Mend it”: branch afk/1" in text
    twin.finish(project, issue=None, task="Else.")
    run = twin.start_running(project, pr_number=number, task="Shorten it.")
    (turn,) = twin.services.prompts.of_run(run.id)
    assert turn.text == text
