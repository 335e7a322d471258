"""Notifications of failed runs: they mention kept work only where there is some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.domain.lifecycle import Signal
from app.domain.projects.check_rounds import CheckEnd, CheckOutcome, CheckPlan, decide
from app.domain.projects.checks import Check, OnRed
from app.domain.words import CheckStatus, Depth
from app.records.runs.run_columns import RunColumns
from app.records.tables import Run
from app.services.lifecycle.transitions import Line
from app.services.ports import LargeFile, Leak, Repository
from app.services.runs.requests import RunRequest
from tests.builders.notifications import HOURS, MORNING, NIGHT, PHONE, Telling, telling

ISSUE_IS_HELD = "Runyard: yard0 needs you: the issue stays out of the queue until you free it"

NOT_PUSHED = {
    "secret_found": "Runyard: yard0 needs you: its commits contain a secret and were not pushed",
    "file_too_large": "Runyard: yard0 needs you: a file in its commits is too large, so they were"
    " not pushed",
}


def plain(
    yard: Telling,
    *,
    code: int = 1,
    commits: bool = False,
    files: bool = False,
    is_stopped: bool = False,
) -> Run:
    """Run without an issue from start to end."""
    plane, project = yard.plane, yard.project()
    order = RunRequest(project.id, Depth.QUICK, "auto", task="Look around")
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    if commits:
        yard.world.commit(run.id)
    if files:
        yard.world.leave_file(run.id)
    if is_stopped:
        plane.services.stopper.stop(run.id, "not wanted", plane.clock())
        plane.rest()
    yard.world.end(run.id, code)
    plane.reaper.reap_once(run.id)
    plane.rest()
    yard.go_round()
    found = plane.ledgers.runs.find(run.id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (3, "Runyard: yard0 failed: nothing is kept"),
        (0, "Runyard: yard0 made no change: nothing is kept"),
    ],
)
def test_a_run_that_leaves_nothing_says_so_and_asks_for_nobody(
    tmp_path: Path, code: int, title: str
) -> None:
    with telling(tmp_path) as yard:
        run = plain(yard, code=code)
        assert (run.status, run.parked) == ("died", False)
        assert yard.titles() == [title]
        lines = yard.taken()[0].body.splitlines()
        assert lines[0] == "Look around"
        assert lines[2] == f"http://127.0.0.1:8080/runs/{run.id}"
        assert yard.states() == [("failed", "sent")]


@pytest.mark.parametrize("left", ["commits", "files"])
def test_a_plain_run_that_left_work_needs_a_person(tmp_path: Path, left: str) -> None:
    with telling(tmp_path) as yard:
        run = plain(yard, **{left: True})
        assert run.parked
        assert yard.titles() == ["Runyard: yard0 needs you: work is kept until you decide"]


@pytest.mark.parametrize("cause", ["secret_found", "file_too_large"])
def test_work_that_a_check_kept_here_says_what_it_needs(tmp_path: Path, cause: str) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        if cause == "secret_found":
            yard.world.leak = Leak("Runyard's token", "1" * 40, "app.yml", 3)
        else:
            yard.world.large_files.append(LargeFile("film.bin", 10**12))
        run = yard.run(project)
        yard.go_round()
        assert (run.status, run.cause, run.parked) == ("died", cause, True)
        assert yard.titles() == [NOT_PUSHED[cause]]
        lines = yard.taken()[0].body.splitlines()
        assert lines[:3] == ["afk/1", run.because, f"http://127.0.0.1:8080/runs/{run.id}"]


def test_an_issues_empty_branch_says_that_the_issue_is_held(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        run = yard.run(yard.project(), code=3, commits=False)
        yard.go_round()
        assert run.parked
        assert yard.titles() == [ISSUE_IS_HELD]
        lines = yard.taken()[0].body.splitlines()
        assert lines[:3] == ["afk/1", "agent exited 3", f"http://127.0.0.1:8080/runs/{run.id}"]


def test_a_run_that_a_person_stopped_is_no_news(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        run = plain(yard, is_stopped=True)
        assert run.status == "stopped"
        assert yard.titles() == []


def test_failures_alone_can_be_asked_for_and_left_out(tmp_path: Path) -> None:
    with telling(tmp_path / "only", notify_kinds="failed") as yard:
        plain(yard)
        plain(yard, commits=True)
        assert yard.titles() == ["Runyard: yard0 failed: nothing is kept"]
    with telling(tmp_path / "others", notify_kinds="delivered paused needs_you digest") as yard:
        plain(yard)
        assert yard.titles() == []


def test_a_night_of_failures_is_in_the_digest_once(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, **HOURS) as yard:
        run = plain(yard)
        assert yard.taken(PHONE) == []
        yard.set_clock(MORNING)
        (digest,) = yard.taken()
        assert digest.title == "Runyard: 1 failed"
        assert digest.body.count(f"/runs/{run.id}") == 1


PLAN = CheckPlan((Check("tests", ("make", "test")),), 0, OnRed.PARK)
AS_DRAFT = replace(PLAN, on_red=OnRed.DELIVER)
FAILED = CheckEnd(CheckStatus.FAILED, "exit code 2", 2)
MISSING = CheckEnd(CheckStatus.ERROR, "make was not found")


@pytest.mark.parametrize(
    ("plan", "end", "kind", "title", "subject", "place"),
    [
        (
            *(PLAN, FAILED, "needs_you"),
            "needs you: its checks failed, and its work is kept until you decide",
            *("afk/1", "/runs/{run}"),
        ),
        (
            *(PLAN, MISSING, "needs_you"),
            "needs you: a check could not be started, and its work is kept",
            *("afk/1", "/projects/{project}"),
        ),
        (
            *(AS_DRAFT, FAILED, "delivered"),
            "delivered as a draft: its checks failed",
            *("#1 Mend it", "/projects/{project}/changes/2"),
        ),
    ],
    ids=["parked", "not started", "draft"],
)
def test_red_checks_are_told_once_with_what_became_of_the_work(
    tmp_path: Path, plan: CheckPlan, end: CheckEnd, kind: str, title: str, subject: str, place: str
) -> None:
    with telling(tmp_path) as yard:
        plane, project = yard.plane, yard.project()
        number = plane.add_issue(project)
        run = plane.services.afk.start(project.id, number, plane.requester(), plane.clock()).run
        plane.rest()
        yard.world.commit(run.id)
        yard.world.end(run.id)
        judge(yard, run.id, plan, end)
        yard.go_round()
        assert yard.titles() == [f"Runyard: yard0 {title}"]
        assert yard.states() == [(kind, "sent")]
        lines = yard.taken()[0].body.splitlines()
        path = place.format(project=project.id, run=run.id)
        assert (lines[0], lines[2]) == (subject, f"http://127.0.0.1:8080{path}")


def judge(yard: Telling, run_id: str, plan: CheckPlan, end: CheckEnd) -> None:
    """Decide a run's round by the end of its only check, and look at the run after that."""
    plane = yard.plane
    run = plane.ledgers.runs.find(run_id)
    assert run is not None
    repo = Repository(run.project_id, "yard0")
    tip = plane.adapters.copies.import_work(repo, run.id, run.work_branch)
    begun: Any = {"status": "checking", "check_round": 1, "head_sha": tip}
    plane.ledgers.runs.update_fields(run_id, "", checks=plan.as_data(), **begun)
    run = plane.ledgers.runs.find(run_id) or run
    verdict = decide(plan, [CheckOutcome("tests", True, end)], run.check_round)
    assert verdict is not None
    columns: RunColumns = {}
    if verdict.signal is Signal.RED_DRAFT:
        columns = {"checks": {**plan.as_data(), "red": [verdict.because]}}
    plane.reaper._checking._transitions.write(run, verdict, Line("reaped", "judged"), **columns)
    plane.reaper.reap_once(run_id)
    plane.rest()
