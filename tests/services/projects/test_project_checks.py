"""Checks of projects: what lifts the hold of one that could not be started."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.projects.checks import Check
from app.errors import Invalid, ProjectArchived
from app.records.stores.outbox import CHECK_HOLD
from app.records.tables import Project
from tests.builders.repositories import commit_files, make_origin, run_git
from tests.drivers.afk import SLEEP, add_issues, plan, reset, runs, switch, tick
from tests.drivers.planes import RealPlane
from tests.fakes.planes import TwinPlane

TESTS = Check("tests", ("make", "test")).as_data()
SENTENCE = "Check “tests” could not be started: make was not found."


def held(twin: TwinPlane) -> Project:
    """Return a project with a ready issue whose loop is held by a check, Auto switched on."""
    project = twin.add_project(SLEEP)
    change(twin, project, checks=[TESTS])
    run = twin.stop_run(twin.accept(twin.order(project)))
    add_issues(twin, project, 1)
    data = {"name": "tests", "because": "make was not found.", "checks": [TESTS]}
    with twin.stores.control.transaction() as tx:
        twin.services.outbox.follow(tx, twin.run(run.id), CHECK_HOLD, data, twin.clock())
    switch(twin, project, on=True)
    return twin.project(project.id)


def change(twin: TwinPlane, project: Project, **settings: Any) -> Project:
    changed = twin.services.projects.change(project.id, **settings)
    twin.rest()
    return changed


def auto_runs(twin: TwinPlane, project: Project) -> int:
    return sum(run.trigger == "auto" for run in runs(twin, project))


def test_the_loop_waits_with_the_sentence_and_a_person_may_start_anyway(twin: TwinPlane) -> None:
    project = held(twin)
    tick(twin)
    assert (project.checks_error, plan(twin, project).because) == (SENTENCE, SENTENCE)
    assert twin.services.overview.of(project.id).hold == SENTENCE
    assert auto_runs(twin, project) == 0
    twin.accept(twin.order(project))


def test_trying_again_lets_the_loop_go_on_at_once(twin: TwinPlane) -> None:
    project = held(twin)
    twin.services.projects.try_checks_again(project.id)
    twin.rest()
    assert twin.project(project.id).checks_error is None
    assert auto_runs(twin, project) == 1
    twin.services.projects.try_checks_again(project.id)


@pytest.mark.parametrize(
    "settings",
    [
        {"checks": []},
        {"checks": [{**TESTS, "command": ["pytest"]}]},
        {"sandbox": "contained"},
        {"limits": {"processes": 100}},
    ],
    ids=str,
)
def test_a_change_of_checks_or_sandbox_lifts_the_hold(
    twin: TwinPlane, settings: dict[str, Any]
) -> None:
    project = held(twin)
    assert change(twin, project, **settings).checks_error is None
    assert auto_runs(twin, project) == 1


@pytest.mark.parametrize(
    "settings", [{"checks": [TESTS]}, {"check_rounds": 0}, {"prompt": "Do it"}], ids=str
)
def test_any_other_change_leaves_the_hold(twin: TwinPlane, settings: dict[str, Any]) -> None:
    project = held(twin)
    assert change(twin, project, **settings).checks_error == SENTENCE


@pytest.mark.parametrize(
    ("settings", "hold"),
    [
        ({"sandbox": "contained"}, None),
        ({"checks": [{**TESTS, "timeout_seconds": 60}]}, None),
        ({"prompt": "Do it"}, SENTENCE),
    ],
    ids=str,
)
def test_what_was_changed_while_the_check_was_running_is_not_held_against_the_next_one(
    twin: TwinPlane, settings: dict[str, Any], hold: str | None
) -> None:
    project = twin.add_project(SLEEP)
    change(twin, project, checks=[TESTS])
    run = twin.start_running(project)
    began = twin.clock.advance(5)
    twin.clock.advance(5)
    change(twin, project, **settings)
    data = {"name": "tests", "because": "make was not found.", "checks": [TESTS]}
    with twin.stores.control.transaction() as tx:
        data |= {"began": began.isoformat()}
        twin.services.outbox.follow(tx, twin.run(run.id), CHECK_HOLD, data, twin.clock())
    assert twin.project(project.id).checks_error == hold
    twin.stop_run(run)


def test_a_start_that_contains_agents_again_lifts_the_hold(twin: TwinPlane) -> None:
    project = held(twin)
    unchosen = {"sandbox": "none", "sandbox_chosen": False, "checks_error": SENTENCE}
    twin.ledgers.projects.change(project.id, **unchosen)
    assert twin.services.projects.sandboxes.contain_once(twin.clock()) == 1
    assert twin.project(project.id).checks_error is None


def test_reset_leaves_the_hold(twin: TwinPlane) -> None:
    project = held(twin)
    reset(twin, project)
    assert twin.project(project.id).checks_error == SENTENCE


def test_checks_of_an_archived_project_are_not_tried(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.services.projects.archive(project.id, twin.clock())
    with pytest.raises(ProjectArchived):
        twin.services.projects.try_checks_again(project.id)


def test_what_a_check_lacks_has_its_default_and_wrong_checks_are_refused(twin: TwinPlane) -> None:
    project = twin.add_project()
    changed = change(twin, project, checks=[{"name": "tests", "command": ["make", "test"]}])
    assert (changed.checks, changed.checks_answered) == ([TESTS], True)
    with pytest.raises(Invalid, match="give each its own name"):
        change(twin, project, checks=[TESTS, TESTS])


SUGGESTING = {"Makefile": "test:\n\ttrue\n", "go.mod": "module shop\n"}


def suggested(plane: RealPlane, project: Project) -> list[str] | None:
    """Return the names of the checks that a project's files suggested."""
    found = plane.project(project.id).suggested_checks
    return None if found is None else [one["name"] for one in found]


