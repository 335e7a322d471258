"""A second press of `Have the agent resolve it` after a run that left the conflicts unresolved."""

from __future__ import annotations

from pathlib import Path
from shlex import join

import pytest

from app.errors import Parked
from app.records.tables import Project
from tests.builders.repositories import run_git
from tests.drivers.planes import RealPlane
from tests.fakes.planes import TwinPlane
from tests.services.review.test_resolving import (
    ABORTS,
    KEEPS_MARKS,
    RESOLVES,
    clashing,
    ended,
    given,
    project,
    resolve,
)

__all__ = ["clashing", "project"]


@pytest.mark.parametrize("agent", [KEEPS_MARKS, ABORTS])
def test_a_failed_attempt_can_be_repeated_and_what_it_left_stays_kept(
    plane: RealPlane, clashing: Project, agent: str
) -> None:
    given(plane, clashing, agent)
    failed = ended(plane, resolve(plane, clashing))
    given(plane, clashing, RESOLVES)
    run = ended(plane, resolve(plane, clashing))
    assert (run.status, run.trigger, run.retry_of) == ("succeeded", "review", failed.id)
    assert plane.services.changes.find(clashing.id, 4).conflicts == []
    left = plane.run(failed.id)
    assert (left.parked, left.work_branch) == (True, f"parked/afk/3/{failed.id}")
    tip = plane.adapters.mirrors.tip(plane.repository(clashing), left.work_branch)
    assert tip == failed.head_sha
    [kept] = plane.services.parked.all(plane.clock())
    assert (kept.run_id, kept.branch) == (failed.id, left.work_branch)
    assert run_git(Path(clashing.origin), "branch", "--list", "parked/*") == ""


def test_a_repeat_that_came_to_nothing_leaves_the_kept_attempt_as_it_was(
    twin: TwinPlane, project: Project
) -> None:
    twin.world.unresolved = "conflict markers are left in a.txt"
    failed = ended(twin, resolve(twin, project))
    twin.world.clashes.clear()
    again = resolve(twin, project)
    twin.rest()
    assert twin.run(again.run.id).status == "not_started"
    left = twin.run(failed.id)
    assert (left.parked, left.work_branch) == (True, failed.work_branch)


def test_other_work_that_is_kept_on_the_branch_is_not_set_aside(
    twin: TwinPlane, project: Project
) -> None:
    twin.world.unresolved = "conflict markers are left in a.txt"
    failed = ended(twin, resolve(twin, project))
    assert failed.parked
    twin.ledgers.runs.update_fields(failed.id, project.id, may_resume=True)
    with pytest.raises(Parked):
        resolve(twin, project)
    twin.ledgers.runs.update_fields(failed.id, project.id, may_resume=False, merging=None)
    with pytest.raises(Parked):
        resolve(twin, project)


def test_a_later_turn_is_told_that_the_merge_is_concluded(
    plane: RealPlane, clashing: Project
) -> None:
    corrects = "echo ok > ok.txt; git add .; git commit -qm 'Correct it'"
    given(
        plane, clashing, f"if grep -q '<<<<' list.txt; then {join(RESOLVES)}; else {corrects}; fi"
    )
    checks = [{"name": "ok", "command": ["test", "-e", "ok.txt"]}]
    plane.ledgers.projects.change(clashing.id, checks=checks)
    run = ended(plane, resolve(plane, clashing))
    for _ in range(30):
        if run.status in ("succeeded", "died"):
            break
        run = plane.see_end(run)
    assert run.status == "succeeded", run.because
    first, second = (one.text for one in plane.services.prompts.of_run(run.id))
    assert "Git is in the middle of merging main" in first
    assert "in the middle of" not in second
    assert "`git commit --no-edit`" not in second
    assert "main was merged into this branch earlier in this run" in second
    assert "- list.txt" in second
    assert "Check “ok” failed" in second
