"""Times beside a log: when output arrived, over kills, later steps, cuts and hostile files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.engine.run_log import RunLog
from app.adapters.supervisor.output import CappedLog
from app.adapters.supervisor.times import MARK_BYTES, TIMES, TimeMarks
from app.domain.sandbox.levels import SandboxLevel
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, run_to_end, shell

BEGIN = 1_700_000_000


class Clock:
    """Seconds that only a test moves on."""

    def __init__(self) -> None:
        self.now = float(BEGIN)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    file = os.open(tmp_path, os.O_RDONLY)
    yield file
    os.close(file)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(BEGIN + seconds, UTC)


def mark(position: int, seconds: float) -> bytes:
    return b"%020d %010d\n" % (position, BEGIN + seconds)


def test_output_of_one_second_shares_a_mark(tmp_path: Path, folder: int) -> None:
    clock = Clock()
    marks = TimeMarks(folder, clock)
    for position, seconds in ((0, 0.1), (10, 0.9), (20, 1.0), (30, 7.5), (40, 7.9), (50, 3.0)):
        clock.now = BEGIN + seconds
        marks.note(position)
    marks.close()
    # the clock was set back before the last one
    assert (tmp_path / TIMES).read_bytes() == b"".join(
        (mark(0, 0), mark(20, 1), mark(30, 7), mark(50, 3))
    )
    assert RunLog(tmp_path).times([0, 19, 20, 29, 35, 99]) == [
        at(0), at(0), at(1), at(1), at(7), at(3)
    ]  # fmt: skip


def test_a_full_file_keeps_every_second_mark_and_stays_bounded(tmp_path: Path, folder: int) -> None:
    clock = Clock()
    marks = TimeMarks(folder, clock, most=8)
    for second in range(1000):
        clock.now = BEGIN + second
        marks.note(second * 10)
        assert (tmp_path / TIMES).stat().st_size <= 8 * MARK_BYTES
    marks.close()
    times = RunLog(tmp_path).times([second * 10 for second in range(1000)])
    late = [second - (time.timestamp() - BEGIN) for second, time in enumerate(times) if time]
    assert len(late) == 1000
    assert 0 <= min(late) <= max(late) < 1000 / 4
    assert [path.name for path in tmp_path.iterdir()] == [TIMES]


def test_a_later_step_continues_after_a_mark_cut_short(tmp_path: Path, folder: int) -> None:
    (tmp_path / TIMES).write_bytes(mark(0, 0) + mark(50, 5)[:-9])
    (tmp_path / ".times").write_bytes(b"left by a kill")
    assert RunLog(tmp_path).times([60]) == [at(0)]
    clock = Clock()
    clock.now += 9
    marks = TimeMarks(folder, clock, most=3)
    marks.note(70)
    marks.close()
    assert (tmp_path / TIMES).read_bytes() == mark(0, 0) + mark(70, 9)
    for position in (80, 90):
        clock.now += 1
        marks.note(position)
    assert RunLog(tmp_path).times([0, 75, 90]) == [at(0), at(0), at(11)]
    marks.close()


@pytest.mark.parametrize(
    ("content", "times"),
    [
        (b"", [None, None]),
        (b"text", [None, None]),
        (mark(50, 5), [None, at(5)]),
        (mark(0, 0) + b"x" * MARK_BYTES, [None, None]),
        (b"%020d %10d\n" % (0, 5), [None, None]),
        (b"%020d %s\n" % (0, b"-000000005"), [None, None]),
        (b"%020d %s\n" % (0, b"1_70000000"), [None, None]),
        (b"%020d-%010d\n" % (0, 5), [None, None]),
        (b"9" * 20 + b" " + b"9" * 10 + b"\n", [None, None]),
        (b"0" * 20 + b" " + b"9" * 10 + b"\n", [datetime.fromtimestamp(10**10 - 1, UTC)] * 2),
        (b"\xff" * 1000, [None, None]),
    ],
)
def test_what_a_hostile_agent_writes_there_is_a_time_or_none(
    tmp_path: Path, content: bytes, times: list[datetime | None]
) -> None:
    (tmp_path / TIMES).write_bytes(content)
    assert RunLog(tmp_path).times([10, 60]) == times


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(mark(0, 0))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, _link])
def test_what_is_no_plain_file_is_neither_read_nor_written_and_the_log_goes_on(
    tmp_path: Path, folder: int, put: Callable[[Path], None]
) -> None:
    put(tmp_path / TIMES)
    log = CappedLog(folder, 1000)
    log.write(b"words\n")
    log.close()
    assert RunLog(tmp_path).read().content == b"words\n"
    assert RunLog(tmp_path).times([0]) == [None]


def test_a_log_of_before_has_no_times_and_what_a_later_turn_adds_has(
    tmp_path: Path, folder: int
) -> None:
    (tmp_path / "log").write_bytes(b"old words")
    log = CappedLog(folder, 1000)
    log.begin("turn 2")
    log.write(b"new\n")
    log.close()
    times = RunLog(tmp_path).times([0, 8, 9, 20])
    assert times[:2] == [None, None]
    assert None not in times[2:]


def test_positions_stay_those_of_the_output_where_the_log_is_cut(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    flood = "echo begin; head -c 300000 /dev/zero | tr '\\0' x; echo; echo end"
    before = datetime.now(UTC).replace(microsecond=0)
    run_to_end(engine, ears, workdir, shell(flood), log_cap_bytes=20_000)
    log = engine.log(RUN)
    assert log.is_cut
    times = log.times([0, log.size - 1])
    assert all(time and before <= time <= datetime.now(UTC) for time in times)


@pytest.mark.parametrize("engine", [(None, SandboxLevel.NONE)], indirect=True)
def test_a_killed_supervisor_leaves_the_times_of_all_that_was_written(
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path
) -> None:
    mine = engine.start(order(RUN, workdir, shell("echo ready; exec sleep 60")))
    engine.follow(RUN)
    ears.wait_for_text(RUN, b"ready")
    os.kill(mine.pid, signal.SIGKILL)
    ears.wait_for(RUN, "gone")
    [first] = engine.log(RUN).times([0])
    assert first is not None
    path = tmp_path / "runs" / RUN
    with (path / TIMES).open("ab") as file:
        file.write(b"0000000000")
    # what the supervisor of a later turn does
    folder = os.open(path, os.O_RDONLY)
    later = CappedLog(folder, 10_000)
    later.begin("turn 2")
    later.close()
    os.close(folder)
    log = engine.log(RUN)
    times = log.times([0, log.size - 1])
    assert times[0] == first
    assert times[1] is not None
    assert times[1] >= first
