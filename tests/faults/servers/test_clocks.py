"""F31, F32: a clock that jumps or changes for daylight saving, a machine that was asleep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.machine.clock_changes import ClockChanges
from app.adapters.supervisor.kernel import boot_clock
from app.control_plane.scheduler import Scheduler
from app.domain.end_causes import ExitReason
from tests.builders.databases import shared_database
from tests.builders.repositories import make_origin
from tests.drivers.gates import Gate
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.servers.entry import seams_of
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, is_living, order, script, until
from tests.faults.servers.test_restarts import add_project, killable_server, post_run, see

ROOT = Path(__file__).parents[3]
DAY = 86400
TICKS = 0.1
TICKER = f"""
import threading, time
from app.control_plane.scheduler import Scheduler
scheduler = Scheduler()
scheduler.repeat(lambda: print(time.monotonic(), flush=True), {TICKS})
scheduler.start()
threading.Event().wait()
"""


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that agents wait at."""
    return Gate(tmp_path)


def set_clock(folder: Path, seconds: float) -> None:
    """Shift the server's clock by these seconds, atomically."""
    (folder / "new").write_text(str(seconds))
    (folder / "new").rename(folder / "clock")


def with_clock(folder: Path) -> dict[str, str]:
    """Return settings for a server with a test clock and frequent sweeps."""
    return {
        "RUNYARD_TEST_CLOCK": str(folder / "clock"),
        "RUNYARD_SWEEP_SECONDS": "0.3",
    }


# --- the clock that a test sets -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("7200", 7200), ("-86400\n", -DAY), (None, 0)], ids=str
)
def test_a_clock_is_as_far_ahead_as_its_file_says(
    tmp_path: Path, text: str | None, seconds: int
) -> None:
    now = seams_of({"RUNYARD_TEST_CLOCK": str(tmp_path / "clock")})["clock"]
    if text is not None:
        (tmp_path / "clock").write_text(text)
    ahead = now() - datetime.now(UTC) - timedelta(seconds=seconds)
    assert abs(ahead) < timedelta(seconds=60)


# --- F31 ----------------------------------------------------------------------------------------


def numbers_of(content: Any) -> Iterator[float]:
    """Yield every number in an answer of the API."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from numbers_of(part)
    elif isinstance(content, int | float):
        yield content


def test_f31_a_server_whose_clock_jumps_ends_no_run_and_keeps_sweeping(
    tmp_path: Path, gate: Gate
) -> None:
    origin = make_origin(tmp_path / "origin")
    agent = f'if test "$RUNYARD_ISSUE"; then {gate.wait}; fi; exit 3'
    with killable_server(tmp_path, **with_clock(tmp_path)) as server, server.client() as client:
        project = add_project(client, origin, agent, budget_seconds=300)
        client.post(f"/projects/{project}/issues", json={"title": "Mend it"})
        live = post_run(client, project, issue=1)
        gate.await_arrival()
        later = post_run(client, project, task="later", delay=3600)
        for seconds in (DAY, -DAY):
            set_clock(tmp_path, seconds)
            see(client, later, "died")  # the clock jumped past its start time, a day early
            # and this run needs whole sweeps by the new clock
            see(client, post_run(client, project, task=f"{seconds}"), "died")
            assert client.get(f"/runs/{live['id']}").json()["status"] == "running"
            assert client.get(f"/projects/{project}").json()["strikes"] == 0
            for path in ("/runs", "/projects", "/quota", "/system"):
                assert min(numbers_of(client.get(path).json()), default=0) >= 0, path
        gate.open()
        assert see(client, live, "died")["cause"] == "exit_code"


@pytest.mark.parametrize("month", [3, pytest.param(10, marks=pytest.mark.soak)])
def test_f31_an_hour_is_an_hour_when_the_season_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, month: int
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with real_plane(tmp_path) as plane:
            # half an hour before the clocks in that zone change by an hour
            day = {3: 29, 10: 25}[month]
            plane.clock.now = now = datetime(2026, month, day, 0, 30, tzinfo=UTC)
            assert count_hours_of(day, month) == {3: 23, 10: 25}[month]
            project = plane.add_project("sleep 600", budget_seconds=3600)
            live = plane.start_running(project)
            later = plane.launch(project, delay_seconds=3600, task="later")
            assert (live.deadline, later.due_at) == (now + timedelta(hours=1),) * 2
            plane.clock.advance(3599)
            plane.tick()
            assert [plane.run(run.id).status for run in (live, later)] == ["running", "delayed"]
            plane.clock.advance(1)
            plane.tick()
            assert plane.run(later.id).status == "running"
            for run in (live, later):
                plane.stop_run(run)
    finally:
        monkeypatch.undo()
        time.tzset()


def count_hours_of(day: int, month: int) -> int:
    """Return how many hours a day has in the local time zone."""
    begin, end = (time.mktime((2026, month, one, 0, 0, 0, 0, 0, -1)) for one in (day, day + 1))
    return round(end - begin) // 3600


def test_f31_a_clock_that_was_set_back_stops_no_sweep() -> None:
    came = threading.Event()
    scheduler = Scheduler()
    scheduler.repeat(came.set, 30)
    scheduler.start()
    try:
        # the next sweep as seen from a day before, as after the clock was set back
        [job] = scheduler._scheduler.get_jobs()
        job.modify(next_run_time=datetime.now(UTC) + timedelta(days=1))
        scheduler.clock_was_set()
        assert came.wait(10)
    finally:
        scheduler.stop()


@pytest.mark.soak
def test_f31_the_kernel_tells_that_the_clock_was_set() -> None:
    told = threading.Semaphore(0)
    changes = ClockChanges(told.release)
    changes.start()
    try:
        for _ in range(3):
            # set to the current time, so that no other process is disturbed
            time.clock_settime(time.CLOCK_REALTIME, time.time())
            assert told.acquire(timeout=10)
    finally:
        changes.stop()


# --- F32 ----------------------------------------------------------------------------------------


def test_f32_a_server_that_was_suspended_continues_where_it_was(tmp_path: Path, gate: Gate) -> None:
    origin, begun = make_origin(tmp_path / "origin"), tmp_path / "begun"
    agent = f'echo "$RUNYARD_RUN_ID" >> {begun}; if test "$RUNYARD_ISSUE"; then {gate.wait}; fi'
    with killable_server(tmp_path, **with_clock(tmp_path)) as server, server.client() as client:
        assert server.process is not None
        project = add_project(client, origin, agent, budget_seconds=300)
        client.post(f"/projects/{project}/issues", json={"title": "Mend it"})
        live = post_run(client, project, issue=1)
        gate.await_arrival()
        later = post_run(client, project, task="later", delay=3600)
        server.process.send_signal(signal.SIGSTOP)
        set_clock(tmp_path, 7200)
        server.process.send_signal(signal.SIGCONT)
        see(client, later, "died")
        # its supervisor is alive and has time left, so the server must not end it
        assert client.get(f"/runs/{live['id']}").json()["status"] == "running"
        gate.open()
        see(client, live, "died")
        assert begun.read_text().split() == [live["id"], later["id"]]
        assert_each_ended_once(client, live, later)


def assert_each_ended_once(client: httpx.Client, *runs: dict[str, Any]) -> None:
    """Assert that each run's end was recorded once."""
    for run in runs:
        told = client.get(f"/runs/{run['id']}/timeline").json()["items"]
        assert [event["kind"] for event in told].count("reaped") == 1


