"""Start times of runs on the command line."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.builders.api_samples import RUN_ID, a_project, a_run
from tests.drivers.cli.shells import Here
from tests.fakes.recorded_server import RecordedServer, Reply

TRIGGER = ("runs", "trigger", "--project", "demo", "--agent-type", "script", "--delay")
RUN = f"/runs/{RUN_ID}"
LATER = "2030-01-02T02:00:00.000Z"
DELAYED = {
    "status": "delayed",
    "label": "Delayed",
    "phase": "waiting",
    "starts_at": LATER,
    "ttl": 600,
    "tags": ["night", "big"],
    "idempotency_key": "tonight",
    "started_at": None,
    "ended_at": None,
}


@pytest.fixture
def plans(server: RecordedServer) -> RecordedServer:
    """A server with a planned run."""
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("POST", "/runs", Reply(201, a_run(**DELAYED)))
    server.on("GET", RUN, a_run(**DELAYED))
    server.on("GET", f"{RUN}/timeline", {"items": []})
    server.on("GET", f"{RUN}/report", {})
    server.on("PATCH", RUN, a_run(**DELAYED))
    return server


@pytest.mark.parametrize(("words", "seconds"), [("90", 90), ("90m", 5400), ("1h 30m", 5400)])
def test_a_span_is_sent_in_seconds(
    here: Here, plans: RecordedServer, words: str, seconds: int
) -> None:
    assert here(*TRIGGER, words).code == 0
    assert plans.calls("POST", "/runs")[0].body["delay"] == seconds


def test_a_time_of_day_is_one_of_this_machines_clock(here: Here, plans: RecordedServer) -> None:
    tomorrow = datetime.now().astimezone().date() + timedelta(days=1)
    assert here(*TRIGGER, "tomorrow 02:00").code == 0
    sent = datetime.fromisoformat(plans.calls("POST", "/runs")[0].body["delay"])
    assert sent.utcoffset() == timedelta(0)
    assert sent.astimezone().strftime("%Y-%m-%d %H:%M") == f"{tomorrow} 02:00"


@pytest.mark.parametrize("words", ["soon", "2020-01-01T00:00", "40d"])
def test_a_moment_that_is_none_is_a_wrong_word(
    here: Here, plans: RecordedServer, words: str
) -> None:
    ended = here(*TRIGGER, words)
    assert (ended.code, plans.calls("POST", "/runs")) == (2, [])
    assert "Write 90" in ended.err or "has passed" in ended.err or "30 days" in ended.err


def test_a_delayed_run_is_moved_and_started_now(here: Here, plans: RecordedServer) -> None:
    moved = here("runs", "move", RUN_ID, "1h")
    here_now = datetime.fromisoformat(LATER).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert (moved.code, f"starts at {here_now}" in moved.out) == (0, True)
    plans.on("PATCH", RUN, a_run(**DELAYED | {"status": "queued", "label": "Queued"}))
    assert here("runs", "start-now", RUN_ID).out.startswith("Queued")
    assert [one.body for one in plans.calls("PATCH", RUN)] == [
        {"starts_at": 3600},
        {"start_now": True},
    ]


def test_a_run_is_shown_with_its_moment_its_key_and_its_tags(
    here: Here, plans: RecordedServer
) -> None:
    told = here("runs", "show", RUN_ID).out
    for words in ("2030-01-0", "10 min in the queue", "night, big", "tonight"):
        assert words in told
