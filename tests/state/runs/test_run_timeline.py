"""Events as steps: durations, the current step and the next one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.api.schemas import TimelineEvent
from app.domain.text.durations import step_words
from app.domain.words import Delivers, Status
from app.state.runs.run_timeline import Tone, in_order, steps_of
from tests.builders.run_samples import NOON, run_of


def events_of(*kinds: str, apart: float = 2.0) -> list[TimelineEvent]:
    return [
        TimelineEvent(id=n, at=NOON + timedelta(seconds=n * apart), kind=kind, sentence="")
        for n, kind in enumerate(kinds)
    ]


def test_the_last_step_of_a_live_run_is_now_and_the_rest_is_to_come() -> None:
    steps = steps_of(events_of("accepted", "taken", "claimed"), run_of(1))
    assert [(step.kind, step.tone) for step in steps] == [
        ("accepted", Tone.DONE),
        ("taken", Tone.DONE),
        ("claimed", Tone.NOW),
        ("spawned", Tone.NEXT),
        ("delivered", Tone.NEXT),
        ("reaped", Tone.NEXT),
    ]
    assert [step.seconds for step in steps[:3]] == [None, 2.0, 2.0]


def test_a_report_has_no_pull_request_ahead() -> None:
    run = run_of(1, delivers=Delivers.REPORT)
    assert "delivered" not in [step.kind for step in steps_of(events_of("spawned"), run)]


@pytest.mark.parametrize(
    ("status", "tone"),
    [
        (Status.DIED, Tone.STOP),
        (Status.NOT_STARTED, Tone.STOP),
        (Status.TIMED_OUT, Tone.WAIT),
        (Status.LIMITED, Tone.WAIT),
        (Status.STOPPED, Tone.IDLE),
        (Status.SUCCEEDED, Tone.DONE),
    ],
)
def test_the_end_has_the_tone_of_its_status(status: Status, tone: Tone) -> None:
    steps = steps_of(events_of("spawned", "reaped", "kill_verified"), run_of(1, status))
    assert [step.tone for step in steps] == [Tone.DONE, tone, Tone.DONE]


def test_a_host_that_was_refused_stands_out_from_what_went_well() -> None:
    events = events_of("spawned", "note", "note", "exited", "reaped")
    events[1] = events[1].model_copy(update={"data": {"refused": "evil.example"}})
    refused, note = steps_of(events, run_of(1, Status.SUCCEEDED))[1:3]
    assert (refused.heading, refused.tone) == ("Network", Tone.WAIT)
    assert (note.heading, note.tone) == ("Note", Tone.DONE)


def test_many_looks_at_the_same_work_are_one_step() -> None:
    events = events_of("spawned", "progress", "progress", "progress")
    steps = steps_of(events, run_of(1))
    assert [step.kind for step in steps if step.at] == ["spawned", "progress"]
    assert steps[1].at == events[-1].at


def test_work_after_the_agent_ended_is_delivering() -> None:
    steps = steps_of(events_of("spawned", "exited", "progress"), run_of(1, Status.DELIVERING))
    assert [step.heading for step in steps][2] == "Delivering"


def test_a_check_is_one_step_once_it_has_ended_and_a_red_one_stands_out() -> None:
    events = events_of(
        *("spawned", "exited", "progress", "check_started", "note", "check_ended", "followed_up"),
        *("spawned", "exited", "progress", "check_started", "check_ended", "progress", "delivered"),
    )
    for at, status in ((2, "checking"), (5, "failed"), (9, "checking"), (11, "passed")):
        events[at].data["status"] = status
    for at in (3, 5, 10, 11):
        events[at].data |= {"check": "tests", "round": 1 if at < 8 else 2}
    steps = steps_of(events, run_of(1, Status.SUCCEEDED))
    assert [(step.heading, step.tone) for step in steps] == [
        ("Agent started", Tone.DONE),
        ("Agent ended", Tone.DONE),
        ("Checking", Tone.DONE),
        ("Note", Tone.DONE),
        ("Check", Tone.STOP),
        ("Back to the agent", Tone.WAIT),
        ("Agent started", Tone.DONE),
        ("Agent ended", Tone.DONE),
        ("Checking", Tone.DONE),
        ("Check", Tone.DONE),
        ("Delivering", Tone.DONE),
        ("Delivered", Tone.DONE),
    ]
    going = steps_of(events[:4], run_of(1, Status.CHECKING))
    assert [step.kind for step in going if step.tone is Tone.NOW] == ["check_started"]


def test_events_come_once_and_in_order() -> None:
    first, second, third = events_of("accepted", "taken", "claimed")
    assert in_order([third, first, second, first]) == [first, second, third]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (1.12, "1.1 s"), (11.9, "11 s"), (401, "06:41"), (7200, "2:00:00")],
)
def test_lengths_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert step_words(seconds) == words


def test_what_a_working_agent_reports_is_the_step_of_now() -> None:
    events = events_of("taken", "spawned")
    steps = steps_of(events, run_of(1), "edited 4 files · 61 k tokens · $0.38")
    assert [(step.heading, step.tone) for step in steps[:3]] == [
        ("Taken up", Tone.DONE),
        ("Agent started", Tone.DONE),
        ("Working", Tone.NOW),
    ]
    assert steps[2].sentence == "edited 4 files · 61 k tokens · $0.38"
    assert steps[2].at == events[-1].at


def test_the_sums_of_an_ended_agent_are_a_step_of_the_past() -> None:
    events = events_of("spawned", "progress", "exited", "progress")
    events[1].data["tools_used"] = 5
    run = run_of(1, Status.DELIVERING)
    steps = steps_of(events, run, "5 tool calls")
    headings = [step.heading for step in steps if step.tone is not Tone.NEXT]
    assert headings == ["Agent started", "Worked", "Agent ended", "Delivering"]


def test_a_run_without_any_event_has_only_steps_to_come() -> None:
    assert [step.at for step in steps_of([], run_of(1)) if step.at is not None] == []
