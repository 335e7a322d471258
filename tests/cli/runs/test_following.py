"""Following a run: live stages and lost connections."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading

import pytest

from app.cli.client import feed
from app.cli.client.connection import Server
from app.cli.client.feed import parse_events
from tests.builders.api_samples import (
    RUN_ID,
    a_dead_run,
    a_project,
    a_run,
    a_running_run,
    an_event,
    some_stages,
)
from tests.drivers.cli.shells import DEADLINE_SECONDS, ROOT, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

RUN = f"/runs/{RUN_ID}"
TRIGGER = ["runs", "trigger", "-p", "demo", "--agent-type", "script", "--wait"]
STREAM = {"Content-Type": "text/event-stream"}


class LiveRun:
    """A run of the recorded server whose state the test advances."""

    def __init__(self, server: RecordedServer, ended: dict) -> None:
        self.server = server
        self.ended = ended
        server.on("GET", "/projects", {"items": [a_project()]})
        server.on("POST", "/runs", Reply(201, a_running_run()))
        self.stand(a_running_run(), "accepted")

    def stand(self, run: dict, *kinds: str) -> None:
        """Set the run's state and the kinds in its timeline."""
        self.server.on("GET", RUN, run)
        self.server.on("GET", f"{RUN}/timeline", {"items": some_stages(*kinds)})

    def spawn(self) -> None:
        """Add `spawned`: the agent has started."""
        self.stand(a_running_run(), "accepted", "spawned")

    def end(self) -> None:
        """End the run."""
        self.stand(self.ended, "accepted", "spawned", "exited")

    def whole_stream(self) -> Reply:
        """Return an event stream from the run's start to its end."""
        return Reply(
            headers=STREAM,
            chunks=[
                b": hello\n\n",
                self.spawn,
                an_event("stage_update", 1, {"kind": "spawned"}),
                # four reads: at the start, when connected, at the comment, and at the stage
                lambda: self.server.await_calls("GET", f"{RUN}/timeline", 4),
                self.end,
                an_event("run_succeeded", 2),
            ],
        )


@pytest.mark.parametrize(
    ("ended", "code", "last"),
    [
        (a_run(), 0, "Succeeded  …7f3k1a  42 s  change #1 open, 1 commit, 2 files, +10 -2"),
        (a_dead_run(), 4, "Died  …7f3k1a  42 s  The agent ended with exit code 3."),
        (
            a_run(status="limited", label="Usage limit", delivery=None, because="Come back."),
            4,
            "Usage limit  …7f3k1a  42 s  Come back.",
        ),
    ],
)
def test_waiting_shows_each_stage_once_and_ends_as_the_run_did(
    ended: dict, code: int, last: str, shell: Shell, server: RecordedServer
) -> None:
    run = LiveRun(server, ended)
    server.on("GET", f"{RUN}/events", run.whole_stream())
    done = shell.run(*TRIGGER)
    assert done.code == code
    assert done.out.splitlines() == [RUN_ID, last]
    stages = [line.split()[1] for line in done.err.splitlines()]
    assert stages == ["accepted", "spawned", "exited"]


def test_waiting_with_json_prints_the_ended_run_alone(shell: Shell, server: RecordedServer) -> None:
    run = LiveRun(server, a_dead_run())
    server.on("GET", f"{RUN}/events", run.whole_stream())
    done = shell.run(*TRIGGER, "--json")
    assert done.code == 4
    assert done.json == a_dead_run()


def test_a_lost_stream_is_resumed_from_the_last_event(shell: Shell, server: RecordedServer) -> None:
    run = LiveRun(server, a_run())
    first = Reply(headers=STREAM, chunks=[run.spawn, an_event("stage_update", 41)])
    second = Reply(headers=STREAM, chunks=[run.end, an_event("run_succeeded", 42)])
    server.on("GET", f"{RUN}/events", first, second)
    done = shell.run(*TRIGGER)
    assert done.code == 0
    calls = server.calls("GET", f"{RUN}/events")
    assert [one.headers.get("last-event-id") for one in calls] == [None, "41"]
    assert [line.split()[1] for line in done.err.splitlines()] == ["accepted", "spawned", "exited"]


def test_without_a_stream_the_run_is_asked_for(shell: Shell, server: RecordedServer) -> None:
    run = LiveRun(server, a_run())
    server.on("GET", RUN, a_running_run(), a_running_run(), a_running_run(), a_run())
    server.on("GET", f"{RUN}/events", Reply(500, b"broken"))
    done = shell.run(*TRIGGER)
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("Succeeded")
    assert run.ended["status"] == "succeeded"


