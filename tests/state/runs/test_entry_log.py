"""The bounded view of log entries: each appears once and in order, and few are held."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.agents.formats import JSON_FORMATS
from app.adapters.agents.formats.entries import entries_of
from app.api.client.client import EntriesPiece
from app.api.schemas import LogEntry
from app.domain.agents.reports import Entry, EntryKind
from app.services.runs.readable_log import read_entries
from app.state.runs.entry_log import MAX_ENTRY_LINES, READ_BYTES, EntryLog, lines_of
from app.state.runs.run_log import FLOOD_BYTES, MAX_LINES
from tests.fakes.engine import FakeLog


def tell(line: bytes) -> list[Entry]:
    return entries_of(line, JSON_FORMATS["codex"])


class GrowingLog:
    """An in-memory log that answers like the API with `form=readable`."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.is_over = False
        self.calls = 0

    async def read(self, offset: int, limit: int) -> EntriesPiece:
        self.calls += 1
        view = FakeLog(self.content)
        part = read_entries(view, tell, offset, limit, is_over=self.is_over)
        entries = [
            LogEntry(at=one.at, kind=one.entry.kind, name=one.entry.name, text=one.entry.text)
            for one in part.entries
        ]
        return EntriesPiece(entries, part.begin, part.next_offset, view.size)


def said(words: str, padding: int = 0) -> bytes:
    item = {"type": "agent_message", "text": words, "padding": "x" * padding}
    return json.dumps({"type": "item.completed", "item": item}).encode() + b"\n"


def texts(log: EntryLog) -> list[str]:
    return [line.text for line in log.lines]


async def test_what_was_written_since_comes_alone_and_whole() -> None:
    source = GrowingLog(said("one") + said("two")[:-9])
    log = EntryLog(source.read)
    assert [line.text for line in (await log.load_end()).lines] == ["one"]
    source.content = said("one") + said("two") + b"plain\nthr"
    burst = await log.catch_up()
    assert not burst.is_fresh
    assert [line.text for line in burst.lines] == ["two", "plain"]
    source.is_over = True
    assert [line.text for line in (await log.catch_up()).lines] == ["thr"]
    assert log.next_offset == len(source.content)


async def test_entries_among_much_that_says_nothing_are_looked_for_further_back() -> None:
    output = json.dumps({"type": "item.updated", "item": {"padding": "x" * READ_BYTES}}).encode()
    source = GrowingLog(said("first") + (output + b"\n") * 5)
    log = EntryLog(source.read)
    await log.load_end()
    assert texts(log) == ["first"]
    assert not log.has_earlier


async def test_a_log_that_ran_far_ahead_is_met_at_its_end() -> None:
    source = GrowingLog(said("one"))
    log = EntryLog(source.read)
    await log.load_end()
    source.content += said("much", 1000) * (READ_BYTES // 300) + said("last")
    burst = await log.catch_up()
    assert burst.is_fresh
    assert texts(log)[-1] == "last"
    assert log.next_offset == len(source.content)


async def test_of_a_flood_of_entries_little_is_read_and_the_last_one_is_met() -> None:
    source = GrowingLog(said("one"))
    log = EntryLog(source.read)
    await log.load_end()
    source.content += b"".join(said(f"entry {number}") for number in range(FLOOD_BYTES // 16))
    burst = await log.catch_up(is_flooded=True)
    assert burst.is_fresh
    assert texts(log)[-1] == f"entry {FLOOD_BYTES // 16 - 1}"
    assert len(log.lines) < FLOOD_BYTES // 32
    assert log.has_earlier


async def test_of_a_flood_of_long_entries_nothing_more_is_read_than_its_end() -> None:
    source = GrowingLog(said("one"))
    log = EntryLog(source.read)
    await log.load_end()
    source.content += b"".join(said(f"entry {number}", 1_000) for number in range(400))
    calls = source.calls
    await log.catch_up(is_flooded=True)
    assert source.calls - calls == 2
    assert texts(log)[-1] == "entry 399"
    assert len(log.lines) <= FLOOD_BYTES // 1_000
    assert log.has_earlier


async def test_earlier_entries_come_on_demand_up_to_the_very_first() -> None:
    source = GrowingLog(b"".join(said(f"{number:07d}\n…") for number in range(9_000)))
    log = EntryLog(source.read)
    await log.load_end()
    while log.has_earlier:
        before = log.lines[0].text
        burst = await log.load_earlier()
        assert before in texts(log)
        assert burst.lines == tuple(log.lines)[: len(burst.lines)]
        assert len(log.lines) <= MAX_LINES
        numbers = [int(text) for text in texts(log) if text != "…"]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert [line.at for line in log.lines][::2] == [line.at for line in log.lines][1::2]
    assert log.lines[0].text == "0000000"
    assert log.is_detached
    assert (await log.catch_up()).lines == ()
    await log.load_end()
    assert texts(log)[-2] == "0008999"


@settings(max_examples=25)
@given(
    lines=st.lists(
        st.sampled_from([said("a"), said("b\nc"), b"text\n", said("long", READ_BYTES // 3)]),
        max_size=12,
    ),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
@pytest.mark.asyncio
async def test_however_a_log_grows_its_entries_are_met_once(
    lines: list[bytes], cuts: list[int]
) -> None:
    source = GrowingLog()
    log = EntryLog(source.read)
    await log.load_end()
    edges = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    for begin, end in itertools.pairwise(edges):
        source.content += b"".join(lines[begin:end])
        await log.catch_up()
    while log.has_earlier:
        await log.load_earlier()
    told: list[str] = []
    position = 0
    while position < len(source.content):
        piece = await source.read(position, READ_BYTES)
        told += [line.text for line in lines_of(piece)]
        position = piece.next_offset
    assert texts(log) == told


async def test_a_log_whose_middle_was_dropped_is_looked_at_up_to_there() -> None:
    async def read(offset: int, limit: int) -> EntriesPiece:
        cut = LogEntry(at=500, kind=EntryKind.CUT, text="[… cut …]")
        return EntriesPiece(
            [cut, LogEntry(at=900, kind=EntryKind.SAID, text="on")], 500, 1000, 1000
        )

    log = EntryLog(read)
    await log.load_end()
    assert texts(log) == ["[… cut …]", "on"]
    assert not log.has_earlier


def test_an_entry_of_very_many_lines_is_bounded() -> None:
    entry = LogEntry(at=0, kind=EntryKind.SAID, text="\r".join("x" * 300))
    lines = lines_of(EntriesPiece([entry], 0, 1, 1))
    assert len(lines) == MAX_ENTRY_LINES + 1
    assert lines[-1].text == "… 100 more lines"


@pytest.mark.parametrize("number", [0, 700, 30_000, 59_900])
async def test_a_jump_shows_the_entries_around_a_position(number: int) -> None:
    source = GrowingLog(b"".join(b"line %06d\n" % one for one in range(60_000)))
    source.is_over = True
    log = EntryLog(source.read)
    await log.load_end()
    await log.load_around(12 * number)
    index = log.index_of(12 * number)
    assert index is not None
    shown = [line.text for line in list(log.lines)[index : index + MAX_ENTRY_LINES]]
    assert f"line {number:06}" in shown
    assert len(log.lines) <= MAX_LINES
    assert log.is_detached
    assert log.first_offset <= 12 * number < log.next_offset
    assert log.index_of(log.next_offset) is None
