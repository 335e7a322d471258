"""Runs that resolve conflicts: the same change, its base merged in by an agent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlmodel import col, select

from app.errors import ChangeClosed, NoConflict, NotDeliverable, PrLock
from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.kept.retry import RetryOptions
from app.services.runs.requests import Accepted
from tests.builders.repositories import run_git
from tests.drivers.planes import DrivenPlane, RealPlane
from tests.fakes.agents import resolves
from tests.fakes.planes import TwinPlane

RESOLVES = [sys.executable, resolves.__file__]
ADDS = "echo {0} >> list.txt; echo {0} > only-{0}.txt; git add .; git commit -qm 'Add {0}'"
ABORTS = "git merge --abort; echo x > x.txt; git add .; git commit -qm 'Something else'"
KEEPS_MARKS = "git add .; git commit -q --no-edit"


def given(plane: DrivenPlane, project: Project, agent: list[str] | str) -> None:
    """Give the project another agent."""
    argv = ["sh", "-c", agent] if isinstance(agent, str) else agent
    plane.ledgers.projects.change(project.id, agent_command=argv)


def resolve(plane: DrivenPlane, project: Project, key: str | None = None) -> Accepted:
    """Have an agent resolve the conflicts of change #4."""
    return plane.services.resolving.resolve(project.id, 4, plane.requester(key), plane.clock())


def ended(plane: DrivenPlane, accepted: Accepted) -> Run:
    """Wait for the run's end."""
    plane.rest()
    return plane.see_end(plane.run(accepted.run.id))


@pytest.fixture
def clashing(plane: RealPlane) -> Project:
    """A project with change #4, whose line clashes with the one that change #2 has merged."""
    project = plane.add_project(ADDS.format("one"))
    for words in ("one", "two"):
        given(plane, project, ADDS.format(words))
        plane.finish(project, issue=plane.add_issue(project).number)
    plane.services.changes.merge(project.id, 2, plane.clock())
    plane.rest()
    assert plane.services.changes.find(project.id, 4).conflicts == ["list.txt"]
    return project


def test_an_agent_that_does_what_its_prompt_says_resolves_the_conflict(
    plane: RealPlane, clashing: Project
) -> None:
    given(plane, clashing, RESOLVES)
    checks = [{"name": "both", "command": ["grep", "-c", "o", "list.txt"]}]
    plane.ledgers.projects.change(clashing.id, checks=checks)
    run = ended(plane, resolve(plane, clashing))
    for _ in range(9):
        if run.status in ("succeeded", "died"):
            break
        run = plane.see_end(run)
    assert (run.status, run.trigger, run.pr_number) == ("succeeded", "review", 4), run.because
    change = plane.services.changes.find(clashing.id, 4)
    origin = Path(clashing.origin)
    assert change.head_sha == run_git(origin, "rev-parse", f"refs/heads/{change.branch}")
    assert run_git(origin, "show", f"{change.head_sha}:list.txt").split() == ["two", "one"]
    # what its base brought in is no part of the change
    assert (change.conflicts, change.commits, change.files_changed) == ([], 2, 2)
    names = [one.file.path for one in plane.services.reviews.files(clashing.id, 4, plane.person)]
    assert names == ["list.txt", "only-two.txt"]
    assert (run.delivery or {})["commits"] == 1
    merged = plane.services.changes.merge(clashing.id, 4, plane.clock())
    assert merged.state == "merged"
    plane.rest()
    assert run_git(origin, "show", "main:list.txt").split() == ["two", "one"]


