"""Parked work at a retry: continued or set aside, and never lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import select

from app.errors import Parked
from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from tests.builders.repositories import commit_file, run_git, tip_of
from tests.builders.retries import TWO_TRIES, accept, died, kept, retry
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import TwinPlane

# --- continuing parked work --------------------------------------------------------------------


def test_going_on_takes_the_branch_and_the_copy_and_delivers_all_of_it(plane: RealPlane) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    second = retry(plane, first)
    assert (second.status, second.work_branch, second.base_sha) == (
        *("running", "afk/1", first.base_sha),
    )
    assert not plane.run(first.id).parked
    assert not plane.copy(first).exists()
    assert kept(plane) == []
    second = plane.see_end(second)
    assert (second.status, second.parked) == ("succeeded", False), second.because
    assert second.delivery is not None
    assert (second.delivery["commits"], second.delivery["files_changed"]) == (2, 2)
    assert "continues on afk/1" in plane.lines(second)[0]
    merged = plane.services.changes.merge(project.id, second.delivery["number"], plane.clock())
    assert merged.state == "merged"
    assert plane.is_gone(second)
    assert "new.txt" in run_git(Path(project.origin), "ls-tree", "--name-only", "main")


def test_the_copy_is_made_anew_where_it_is_gone(plane: RealPlane) -> None:
    project = plane.add_project(
        "if test -e new.txt; then echo more > more.txt && git add -A && "
        f"git commit -qm More; else {COMMIT}; exit 3; fi"
    )
    first = died(plane, project)
    assert not plane.copy(first).exists()
    second = plane.see_end(retry(plane, first))
    assert second.status == "succeeded", second.because
    assert second.delivery is not None
    assert second.delivery["commits"] == 2


def test_a_plain_run_goes_on_with_its_own_branch(twin: TwinPlane) -> None:
    project = twin.add_project(TWO_TRIES)
    first = twin.finish(project)
    second = retry(twin, first)
    assert second.work_branch == f"run/{first.id}"
    assert twin.see_end(second).status == "succeeded"


def test_the_work_goes_from_one_retry_to_the_next(plane: RealPlane) -> None:
    project = plane.add_project("echo x >> tries.txt; exit 3")
    first = died(plane, project)
    second = plane.see_end(retry(plane, first))
    assert kept(plane) == [("afk/1", second.id)]
    # any run of the branch can be retried: its work is where the last one left it
    third = plane.see_end(retry(plane, first))
    assert (plane.copy(third) / "tries.txt").read_text() == "x\nx\nx\n"
    assert kept(plane) == [("afk/1", third.id)]
    assert plane.run(first.id).retried_by == third.id


def test_a_change_request_that_was_closed_is_gone_on_with(plane: RealPlane) -> None:
    project = plane.add_project("date +%N >> new.txt; git add -A; git commit -qm More")
    first = plane.finish(project, issue=plane.add_issue(project).number)
    plane.services.changes.close(project.id, 2, plane.clock())
    second = plane.see_end(retry(plane, first))
    assert second.status == "succeeded", second.because
    assert second.delivery is not None
    assert (second.delivery["number"], second.delivery["commits"]) == (3, 2)
    assert tip_of(Path(project.origin), "afk/1") == second.head_sha


def test_a_retry_that_never_began_leaves_the_work_where_it_was(plane: RealPlane) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    plane.ledgers.projects.change(project.id, state="cloning")
    second = retry(plane, first)
    assert (second.status, second.base_sha) == ("queued", first.base_sha)
    assert kept(plane) == []
    stopped = plane.stop_run(second)
    assert (stopped.status, stopped.parked) == ("stopped", False)
    assert kept(plane) == [("afk/1", first.id)]
    assert (plane.copy(first) / "left.txt").exists()


# --- starting over -----------------------------------------------------------------------------


def test_starting_again_sets_the_old_work_aside_under_a_name_of_its_own(plane: RealPlane) -> None:
    project = plane.add_project(f"{COMMIT}; echo a > a.txt; exit 3")
    first = died(plane, project)
    old_tip = plane.tip(first)
    later = commit_file(Path(project.origin), "other.txt")
    second = retry(plane, first, source="fresh")
    assert (second.work_branch, second.base_sha) == ("afk/1", later)
    first = plane.run(first.id)
    aside = f"parked/afk/1/{first.id}"
    assert (first.work_branch, first.parked, plane.tip(first)) == (aside, True, old_tip)
    assert (plane.copy(first) / "a.txt").exists()
    assert kept(plane) == [(aside, first.id)]
    second = plane.see_end(second)
    assert sorted(kept(plane)) == [("afk/1", second.id), (aside, first.id)]


def test_what_was_set_aside_can_be_delivered_and_discarded_and_not_gone_on_with(
    plane: RealPlane,
) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    second = plane.see_end(retry(plane, first, source="fresh"))
    aside = f"parked/afk/1/{first.id}"
    with pytest.raises(Parked, match="was set aside for a retry") as answer:
        accept(plane, first, source="parked")
    assert answer.value.members["branch"] == aside
    deed = Deed(plane.person, "test", "by a test", "corr")
    delivered, _ = plane.services.salvage.deliver(first.id, deed, None, plane.clock())
    assert delivered.delivery is not None
    assert (delivered.delivery["branch"], delivered.delivery["commits"]) == (aside, 1)
    plane.services.changes.close(project.id, delivered.delivery["number"], plane.clock())
    assert plane.services.parked.discard(project.id, aside, aside, deed, plane.clock()) == 1
    assert kept(plane) == [("afk/1", second.id)]
    assert not plane.copy(first).exists()
    assert tip_of(Path(project.origin)) == second.base_sha


def test_a_run_that_was_set_aside_together_with_another_is_not_gone_on_with_either(
    twin: TwinPlane,
) -> None:
    project = twin.add_project(f"{COMMIT}; exit 3")
    first = died(twin, project)
    second = twin.see_end(retry(twin, first))
    # parked like a run with a separate copy, beside the run that continued
    twin.ledgers.runs.update_fields(first.id, project.id, parked=True)
    twin.see_end(retry(twin, second, source="fresh"))
    aside = f"parked/afk/1/{second.id}"
    assert twin.run(first.id).work_branch == aside
    with pytest.raises(Parked, match="was set aside for a retry") as answer:
        accept(twin, first, source="parked")
    assert answer.value.members["branch"] == aside


def test_an_agent_that_goes_on_is_told_so(plane: RealPlane) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    second = retry(plane, first)
    prompts = [plane.adapters.engine.prompt_file(run.id).read_text() for run in (first, second)]
    assert ["An earlier run" in prompt for prompt in prompts] == [False, True]


def test_starting_again_after_a_closed_change_request_can_be_delivered(plane: RealPlane) -> None:
    project = plane.add_project("date +%N >> new.txt; git add -A; git commit -qm More")
    first = plane.finish(project, issue=plane.add_issue(project).number)
    plane.services.changes.close(project.id, 2, plane.clock())
    second = plane.see_end(retry(plane, first, source="fresh"))
    assert second.status == "succeeded", second.because
    assert second.delivery is not None
    assert (second.delivery["number"], second.delivery["commits"]) == (3, 1)
    assert kept(plane) == [(f"parked/afk/1/{first.id}", first.id)]


def test_a_plain_run_starts_again_beside_what_it_left(twin: TwinPlane) -> None:
    project = twin.add_project(TWO_TRIES)
    first = twin.finish(project)
    second = twin.see_end(retry(twin, first, source="fresh"))
    branches = [(f"run/{run.id}", run.id) for run in (first, second)]
    assert kept(twin) == branches


# --- failed launches ---------------------------------------------------------------------------


FAILS = ["/bin/sh", "-c", "exit 1"]


def test_a_launch_that_fails_after_the_take_over_keeps_the_work(plane: RealPlane) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    tip = plane.tip(first)
    plane.ledgers.projects.change(project.id, setup_command=FAILS)
    second = retry(plane, first)
    assert (second.status, second.parked) == ("not_started", True)
    assert kept(plane) == [("afk/1", second.id)]
    assert (plane.copy(second) / "left.txt").exists()
    assert plane.tip(second) == tip
    plane.ledgers.projects.change(project.id, setup_command=None)
    third = plane.see_end(retry(plane, second))
    assert third.status == "succeeded", third.because
    assert third.delivery is not None
    assert third.delivery["commits"] == 2


def test_a_launch_that_fails_after_the_setting_aside_brings_the_work_back(
    plane: RealPlane,
) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    tip = plane.tip(first)
    plane.ledgers.projects.change(project.id, setup_command=FAILS)
    second = retry(plane, first, source="fresh")
    assert (second.status, second.parked) == ("not_started", False)
    assert not plane.copy(second).exists()
    first = plane.run(first.id)
    assert (first.work_branch, first.parked, plane.tip(first)) == ("afk/1", True, tip)
    assert (plane.copy(first) / "left.txt").exists()
    assert kept(plane) == [("afk/1", first.id)]
    claims = plane.adapters.mirrors.claims(plane.repository(project))
    assert claims == {"afk/1"}


BREAKS = [
    ("retry.after_take_over", "parked"),
    ("retry.after_adopt", "parked"),
    ("after_claim", "parked"),
    ("after_prepare", "parked"),
    ("after_spawn", "parked"),
    ("retry.after_rename", "fresh"),
    ("after_claim", "fresh"),
    ("after_prepare", "fresh"),
]
# one for each kind of harm to real git and processes; the twin shows the others
BREAKS_IN_BRIEF = {"retry.after_adopt", "after_spawn", "retry.after_rename"}


@pytest.mark.expects_error_log
@pytest.mark.parametrize(("point", "source"), BREAKS)
def test_a_retry_whose_launch_breaks_off_anywhere_can_be_retried(
    twin: TwinPlane, point: str, source: str
) -> None:
    project, copies = twin.add_project(TWO_TRIES), twin.world.copies
    first = died(twin, project)
    tip = twin.tip(first)
    fail_at(point)
    second = retry(twin, first, source=source)
    clear_failpoints()
    assert (second.status, second.released_at is not None) == ("not_started", True)
    ((branch, holder),) = kept(twin)
    assert (branch, twin.run(holder).work_branch) == ("afk/1", "afk/1")
    assert holder == (first.id if source == "fresh" else second.id)
    assert (list(copies), copies[holder].uncommitted) == ([holder], 1)
    assert copies[holder].tip == twin.tip(twin.run(holder)) == tip
    third = twin.see_end(retry(twin, first))
    assert third.status == "succeeded", third.because


@pytest.mark.expects_error_log
@pytest.mark.parametrize(
    ("point", "source"),
    [
        pytest.param(*one, marks=[] if one[0] in BREAKS_IN_BRIEF else [pytest.mark.soak])
        for one in BREAKS
    ],
)
def test_a_launch_that_breaks_off_anywhere_loses_nothing(
    plane: RealPlane, point: str, source: str
) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    tip = plane.tip(first)
    fail_at(point)
    second = retry(plane, first, source=source)
    clear_failpoints()
    assert (second.status, second.released_at is not None) == ("not_started", True)
    ((branch, holder),) = kept(plane)
    assert (branch, plane.run(holder).work_branch) == ("afk/1", "afk/1")
    assert holder == (first.id if source == "fresh" else second.id)
    assert (plane.copy(plane.run(holder)) / "left.txt").exists()
    assert plane.tip(plane.run(holder)) == tip
    left = tip_of(plane.copy(plane.run(holder)))
    if point == "after_spawn":  # the agent may have committed before it was killed
        run_git(plane.copy(plane.run(holder)), "merge-base", "--is-ancestor", str(tip), left)
    else:
        assert left == tip
    copies = [run for run in (first, second) if plane.copy(run).exists()]
    assert [run.id for run in copies] == [holder]
    third = plane.see_end(retry(plane, first))
    # this agent succeeds while there is something left to commit
    assert third.status == ("succeeded" if left == tip else "died"), third.because


def test_no_two_runs_ever_have_one_work_in_hand(twin: TwinPlane) -> None:
    project = twin.add_project(TWO_TRIES)
    first = died(twin, project)
    retry(twin, first)
    rows = twin.ask(select(Run).where(Run.project_id == project.id))
    assert [run.parked for run in rows] == [False, False]
