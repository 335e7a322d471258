"""Texts on a project's card."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import Bar, IssueOut, LastRun
from app.domain.words import Status, label_of
from app.state.projects.card_words import (
    Act,
    bars_in_words,
    bars_of,
    can_start,
    issue_choices,
    openings_of,
    presses_of,
    sentence_of,
    status_of,
    statuses_of,
    wants_person,
)
from tests.builders.run_samples import NOON, project_of


def last(status: Status, **changes: Any) -> LastRun:
    values: dict[str, Any] = {
        "id": "run_1",
        "status": status,
        "label": label_of(status),
        "issue": 128,
        "title": "Reject expired coupons",
        "work_branch": "afk/128",
        "created_at": NOON,
        "started_at": NOON,
    }
    return LastRun(**{**values, **changes})


def issue_of(number: int, **changes: Any) -> IssueOut:
    values: dict[str, Any] = {"number": number, "title": f"Do {number}", "state": "open"}
    values |= {"body": "", "labels": [], "ready": True, "claimable": False}
    return IssueOut.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("changes", "words", "ticks"),
    [
        ({}, "Idle", False),
        ({"last_run": last(Status.RUNNING), "live_runs": 1}, "Running #128", True),
        ({"last_run": last(Status.RUNNING, issue=None), "live_runs": 1}, "Running", True),
        ({"last_run": last(Status.DELIVERING), "live_runs": 1}, "Delivering #128", True),
        (
            {"last_run": last(Status.STARTING, started_at=None), "live_runs": 1},
            "Starting #128",
            False,
        ),
        ({"last_run": last(Status.QUEUED, started_at=None)}, "Queued", False),
        ({"last_run": last(Status.DIED), "live_runs": 1}, "Running", False),
        ({"last_run": last(Status.DIED)}, "Idle", False),
        ({"state": "cloning", "clone_percent": 42}, "Cloning 42 %", False),
        ({"state": "cloning"}, "Cloning…", False),
        ({"state": "broken"}, "Broken", False),
        ({"paused": True, "strikes": 4}, "Auto paused · 4 fails", False),
        (
            {"paused": True, "strikes": 3, "last_run": last(Status.RUNNING), "live_runs": 1},
            "Running #128",
            True,
        ),
        ({"archived_at": NOON, "state": "broken"}, "Archived", False),
    ],
)
def test_the_pill_says_the_one_thing_to_know(
    changes: dict[str, Any], words: str, ticks: bool
) -> None:
    status = status_of(project_of(**changes))
    assert (status.words, status.since is not None) == (words, ticks)


def test_the_sentence_of_a_running_project_is_what_is_being_done() -> None:
    project = project_of(last_run=last(Status.RUNNING))
    assert sentence_of(project) == "afk/128 · Reject expired coupons"


def test_the_sentence_of_a_waiting_run_says_why_it_waits() -> None:
    project = project_of(last_run=last(Status.QUEUED), hold="3 of 3 runs are live.")
    assert sentence_of(project) == "afk/128 · Reject expired coupons · 3 of 3 runs are live."


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (
            last(Status.DIED, ended_at=NOON + timedelta(seconds=130), because="agent exited 1"),
            "Last: Died after 02:10 · agent exited 1",
        ),
        (
            last(Status.SUCCEEDED, ended_at=NOON + timedelta(seconds=712), because="delivered"),
            "Last: Succeeded after 11:52 · Reject expired coupons",
        ),
        (
            last(Status.NOT_STARTED, started_at=None, ended_at=NOON, because="claude is missing"),
            "Last: Not started · claude is missing",
        ),
    ],
)
def test_the_sentence_of_an_idle_project_is_its_last_outcome(run: LastRun, sentence: str) -> None:
    assert sentence_of(project_of(last_run=run)) == sentence


def test_the_sentence_of_a_broken_project_is_the_reason() -> None:
    assert sentence_of(project_of(state="broken", state_because="No such host.")) == "No such host."


def test_bars_stand_oldest_first_and_as_tall_as_they_took() -> None:
    runs = [
        Bar(run_id="3", status=Status.RUNNING, label="Running"),
        Bar(run_id="2", status=Status.DIED, label="Died", seconds=7200),
        Bar(run_id="1", status=Status.SUCCEEDED, label="Succeeded", seconds=60),
    ]
    bars = bars_of(project_of(recent_runs=runs))
    assert [bar.height for bar in bars] == [1, 10, 0]
    assert [bar.title for bar in bars] == ["Succeeded · 01:00", "Died · 2:00:00", "Running"]
    assert bars_in_words(project_of(recent_runs=runs)) == (
        "Last 3 runs: 1 Running, 1 Died, 1 Succeeded"
    )


@pytest.mark.parametrize(
    ("changes", "busy", "words"),
    [
        ({}, {}, ["Start AFK run", "Auto AFK runs: Off"]),
        ({"ready_count": 4}, {}, ["Start AFK run(4 ready)", "Auto AFK runs: Off"]),
        ({"ready_count": 0}, {}, ["Start AFK run(0 ready)", "Auto AFK runs: Off"]),
        ({"auto_enabled": True}, {}, ["Start AFK run", "Auto AFK runs: On"]),
        ({"paused": True}, {}, ["Reset", "Start AFK run", "Auto AFK runs: Off"]),
        ({}, {Act.START: "Starting…"}, ["Starting…", "Auto AFK runs: Off"]),
        ({}, {Act.AUTO: "Saving…"}, ["Start AFK run", "Saving…"]),
        ({}, {Act.RESET: "Resetting…"}, ["Resetting…", "Start AFK run", "Auto AFK runs: Off"]),
        ({"state": "cloning"}, {}, ["Start AFK run", "Auto AFK runs: Off"]),
        ({"state": "broken"}, {}, ["Locate…", "Check again"]),
        (
            {"unreachable": True, "auto_enabled": True},
            {},
            ["Locate…", "Check again", "Start AFK run", "Auto AFK runs: On"],
        ),
        ({}, {Act.LOOK: "Checking…"}, ["Checking…", "Start AFK run", "Auto AFK runs: Off"]),
        (
            {"agent_ready": False, "paused": True},
            {},
            ["Reset", "Set up…", "Start AFK run", "Auto AFK runs: Off"],
        ),
        ({"archived_at": NOON, "paused": True}, {}, []),
    ],
)
def test_the_buttons_say_what_they_do_and_what_is_going_on(
    changes: dict[str, Any], busy: dict[Act, str], words: list[str]
) -> None:
    presses = presses_of(project_of(**changes), busy)
    assert [f"{one.head}{one.rest}{one.tail}{one.note}" for one in presses] == words
    assert {one.act for one in presses if one.is_busy} == set(busy)


def test_start_is_greyed_only_where_it_is_known_that_nothing_is_ready() -> None:
    assert not can_start(project_of(ready_count=0))
    assert can_start(project_of(ready_count=None))


def test_the_issues_to_choose_from_are_open_and_the_claimable_ones_come_first() -> None:
    issues = [
        issue_of(3, claimable=True),
        issue_of(1, hold="blocked by #3"),
        issue_of(2, state="closed"),
        issue_of(4, claimable=True),
    ]
    assert issue_choices(issues) == {3: "#3 Do 3", 4: "#4 Do 4", 1: "#1 Do 1 — blocked by #3"}


def test_the_sentence_of_a_paused_project_says_what_to_press() -> None:
    project = project_of(paused=True, strikes=3, last_run=last(Status.DIED))
    assert sentence_of(project) == "Automatic runs wait until you press Reset."


def test_the_sentence_of_a_new_project_says_how_to_begin() -> None:
    nothing_ready = "Nothing ready. Label an issue ready-for-agent to start."
    assert sentence_of(project_of(ready_count=0)) == nothing_ready
    assert sentence_of(project_of(ready_count=None)) == "No runs yet."


def test_only_a_project_that_cannot_go_on_by_itself_wants_a_person() -> None:
    assert wants_person(project_of(paused=True))
    assert wants_person(project_of(state="broken"))
    assert not wants_person(project_of(state="cloning"))
    assert not wants_person(project_of(paused=True, archived_at=NOON))


def test_a_pause_stands_before_a_usage_limit_and_hides_none_of_it() -> None:
    limit = {"agent": "claude", "until": NOON, "because": "limit", "family": ""}
    project = project_of(paused=True, strikes=3, usage_limit=limit)
    assert [one.words for one in statuses_of(project)] == ["Auto paused · 3 fails", "Usage limit"]
    away = project_of(unreachable=True, paused=True, strikes=3)
    assert status_of(away).words == "Repository unreachable"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"sandbox": "contained"}, []),
        ({"sandbox": "sandboxed"}, []),
        ({"sandbox": "none"}, [("Unsandboxed", "stop")]),
        ({"sandbox": "none", "allow": ["docker"]}, [("Unsandboxed", "stop")]),
        ({"sandbox": "contained", "allow": ["docker"]}, [("docker allowed", "wait")]),
        ({"sandbox": "contained", "allow": ["docker", "dbus"]}, [("docker, dbus allowed", "wait")]),
        ({"sandbox": "none", "archived_at": NOON}, []),
    ],
)
def test_only_what_stands_open_to_agents_has_a_pill(
    told: dict[str, Any], words: list[tuple[str, str]]
) -> None:
    assert [(one.words, one.tone) for one in openings_of(project_of(**told))] == words