def register(plane: RealPlane, files: dict[str, str]) -> Project:
    origin = make_origin(plane.folder / "shop", files=files, bare=True)
    project = plane.services.projects.add("shop", str(origin), plane.clock(), agent="claude")
    plane.rest()
    return plane.project(project.id)


def test_the_files_at_the_base_suggest_checks_once_they_are_cloned(plane: RealPlane) -> None:
    assert suggested(plane, register(plane, SUGGESTING)) == ["make test", "go test"]


def test_a_repository_without_such_files_suggests_nothing(plane: RealPlane) -> None:
    assert suggested(plane, register(plane, {"README.md": "make test\n"})) == []


def test_projects_of_an_earlier_version_are_looked_at_once(plane: RealPlane) -> None:
    project = register(plane, SUGGESTING)
    plane.ledgers.projects.change(project.id, suggested_checks=None)
    plane.services.projects.resume_clones()
    plane.rest()
    assert suggested(plane, project) == ["make test", "go test"]
    answered = {"suggested_checks": None, "checks_answered": True}
    plane.ledgers.projects.change(project.id, **answered)
    plane.services.projects.resume_clones()
    plane.rest()
    assert suggested(plane, project) is None


MAKEFILE = {"Makefile": "test:\n\ttrue\n"}


@pytest.mark.parametrize("answer", ["none", "No"])
def test_later_commits_suggest_checks_until_somebody_answers(plane: RealPlane, answer: str) -> None:
    project = register(plane, {"README.md": "A shop.\n"})
    if answer == "No":
        plane.services.projects.change(project.id, suggested_checks=[])
    bare, desk = plane.folder / "shop", plane.folder / "desk"
    run_git(plane.folder, "clone", "-q", str(bare), str(desk))
    commit_files(desk, MAKEFILE)
    run_git(desk, "push", "-q", "origin", "HEAD:main")
    assert suggested(plane, project) == []
    plane.ledgers.projects.change(
        project.id, agent="script", agent_command=["true"], sandbox="none"
    )
    plane.finish(plane.project(project.id))
    assert suggested(plane, project) == ([] if answer == "No" else ["make test"])


def test_a_merge_suggests_the_checks_that_it_brings(plane: RealPlane) -> None:
    agent = "printf 'test:\\n\\ttrue\\n' > Makefile; git add -A; git commit -qm Makefile"
    project = plane.add_project(agent)
    run = plane.finish(project)
    assert run.delivery is not None
    assert suggested(plane, project) == []
    plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    plane.rest()
    assert suggested(plane, project) == ["make test"]


def test_another_base_branch_suggests_what_its_files_say(plane: RealPlane) -> None:
    project = register(plane, SUGGESTING)
    origin = plane.folder / "shop"
    run_git(origin, "branch", "empty", "main")
    plane.ledgers.projects.change(project.id, known_branches=["main", "empty"])
    plane.services.projects.change(project.id, base_branch="empty")
    # not fetched yet: nothing is known of it
    assert suggested(plane, project) is None