def test_f32_time_asleep_counts_for_the_supervisor(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    mark = engine.start(order(RUN, tmp_path, script("stubborn"), budget_seconds=0.6))
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGSTOP)
    over = boot_clock() + 0.6
    until(lambda: boot_clock() > over, "the budget is used up")
    assert is_living(mark.pid)
    assert engine.see(RUN).exit is None
    os.kill(mark.pid, signal.SIGCONT)
    ears.wait_for(RUN, "gone")
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert sight.exit.reason is ExitReason.DEADLINE


def test_f32_what_was_missed_while_suspended_comes_once_and_not_in_a_burst() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TICKER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as ticker:
        assert ticker.stdout is not None
        ticker.stdout.readline()
        ticker.send_signal(signal.SIGSTOP)
        woken = time.monotonic() + 12 * TICKS
        until(lambda: time.monotonic() > woken, "twelve turns are missed")
        ticker.send_signal(signal.SIGCONT)
        moments = (float(line) for line in ticker.stdout)
        after = list(islice((moment for moment in moments if moment > woken), 6))
        ticker.kill()
    # one tick for all that were missed, then one per interval
    assert after[-1] - after[0] > 3 * TICKS


@pytest.fixture
def planes(tmp_path: Path) -> Iterator[tuple[RealPlane, RealPlane]]:
    """Two servers on one database, with a shared folder of runs."""
    shared = {
        "database_url": shared_database(tmp_path),
        "runs_dir": tmp_path / "runs",
    }
    with (
        real_plane(tmp_path / "one", **shared) as one,
        real_plane(tmp_path / "two", **shared) as two,
    ):
        two.clock.now = one.clock.now
        yield one, two


def test_f32_a_server_takes_its_own_leases_again_and_keeps_its_runs(
    planes: tuple[RealPlane, RealPlane],
) -> None:
    one, two = planes
    run = one.start_running(one.add_project("sleep 600"))
    now = one.clock.advance(7200)
    # its lease was not renewed for two hours: until it is, it starts nothing by itself
    assert not one.leases.may_sweep(now)
    assert one.leases.renew_once(now)
    assert one.leases.may_sweep(now)
    one.tick()
    assert one.run(run.id).server == one.services.ownership.here.server
    # the other wakes later, and finds that the sweep and the run are taken
    two.clock.now = now
    assert not two.leases.renew_once(now)
    two.tick()
    found = two.run(run.id)
    assert (found.status, found.server) == ("running", one.services.ownership.here.server)
    one.stop_run(run)


def test_f32_a_server_that_slept_while_another_went_on_does_not_sweep(
    planes: tuple[RealPlane, RealPlane],
) -> None:
    one, two = planes
    now = two.clock.advance(7200)
    assert two.leases.renew_once(now)
    one.clock.now = now
    assert not one.leases.may_sweep(now)
    assert not one.leases.renew_once(now)
    assert not one.leases.may_sweep(now)
