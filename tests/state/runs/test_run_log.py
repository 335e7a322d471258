"""The bounded log view: lines are the same however the log is cut into pieces."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.adapters.engine.run_log import RunLog as KeptLog
from app.adapters.supervisor.output import HEAD, TAIL_PREFIX
from app.api.client.client import LogPiece
from app.state.runs.run_log import (
    FLOOD_BYTES,
    FLOOD_LINES,
    MAX_LINE_CHARS,
    MAX_LINES,
    READ_BYTES,
    RunLog,
)


class GrowingLog:
    """An in-memory log that answers like `GET /runs/{id}/log`."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.calls = 0

    async def read(self, offset: int, limit: int) -> LogPiece:
        self.calls += 1
        start = max(0, len(self.content) + offset) if offset < 0 else offset
        piece = self.content[start : start + limit]
        return LogPiece(piece, start + len(piece), len(self.content), False)


def texts(log: RunLog) -> list[str]:
    whole = [line.text for line in log.lines]
    return whole + ([log.open_line.text] if log.open_line else [])


def took(*pieces: bytes) -> RunLog:
    log = RunLog(GrowingLog().read)
    for piece in pieces:
        log.take(piece, log.next_offset + len(piece))
    return log


@given(
    content=st.lists(
        st.sampled_from(
            [b"a", "é".encode(), "😀".encode(), b"\n", b"\r", b"\r\n", b"\x00", b"\xff"]
        ),
        max_size=40,
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 120), max_size=8),
)
@example(content=b"aa\r\n\n", cuts=[3, 4])
def test_pieces_cut_anywhere_give_the_lines_of_the_whole(content: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    log = took(*(content[a:b] for a, b in itertools.pairwise(edges)))
    parts = re.split(rb"\r\n|\n|\r", content)
    assert [line.text for line in log.lines] == [p.decode(errors="replace") for p in parts[:-1]]
    assert log.first_offset == 0
    assert sum(line.size for line in log.lines) == len(content) - len(parts[-1])


def test_a_character_cut_in_two_waits_for_its_rest() -> None:
    log = took("né".encode()[:2])
    assert texts(log) == ["n"]
    log.take("né".encode()[2:], 3)
    assert texts(log) == ["né"]


def test_a_line_of_ten_megabytes_keeps_its_beginning_and_says_what_is_hidden() -> None:
    megabyte = b"x" * (1 << 20)
    log = took(*[megabyte] * 10, b"\nnext\n")
    first, second = log.lines
    assert first.text == "x" * MAX_LINE_CHARS
    assert first.hidden == (10 << 20) - MAX_LINE_CHARS
    assert first.size == (10 << 20) + 1
    assert second.text == "next"


def test_only_the_last_lines_are_kept_and_their_place_is_known() -> None:
    content = b"".join(b"%d\n" % number for number in range(MAX_LINES + 700))
    log = took(content)
    assert len(log.lines) == MAX_LINES
    assert log.lines[0].text == "700"
    assert content[log.first_offset :].startswith(b"700\n")


async def test_a_log_that_ran_far_ahead_is_met_at_its_end() -> None:
    source = GrowingLog(b"one\n")
    log = RunLog(source.read)
    await log.load_end()
    source.content += b"y\n" * READ_BYTES + b"last\n"
    burst = await log.catch_up()
    assert burst.is_fresh
    assert log.lines[-1].text == "last"
    assert log.next_offset == len(source.content)


async def test_of_a_flood_its_last_lines_are_shown_by_one_look_at_a_time() -> None:
    source = GrowingLog(b"one\n")
    log = RunLog(source.read)
    await log.load_end()
    for number in range(3):
        source.content += b"y\n" * READ_BYTES + b"last %d\n" % number
        calls = source.calls
        burst = await log.catch_up(is_flooded=True)
        assert source.calls - calls == (2 if number == 0 else 1)
        assert burst.is_fresh
        assert len(burst.lines) == len(log.lines) <= FLOOD_LINES
        assert log.lines[-1].text == f"last {number}"
        assert log.has_earlier
        assert source.content[log.first_offset :].count(b"\n") == len(log.lines)


async def test_after_a_flood_lines_come_one_by_one_again_and_none_twice() -> None:
    source = GrowingLog()
    log = RunLog(source.read)
    await log.load_end()
    source.content += b"".join(b"%07d\n" % number for number in range(FLOOD_BYTES))
    await log.catch_up(is_flooded=True)
    for words in (b"calm\nag", b"ain\n", b""):
        source.content += words
        burst = await log.catch_up(is_flooded=True)
        assert not burst.is_fresh
    shown = texts(log)
    assert shown[-2:] == ["calm", "again"]
    assert shown[-3] == f"{FLOOD_BYTES - 1:07d}"
    assert len(shown) == len(set(shown))


async def test_what_was_written_since_comes_alone() -> None:
    source = GrowingLog(b"one\ntw")
    log = RunLog(source.read)
    await log.load_end()
    source.content += b"o\nthree\nfo"
    burst = await log.catch_up()
    assert not burst.is_fresh
    assert [line.text for line in burst.lines] == ["two", "three"]
    assert log.open_line is not None
    assert log.open_line.text == "fo"


async def test_the_first_line_is_dropped_where_reading_began_inside_it() -> None:
    source = GrowingLog(b"z" * 10 + b"\n" + b"line\n" * (READ_BYTES // 5))
    log = RunLog(source.read)
    await log.load_end()
    assert set(texts(log)) == {"line"}
    assert source.content[log.first_offset :].startswith(b"line\n")


async def test_earlier_lines_come_on_demand_up_to_the_very_first() -> None:
    source = GrowingLog(b"".join(b"%07d\n" % number for number in range(40_000)))
    log = RunLog(source.read)
    await log.load_end()
    while log.first_offset > 0:
        before = log.lines[0].text
        await log.load_earlier()
        assert before in texts(log)
        assert log.lines[0].text < before
        assert len(log.lines) <= MAX_LINES
        assert source.content[log.first_offset :].startswith(log.lines[0].text.encode() + b"\n")
        after_last = log.lines[-1].text.encode() + b"\n"
        assert source.content[: log.next_offset].endswith(after_last)
    assert log.lines[0].text == "0000000"


async def test_looking_earlier_passes_a_line_longer_than_one_reading() -> None:
    source = GrowingLog(b"first\n" + b"w" * (READ_BYTES * 2) + b"\nend\n" + b"e\n" * 10)
    log = RunLog(source.read)
    await log.load_end()
    for _ in range(5):
        if log.first_offset == 0:
            break
        await log.load_earlier()
    assert log.lines[0].text == "first"


async def test_a_look_at_earlier_lines_is_not_disturbed_by_new_ones_until_one_follows_again() -> (
    None
):
    source = GrowingLog(b"line\n" * READ_BYTES)
    log = RunLog(source.read)
    await log.load_end()
    await log.load_earlier()
    calls = source.calls
    assert (await log.catch_up()).lines == ()
    assert source.calls == calls
    await log.load_end()
    assert log.next_offset == len(source.content)


@pytest.mark.parametrize("content", [b"", b"\n", b"\x00\x00\n", b"\xff\xfe\n"])
async def test_odd_logs_are_lines_too(content: bytes) -> None:
    log = RunLog(GrowingLog(content).read)
    await log.load_end()
    assert len(log.lines) == content.count(b"\n")


class CutLog(GrowingLog):
    """A log without its middle: offsets count all bytes, and a marker shows the gap."""

    def __init__(self, head: bytes, dropped: int, tail: bytes) -> None:
        super().__init__()
        self.head, self.tail, self.begin = head, tail, len(head) + dropped

    async def read(self, offset: int, limit: int) -> LogPiece:
        size = self.begin + len(self.tail)
        place = max(0, size + offset) if offset < 0 else offset
        content = self.head[place : place + limit]
        left, place = limit - len(content), place + len(content)
        if left > 0 and place < self.begin:
            content, place = content + b"\n[a part was cut]\n", self.begin
        rest = self.tail[place - self.begin :][:left] if left > 0 else b""
        return LogPiece(content + rest, place + len(rest), size, True)


async def test_looking_earlier_ends_at_what_was_cut_and_repeats_nothing() -> None:
    tail = b"".join(b"%07d\n" % number for number in range(READ_BYTES // 7))
    log = RunLog(CutLog(b"head\n" * 1000, 10 * READ_BYTES, tail).read)
    await log.load_end()
    for _ in range(40):
        if not log.has_earlier:
            break
        await log.load_earlier()
    shown = texts(log)
    assert not log.has_earlier
    assert "[a part was cut]" in shown[:2]
    numbers = [line for line in shown if line.isdigit()]
    assert numbers[0] == "0000000"
    assert numbers == sorted(set(numbers))


async def test_what_was_cut_in_a_flood_makes_no_line_appear_twice() -> None:
    head = b"".join(b"h%06d\n" % number for number in range(FLOOD_BYTES // 4))
    source = CutLog(b"one\n", 0, b"")
    log = RunLog(source.read)
    await log.load_end()
    source.head, source.begin = head, len(head)
    await log.catch_up(is_flooded=True)
    # the disk was full for a moment
    source.begin += 1_000
    source.tail = b"t0\nt1\n"
    await log.catch_up(is_flooded=True)
    shown = texts(log)
    assert shown[-2:] == ["t0", "t1"]
    assert "[a part was cut]" in shown
    assert len(shown) == len(set(shown))


def numbered(count: int) -> bytes:
    return b"".join(b"line %06d\n" % number for number in range(count))


LONG = numbered(200_000)


@pytest.mark.parametrize("number", [0, 1, 59_999, 199_999])
async def test_a_jump_shows_the_lines_around_a_position_and_nothing_follows(number: int) -> None:
    log = RunLog(GrowingLog(LONG).read)
    await log.load_end()
    await log.load_around(12 * number + 5)
    index = log.index_of(12 * number + 5)
    assert index is not None
    assert log.lines[index].text == f"line {number:06}"
    assert (log.lines[0].text, log.first_offset % 12) == (f"line {log.first_offset // 12:06}", 0)
    assert log.is_detached
    assert log.has_earlier is (log.first_offset > 0)
    assert not (await log.catch_up()).lines


async def test_a_jump_into_a_line_longer_than_what_is_read_keeps_that_line() -> None:
    log = RunLog(GrowingLog(b"first\n" + b"x" * 3 * READ_BYTES + b"\nlast\n").read)
    await log.load_around(2 * READ_BYTES)
    assert log.index_of(2 * READ_BYTES) == len(log.lines) == 0
    assert log.index_of(0) is None


async def test_a_jump_beside_a_cut_does_not_take_the_mark_for_what_was_written(
    tmp_path: Path,
) -> None:
    (tmp_path / HEAD).write_bytes(numbered(1000))
    (tmp_path / f"{TAIL_PREFIX}60000").write_bytes(b"behind the cut\n" * 1000)
    kept = KeptLog(tmp_path)

    async def read(offset: int, limit: int) -> LogPiece:
        piece = kept.read(offset, limit)
        return LogPiece(piece.content, piece.next_offset, kept.size, kept.is_cut)

    for offset, text in (
        (12 * 999 + 3, "line 000999"),
        (60_000, "behind the cut"),
        (60_150, "behind the cut"),
    ):
        log = RunLog(read)
        await log.load_around(offset)
        index = log.index_of(offset)
        assert index is not None
        shown = [*texts(log)][index]
        assert shown == text, offset