@pytest.mark.parametrize(
    ("agent", "because"),
    [(KEEPS_MARKS, "conflict markers are left in list.txt"), (ABORTS, "was not concluded")],
)
def test_what_is_left_unresolved_is_kept_and_not_delivered(
    plane: RealPlane, clashing: Project, agent: str, because: str
) -> None:
    before = plane.services.changes.find(clashing.id, 4)
    given(plane, clashing, agent)
    run = ended(plane, resolve(plane, clashing))
    assert (run.status, run.cause, run.parked) == ("died", "no_delivery", True)
    assert because in (run.because or "")
    after = plane.services.changes.find(clashing.id, 4)
    assert (after.head_sha, after.conflicts) == (before.head_sha, ["list.txt"])
    assert plane.project(clashing.id).strikes == 0
    if agent == KEEPS_MARKS:
        fixed = "sed -i '/^[<=>]\\{7\\}/d' list.txt; git commit -qam 'Resolve it'"
        given(plane, clashing, fixed)
        retried = plane.services.retry.retry(
            run.id, RetryOptions(), plane.requester(), plane.clock()
        )
        assert ended(plane, retried).status == "succeeded"
        assert plane.services.changes.find(clashing.id, 4).conflicts == []


def test_an_agent_that_does_nothing_leaves_nothing_behind(
    plane: RealPlane, clashing: Project
) -> None:
    given(plane, clashing, "true")
    run = ended(plane, resolve(plane, clashing))
    assert (run.status, run.cause, run.parked) == ("died", "no_delivery", False)
    assert not plane.copy(run).exists()
    given(plane, clashing, RESOLVES)
    assert ended(plane, resolve(plane, clashing)).status == "succeeded"


# --- decisions -----------------------------------------------------------------------------------


@pytest.fixture
def project(twin: TwinPlane) -> Project:
    """A project whose change #4 clashes with its base."""
    project = twin.add_project()
    for _ in range(2):
        run = twin.finish(project, issue=twin.add_issue(project).number)
        twin.world.clashes[run.head_sha or ""] = ("a.txt",)
    twin.services.changes.merge(project.id, 2, twin.clock())
    twin.rest()
    return project


def test_one_key_makes_one_run_and_another_waits_for_the_branch(
    twin: TwinPlane, project: Project
) -> None:
    first, again = resolve(twin, project, "once"), resolve(twin, project, "once")
    assert (again.run.id, again.replayed) == (first.run.id, True)
    with pytest.raises(PrLock):
        resolve(twin, project)
    assert len(twin.ask(select(Run).where(col(Run.pr_number) == 4))) == 1


def test_what_cannot_be_resolved_is_refused(twin: TwinPlane, project: Project) -> None:
    twin.world.clashes.clear()
    twin.world.origins[project.origin]["main"] = twin.world.new_commit(None)
    twin.adapters.mirrors.fetch(twin.repository(project))
    twin.services.conflicts.look_once(project.id)
    with pytest.raises(NoConflict):
        resolve(twin, project)
    twin.services.changes.close(project.id, 4, twin.clock())
    with pytest.raises(ChangeClosed):
        resolve(twin, project)


def test_a_conflict_that_is_gone_at_the_launch_starts_no_agent(
    twin: TwinPlane, project: Project
) -> None:
    twin.world.clashes.clear()
    accepted = resolve(twin, project)
    twin.rest()
    run = twin.run(accepted.run.id)
    assert (run.status, run.because) == (
        "not_started",
        f"{run.work_branch} no longer conflicts with main",
    )


def test_work_that_a_person_delivers_by_hand_is_looked_at_too(
    twin: TwinPlane, project: Project
) -> None:
    twin.world.unresolved = "conflict markers are left in a.txt"
    run = ended(twin, resolve(twin, project))
    assert run.status == "died"
    deed = Deed(twin.person, "deliver", "by a test", "test", run.id)
    with pytest.raises(NotDeliverable) as refused:
        twin.services.salvage.deliver(run.id, deed, None, twin.clock())
    assert "conflict markers are left in a.txt" in refused.value.detail
    told = twin.services.salvage.deliver(run.id, deed, None, twin.clock(), push_anyway=True)
    assert (told[0].delivery or {})["number"] == 4
