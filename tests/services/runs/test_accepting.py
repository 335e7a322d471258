"""Accepting a run: a refused one leaves no row, charges nobody and holds no slot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.words import Delivers, Depth, Trigger
from app.errors import (
    AgentUnavailable,
    AlreadyRunning,
    ConcurrencyLimit,
    ForgeUnavailable,
    Invalid,
    IssueBlocked,
    IssueClosed,
    NotFound,
    Parked,
    PrLock,
    ProjectArchived,
    ProjectBroken,
    RateLimited,
    Refusal,
)
from app.records.tables import Project
from tests.builders.repositories import run_git
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import TwinPlane, twin_plane


@pytest.fixture
def still(twin: TwinPlane) -> TwinPlane:
    """A plane that accepts but never starts runs: they stay queued."""
    twin.add_project(name="one")
    twin.workers.close()
    return twin


@pytest.fixture
def project(still: TwinPlane) -> Project:
    """The only project."""
    return still.ledgers.projects.all()[0]


def remaining(plane: TwinPlane) -> int:
    return plane.services.listing.window(plane.person, plane.clock()).remaining


def change(plane: TwinPlane, project: Project, **columns: Any) -> None:
    plane.ledgers.projects.change(project.id, **columns)


def archive(plane: TwinPlane, project: Project) -> None:
    plane.services.projects.archive(project.id, plane.clock())


def hide_origin(plane: TwinPlane, project: Project) -> None:
    del plane.world.origins[project.origin]


def block_issue(plane: TwinPlane, project: Project) -> None:
    plane.add_issue(project)
    plane.add_issue(project, body="## Blocked by\n- #1\n")


def close_issue(plane: TwinPlane, project: Project) -> None:
    plane.add_issue(project)
    plane.services.issues.change(project.id, 1, {"state": "closed"}, plane.clock())


def park_issue(plane: TwinPlane, project: Project) -> None:
    plane.add_issue(project)
    plane.world.mirrors[project.id]["afk/1"] = plane.world.origins[project.origin]["main"]


def open_one(plane: TwinPlane, project: Project) -> None:
    plane.accept(plane.order(project, task="first"))


def open_on_issue(plane: TwinPlane, project: Project) -> None:
    plane.add_issue(project)
    plane.accept(plane.order(project, issue=1, task="first"))


def fill(plane: TwinPlane, project: Project) -> None:
    change(plane, project, max_concurrency=1)
    open_one(plane, project)


def nothing(plane: TwinPlane, project: Project) -> None:
    pass


def with_columns(**columns: Any) -> Callable[[TwinPlane, Project], None]:
    return lambda plane, project: change(plane, project, **columns)


REFUSALS: dict[str, tuple[Callable[..., None], dict[str, Any], type[Refusal], dict[str, Any]]] = {
    "no project": (nothing, {"project_id": "proj_none"}, NotFound, {}),
    "archived": (archive, {}, ProjectArchived, {}),
    "broken": (with_columns(state="broken", state_because="Gone."), {}, ProjectBroken, {}),
    "unknown agent": (nothing, {"agent": "nobody"}, Invalid, {}),
    "agent missing": (with_columns(agent_command=["/no/such"]), {}, AgentUnavailable, {}),
    "no agent command": (with_columns(agent_command=None), {}, AgentUnavailable, {}),
    "agent not installed": (nothing, {"agent": "opencode"}, AgentUnavailable, {}),
    "framework": (nothing, {"framework": "cobol"}, Invalid, {}),
    "no such branch": (nothing, {"branch": "develop"}, Invalid, {}),
    "hostile branch": (nothing, {"branch": "--upload-pack=touch x"}, Invalid, {}),
    "branch, origin away": (hide_origin, {"branch": "develop"}, ForgeUnavailable, {}),
    "no issue": (nothing, {"issue": 7}, Invalid, {}),
    "issue closed": (close_issue, {"issue": 1}, IssueClosed, {}),
    "issue blocked": (block_issue, {"issue": 2}, IssueBlocked, {"by": 1}),
    "parked": (park_issue, {"issue": 1}, Parked, {"branch": "afk/1"}),
    "twin": (open_one, {"task": "first"}, AlreadyRunning, {"run_id": ...}),
    "twin, other model": (open_one, {"task": "first", "model": "x"}, AlreadyRunning, {}),
    "locked": (open_on_issue, {"issue": 1}, PrLock, {"holder": ..., "branch": "afk/1"}),
    "crowded": (fill, {}, ConcurrencyLimit, {"active": 1, "max": 1}),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leaves_nothing(still: TwinPlane, project: Project, name: str) -> None:
    prepare, wishes, expected, members = REFUSALS[name]
    prepare(still, project)
    rows, left = still.rows(), remaining(still)
    order = dataclasses.replace(still.order(project), **wishes)
    with pytest.raises(expected) as refusal:
        still.accept(order)
    assert type(refusal.value) is expected
    assert refusal.value.detail
    for member, value in members.items():
        found = refusal.value.members[member]
        assert found == (rows[0] if value is ... else value)
    assert still.rows() == rows
    assert remaining(still) == left
    assert still.services.listing.count_open(project.id) == len(rows)


def test_a_refusal_is_not_stored_under_the_key(still: TwinPlane, project: Project) -> None:
    order = still.order(project, branch="develop")
    with pytest.raises(Invalid):
        still.accept(order, "k")
    branches = still.world.origins[project.origin]
    branches["develop"] = branches["main"]
    assert still.accept(order, "k").branch_name == "develop"


def test_a_branch_that_is_new_at_origin_is_asked_for_once_more(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.workers.close()
    run_git(Path(project.origin), "branch", "develop")
    assert plane.accept(plane.order(project, branch="develop")).branch_name == "develop"
    assert "develop" in plane.project(project.id).known_branches


def test_an_accepted_run_says_what_was_asked_for(still: TwinPlane, project: Project) -> None:
    still.add_issue(project, "Say hello")
    order = still.order(
        project,
        issue=1,
        depth=Depth.DEEP,
        task="Be quick",
        model="m",
        delivers=Delivers.REPORT,
        tags=("a", "b"),
    )
    run = still.accept(order, "k")
    assert (run.status, run.trigger, run.created_at) == ("queued", Trigger.API, still.clock())
    assert (run.issue, run.title, run.branch_name) == (1, "Say hello", "main")
    assert (run.work_branch, run.depth_level, run.delivers) == ("afk/1", "deep", "report")
    assert (run.agent, run.model, run.task, run.tags) == ("script", "m", "Be quick", ["a", "b"])
    assert (run.budget_seconds, run.charged_to) == (7200, still.person)
    assert still.run(run.id) == run


@pytest.mark.parametrize(
    "wishes",
    [
        {"task": "another"},
        {"task": None},
        {"depth": Depth.DEEP, "task": "first"},
        {"issue": 1, "task": "first"},
    ],
)
def test_what_differs_is_no_twin(
    still: TwinPlane, project: Project, wishes: dict[str, Any]
) -> None:
    still.add_issue(project)
    open_one(still, project)
    still.accept(still.order(project, **wishes))


def test_a_twin_under_a_key_of_its_own_is_a_run_of_its_own(
    still: TwinPlane, project: Project
) -> None:
    open_one(still, project)
    still.accept(still.order(project, task="first"), "k")
    assert len(still.rows()) == 2


def test_a_twin_of_a_run_that_is_over_is_a_new_run(still: TwinPlane, project: Project) -> None:
    run = still.accept(still.order(project))
    still.services.stopper.stop(run.id, "enough", still.clock())
    assert still.accept(still.order(project)).id != run.id


def test_a_run_on_a_broken_origin_is_accepted_from_what_is_known(
    still: TwinPlane, project: Project
) -> None:
    # the base branch is known from the last check: origin is not contacted again
    hide_origin(still, project)
    assert still.accept(still.order(project)).status == "queued"


def test_the_concurrency_limit_says_its_sentence(still: TwinPlane, project: Project) -> None:
    fill(still, project)
    with pytest.raises(ConcurrencyLimit) as refusal:
        still.accept(still.order(project))
    assert refusal.value.detail == (
        "This repository is at maximum concurrency. Wait for an active run to complete and retry."
    )


def test_the_lock_says_since_when(still: TwinPlane, project: Project) -> None:
    open_on_issue(still, project)
    since = still.clock()
    still.clock.advance(60)
    with pytest.raises(PrLock) as refusal:
        still.accept(still.order(project, issue=1))
    assert refusal.value.members["since"] == since


def test_quota_comes_before_the_lock_and_the_lock_before_the_crowd(tmp_path: Path) -> None:
    with twin_plane(tmp_path, run_quota=1) as plane:
        project = plane.add_project(max_concurrency=1)
        plane.workers.close()
        plane.add_issue(project)
        plane.accept(plane.order(project, issue=1, task="first"))
        again = plane.order(project, issue=1)
        with pytest.raises(RateLimited):
            plane.accept(again)
        with pytest.raises(PrLock):
            plane.accept(again, person="person_2")
        with pytest.raises(ConcurrencyLimit):
            plane.accept(plane.order(project), person="person_2")


def test_a_project_may_have_an_agent_of_each_kind(twin: TwinPlane) -> None:
    project = twin.add_project(COMMIT, setup_command=["/bin/true"], max_concurrency=1)
    assert twin.finish(project).status == "succeeded"