def test_a_reconnect_after_the_end_gets_204_and_ends(shell: Shell, server: RecordedServer) -> None:
    run = LiveRun(server, a_run())
    run.end()
    server.on("GET", f"{RUN}/events", Reply(204))
    assert shell.run(*TRIGGER).code == 0


def test_a_wait_for_the_release_ends_although_the_stream_is_silent(
    server: RecordedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "RELEASE_SECONDS", 0.2)
    over, waited = threading.Event(), list[bool]()
    stream = Reply(headers=STREAM, chunks=[lambda: waited.append(over.wait(DEADLINE_SECONDS))])
    server.on("GET", "/events", stream)
    patient = Server(server.url, None, patience=2 * DEADLINE_SECONDS)
    feed.await_release(patient, RUN_ID)
    assert waited == []
    over.set()


def test_a_wait_is_over_when_nothing_of_the_run_is_left(
    shell: Shell, server: RecordedServer
) -> None:
    ending = a_run(released_at=None)
    LiveRun(server, ending)
    server.on("GET", RUN, a_running_run(), ending)
    server.on("GET", f"{RUN}/events", Reply(204))

    def release() -> None:
        server.on("GET", RUN, a_run())

    told = an_event("run.changed", 7, {"id": RUN_ID})
    stream = Reply(headers=STREAM, chunks=[b": from here on\n\n", release, told])
    server.on("GET", "/events", stream)
    done = shell.run(*TRIGGER, "--json")
    assert done.code == 0, done.err
    assert done.json["released_at"] == a_run()["released_at"]
    assert len(server.calls("GET", "/events")) == 1


def test_a_wait_outlasts_a_server_that_starts_again(shell: Shell, server: RecordedServer) -> None:
    away = [Reply(dropped=True), Reply(503, b"soon"), Reply(dropped=True)]
    server.on("GET", RUN, a_running_run(), *away, a_running_run(), a_run())
    server.on("GET", f"{RUN}/events", Reply(headers=STREAM, chunks=[b": hello\n\n"]))
    server.on("GET", f"{RUN}/timeline", {"items": some_stages("accepted", "exited")})
    done = shell.run("runs", "wait", RUN_ID)
    assert done.code == 0, done.err
    assert done.out.startswith("Succeeded  …7f3k1a")
    assert [line.split()[1] for line in done.err.splitlines()] == ["accepted", "exited"]


def test_an_interrupted_wait_says_that_the_run_goes_on(
    shell: Shell, server: RecordedServer
) -> None:
    LiveRun(server, a_run())
    looked, over = threading.Event(), threading.Event()
    chunks = [b": hello\n\n", looked.set, lambda: over.wait(DEADLINE_SECONDS)]
    server.on("GET", f"{RUN}/events", Reply(headers=STREAM, chunks=chunks))
    process = subprocess.Popen(
        shell.argv(*TRIGGER),
        cwd=ROOT,
        env=shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert looked.wait(DEADLINE_SECONDS)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=DEADLINE_SECONDS)
    over.set()
    assert process.returncode == 130
    assert "The run continues.\n" in told
    assert "runyard runs wait 7f3k1a\n" in told
    assert "runyard runs stop 7f3k1a\n" in told


def test_on_a_terminal_one_line_lives_and_then_makes_way(
    shell: Shell, server: RecordedServer
) -> None:
    run = LiveRun(server, a_run())
    server.on("GET", f"{RUN}/events", run.whole_stream())
    done = shell.run_on_a_terminal(*TRIGGER)
    assert done.code == 0
    frames = done.out.split("\r\x1b[K")
    line = r"Running\x1b\[0m  \d.* of 2 h · 120 tokens in, 45 out · This was spawned\.$"
    assert any(re.search(line, frame) for frame in frames)
    assert all("\n" not in frame for frame in frames[1:-1])
    assert "Succeeded" in frames[-1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_whole_wherever_the_stream_is_cut(size: int) -> None:
    stream = (
        b': ping\r\n\r\nid: 1\r\nevent: log\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
        + an_event("stage_update", 2, {"sentence": "a\u2028b \u00e9"})
        + b"event: note\ndata: no json\n\nid: 3\nevent: cut"
    )
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    events = [(one.name, one.id, one.data) for one in parse_events(iter(pieces))]
    assert events == [
        ("kept_alive", "", {}),
        ("log", "1", {"a": 1}),
        ("stage_update", "2", {"sentence": "a\u2028b \u00e9"}),
        ("note", "", {}),
    ]
