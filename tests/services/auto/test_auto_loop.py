"""The auto loop: its launches, its pauses, and the effect of Reset and Stop."""

from __future__ import annotations

import pytest
from sqlmodel import select

from app.records.tables import Audit
from app.services.auto.afk import Plan
from tests.builders.pushes import write_trusted_hook
from tests.builders.repositories import make_origin, run_git
from tests.drivers.afk import SLEEP, add_issues, fail, plan, reset, runs, start, switch, tick
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import TwinPlane


def test_the_loop_starts_the_lowest_issue_and_charges_nobody(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    add_issues(twin, project, 2)
    switch(twin, project, on=True)
    [run] = runs(twin, project)
    assert (run.issue, run.trigger, run.charged_to, run.status) == (1, "auto", None, "running")
    tick(twin)
    assert len(runs(twin, project)) == 1


def test_the_loop_goes_on_to_the_next_issue_and_never_takes_the_same_again(
    twin: TwinPlane,
) -> None:
    project = twin.add_project("exit 1")
    add_issues(twin, project, 2)
    switch(twin, project, on=True)
    first = twin.see_end(runs(twin, project)[0])
    assert first.status == "died"
    tick(twin)
    assert [run.issue for run in runs(twin, project)] == [1, 2]
    twin.see_end(runs(twin, project)[1])
    tick(twin)
    assert len(runs(twin, project)) == 2
    holds = dict(plan(twin, project).holds)
    assert holds == {1: "parked: afk/1", 2: "parked: afk/2"}


def test_three_failures_pause_the_loop_and_nothing_else(twin: TwinPlane) -> None:
    project = twin.add_project("exit 1")
    add_issues(twin, project, 5)
    switch(twin, project, on=True)
    for _ in range(3):
        twin.see_end(runs(twin, project)[-1])
        tick(twin)
    paused = twin.project(project.id)
    assert (paused.strikes, paused.paused_because) == (3, "agent exited 1")
    assert len(runs(twin, project)) == 3
    assert plan(twin, project).because == "auto runs are paused after 3 fails"
    # manual runs still start
    run = start(twin, project).run
    assert run.issue == 4
    assert twin.see_end(twin.run(run.id)).status == "died"
    assert twin.project(project.id).strikes == 4
    assert len(runs(twin, project)) == 4


def test_switching_off_and_on_does_not_end_a_pause(twin: TwinPlane) -> None:
    project = twin.add_project("exit 1")
    fail(twin, project, 3)
    twin.add_issue(project)
    switch(twin, project, on=True)
    switch(twin, project, on=False)
    switch(twin, project, on=True)
    assert twin.project(project.id).strikes == 3
    assert len(runs(twin, project)) == 3


def test_reset_ends_the_pause_and_the_next_issue_starts_at_once(twin: TwinPlane) -> None:
    project = twin.add_project("exit 1")
    fail(twin, project, 3)
    number = twin.add_issue(project).number
    switch(twin, project, on=True)
    reset(twin, project)
    row = twin.project(project.id)
    assert (row.strikes, row.paused_because) == (0, None)
    assert runs(twin, project)[-1].issue == number
    assert [view.id for view in twin.services.overview.of(project.id).failures] == []


def test_a_success_by_hand_arms_the_loop_again(twin: TwinPlane) -> None:
    agent = f"if [ $RUNYARD_ISSUE = 4 ]; then {COMMIT}; else exit 1; fi"
    project = twin.add_project(agent)
    fail(twin, project, 3)
    add_issues(twin, project, 2)
    switch(twin, project, on=True)
    assert len(runs(twin, project)) == 3
    run = start(twin, project, 4).run
    assert twin.see_end(twin.run(run.id)).status == "succeeded"
    assert twin.project(project.id).strikes == 0
    tick(twin)
    assert 5 in [run.issue for run in runs(twin, project)]


def test_a_plain_run_moves_the_count_neither_way(twin: TwinPlane) -> None:
    project = twin.add_project(f'if [ -n "$RUNYARD_ISSUE" ]; then exit 1; fi; {COMMIT}')
    fail(twin, project, 2)
    strikes = twin.project(project.id).strikes
    assert twin.finish(project, task="Tidy").status == "succeeded"
    assert twin.project(project.id).strikes == strikes


def test_a_stop_keeps_the_count_and_the_claim(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    add_issues(twin, project, 1)
    switch(twin, project, on=True)
    run = twin.stop_run(runs(twin, project)[0])
    assert (run.status, run.parked) == ("stopped", True)
    tick(twin)
    assert twin.project(project.id).strikes == 0
    assert len(runs(twin, project)) == 1
    assert plan(twin, project).holds == [(1, "parked: afk/1")]


def test_the_last_three_failures_since_the_last_success_are_told_newest_first(
    twin: TwinPlane,
) -> None:
    project = twin.add_project("exit $RUNYARD_ISSUE")
    fail(twin, project, 4)
    shown = twin.services.overview.of(project.id).failures
    assert [run.because for run in shown] == [f"agent exited {n}" for n in (4, 3, 2)]


def test_one_auto_run_of_a_project_at_a_time_beside_those_by_hand(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    add_issues(twin, project, 4)
    switch(twin, project, on=True)
    start(twin, project)
    tick(twin)
    assert [run.trigger for run in runs(twin, project)] == ["auto", "api"]


def test_an_auto_run_is_made_only_where_it_can_start_at_once(twin: TwinPlane) -> None:
    busy, other = twin.add_project(SLEEP), twin.add_project(SLEEP)
    for number in range(3):
        twin.launch(busy, task=f"{number}")
    twin.add_issue(other)
    switch(twin, other, on=True)
    assert runs(twin, other) == []
    assert plan(twin, other) == Plan(
        None,
        "all slots for live runs are taken",
        [(1, "all slots for live runs are taken")],
    )
    twin.stop_run(runs(twin, busy)[0])
    tick(twin)
    assert len(runs(twin, other)) == 1


def test_after_launches_that_fail_the_loop_waits_longer_each_time(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.world.launch_problem = "The project's setup command failed (exit code 1)."
    add_issues(twin, project, 1)
    switch(twin, project, on=True)
    assert [run.status for run in runs(twin, project)] == ["not_started"]
    tick(twin)
    assert len(runs(twin, project)) == 1
    waits = plan(twin, project)
    assert waits.would is None
    assert waits.because.startswith("the last launch failed (")
    for pause, count in ((30, 2), (30, 2), (30, 3), (60, 3), (60, 4)):
        twin.clock.advance(pause)
        twin.tick()
        assert len(runs(twin, project)) == count
    assert twin.project(project.id).strikes == 0


def test_an_origin_that_refuses_what_is_pushed_does_not_eat_the_backlog(plane: RealPlane) -> None:
    origin = make_origin(plane.folder / "strict", bare=True)
    project = plane.add_project(COMMIT, origin=origin)
    write_trusted_hook(plane, project, "pre-receive", "echo protected; exit 1")
    add_issues(plane, project, 3)
    switch(plane, project, on=True)
    run = plane.see_end(runs(plane, project)[0])
    assert (run.status, run.cause) == ("died", "push_refused")
    tick(plane)
    assert len(runs(plane, project)) == 1
    assert "tried again at" in plan(plane, project).because
    plane.clock.advance(600)
    plane.tick()
    assert len(runs(plane, project)) == 2


def test_an_issue_that_keeps_its_claim_makes_no_other_wait(plane: RealPlane) -> None:
    origin = make_origin(plane.folder / "busy", bare=True)
    run_git(origin, "branch", "afk/1", "main")
    project = plane.add_project(SLEEP, origin=origin)
    add_issues(plane, project, 2)
    switch(plane, project, on=True)
    assert runs(plane, project)[0].status == "not_started"
    tick(plane)
    assert [run.issue for run in runs(plane, project)] == [1, 2]


@pytest.mark.expects_error_log
def test_a_project_whose_agent_is_unknown_stops_no_other(twin: TwinPlane) -> None:
    odd, well = twin.add_project(SLEEP), twin.add_project(SLEEP)
    for project in (odd, well):
        twin.add_issue(project)
        twin.ledgers.projects.change(project.id, auto_enabled=True)
    twin.ledgers.projects.change(odd.id, agent="nobody-knows-it")
    tick(twin)
    assert [len(runs(twin, project)) for project in (odd, well)] == [0, 1]


def test_where_slots_are_few_projects_take_turns(twin: TwinPlane) -> None:
    projects = [twin.add_project("exit 1", max_concurrency=1) for _ in range(4)]
    for project in projects:
        add_issues(twin, project, 2)
        twin.ledgers.projects.change(project.id, auto_enabled=True)
    tick(twin)
    first = [run for project in projects for run in runs(twin, project)]
    assert len(first) == 3
    for run in first:
        twin.see_end(run)
    tick(twin)
    # the project that had to wait is among the next, though its id is not the lowest
    assert all(runs(twin, project) for project in projects)


def test_the_plan_says_why_each_issue_waits(twin: TwinPlane) -> None:
    project = twin.add_project("exit 1")
    twin.add_issue(project, "Parked one")
    twin.see_end(twin.run(start(twin, project, 1).run.id))
    twin.add_issue(project, "First")
    twin.add_issue(project, "Blocked one", body="## blocked by\n#2")
    twin.add_issue(project, "Second")
    twin.services.issues.add(project.id, "Not labelled", "", [], twin.clock())
    holds = [(1, "parked: afk/1"), (3, "blocked by #2")]
    off = [(2, "auto runs are off"), (4, "auto runs are off"), (5, "not ready")]
    assert plan(twin, project) == Plan(None, "auto runs are off", sorted(holds + off))
    twin.ledgers.projects.change(project.id, auto_enabled=True)
    on = [(4, "#2 goes first"), (5, "not ready")]
    assert plan(twin, project) == Plan(2, "would start #2", sorted(holds + on))


def test_one_project_that_cannot_be_read_does_not_stop_the_others(
    twin: TwinPlane, caplog: pytest.LogCaptureFixture
) -> None:
    broken, well = twin.add_project(SLEEP), twin.add_project(SLEEP)
    for project in (broken, well):
        twin.add_issue(project)
        twin.ledgers.projects.change(project.id, auto_enabled=True)
    twin.ledgers.tracker.change_issue(broken.id, 1, twin.clock(), labels={"not": "a list"})
    tick(twin)
    assert [len(runs(twin, project)) for project in (broken, well)] == [0, 1]


def test_switching_and_reset_are_written_down(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    switch(twin, project, on=True)
    reset(twin, project)
    with twin.database.reading() as session:
        deeds = session.exec(select(Audit)).all()
    assert [(deed.deed, deed.object) for deed in deeds] == [
        ("auto", project.id),
        ("reset", project.id),
    ]
