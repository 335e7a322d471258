"""Log entries: each line appears once, however the log is split, with little in memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.agents.formats import JSON_FORMATS
from app.adapters.agents.formats.entries import entries_of
from app.adapters.engine.run_log import RunLog
from app.adapters.supervisor.output import HEAD, TAIL_PREFIX
from app.domain.agents.reports import Entry, EntryKind
from app.services.runs.readable_log import (
    CHUNK_BYTES,
    MAX_LINE_BYTES,
    TEXT_LINES,
    LogPart,
    read_entries,
    without_folder,
)
from tests.fakes.engine import FakeLog

WHOLE = 1 << 20


def gemini(line: bytes) -> list[Entry]:
    return entries_of(line, JSON_FORMATS["gemini"])


def part(content: bytes, offset: int = 0, limit: int = WHOLE, *, is_over: bool = True) -> LogPart:
    return read_entries(FakeLog(content), gemini, offset, limit, is_over=is_over)


def texts(of: LogPart) -> list[str]:
    return [one.entry.text for one in of.entries]


def event(**members: object) -> bytes:
    return json.dumps(members).encode() + b"\n"


def piece(text: str) -> bytes:
    return event(type="message", role="assistant", delta=True, content=text)


TOOL = event(type="tool_use", tool_name="ls", parameters={"path": "src"})
FOLDED = event(type="message", role="user", content="x" * 50)


def test_entries_are_placed_where_their_lines_begin() -> None:
    told = part(FOLDED + TOOL + b"text\n" + FOLDED)
    assert [(one.at, one.entry.kind) for one in told.entries] == [
        (len(FOLDED), EntryKind.TOOL),
        (len(FOLDED + TOOL), EntryKind.TEXT),
    ]
    assert (told.begin, told.next_offset) == (0, len(FOLDED + TOOL + FOLDED) + 5)


@given(
    lines=st.lists(
        st.sampled_from([TOOL, FOLDED, b"text\n", b"\n", b"\xff\xfe\r\n", b"{broken\n"]),
        max_size=20,
    ),
    limit=st.integers(1, 200),
)
def test_parts_of_any_size_tell_each_line_once(lines: list[bytes], limit: int) -> None:
    content = b"".join(lines)
    whole = "\n".join(texts(part(content)))
    told: list[str] = []
    position = 0
    while position < len(content):
        one = part(content, position, limit)
        assert one.next_offset > position
        told += texts(one)
        position = one.next_offset
    assert "\n".join(told) == whole


def test_the_rest_of_a_line_is_passed_over() -> None:
    content = b"first\nsecond\nthird\n"
    told = part(content, 2)
    assert (told.begin, texts(told)) == (2, ["second\nthird"])
    assert texts(part(content, 6)) == ["second\nthird"]
    assert texts(part(content, -8)) == ["third"]
    assert texts(part(content, 6, 1)) == ["second"]
    nothing = part(b"x" * 100, 5, 10, is_over=False)
    assert (nothing.entries, nothing.next_offset) == ((), 100)


def test_a_line_that_is_cut_in_two_as_it_is_read_is_one() -> None:
    folded = event(type="message", role="user", content="x" * 50)
    words = "é🙂" * 20
    for shift in range(0, 60, 7):
        before = folded * (CHUNK_BYTES // len(folded)) + b"y" * shift + b"\n"
        content = before + f"{words}\n".encode() + TOOL
        assert texts(part(content))[-2:] == [f"{'y' * shift}\n{words}", "src"]


def test_a_line_without_an_end_is_told_when_it_has_one_or_the_run_is_over() -> None:
    assert part(b"one\ntw", is_over=False).next_offset == 4
    assert texts(part(b"one\ntw", is_over=False)) == ["one"]
    assert texts(part(b"one\ntwo\n", 4, is_over=False)) == ["two"]
    ended = part(b"one\ntw", 4, is_over=True)
    assert (texts(ended), ended.next_offset) == (["tw"], 6)


def test_a_message_in_pieces_is_one_entry_told_when_it_is_whole() -> None:
    begun = TOOL + piece("It is ") + piece("mended")
    live = part(begun, is_over=False)
    assert [one.entry.kind for one in live.entries] == [EntryKind.TOOL]
    assert live.next_offset == len(TOOL)
    for whole in (part(begun), part(begun + TOOL, is_over=False)):
        assert whole.entries[1].entry == Entry(EntryKind.SAID, "It is mended")
    endless = part(piece("y" * 8_000) * 3, is_over=False)
    assert [len(text) for text in texts(endless)] == [8_000, 8_000, 8_000]


def test_lines_of_text_are_told_in_blocks() -> None:
    told = part(b"x\n" * (TEXT_LINES * 2 + 1))
    assert [text.count("x") for text in texts(told)] == [TEXT_LINES, TEXT_LINES, 1]
    assert [one.at for one in told.entries] == [0, TEXT_LINES * 2, TEXT_LINES * 4]


@pytest.mark.parametrize("is_over", [True, False])
def test_a_line_that_is_too_long_is_named_and_passed_over(*, is_over: bool) -> None:
    content = TOOL + b"z" * (MAX_LINE_BYTES * 3) + b"\n" + TOOL
    told, position = [], 0
    while position < len(content):
        one = part(content, position, 1000, is_over=is_over)
        assert one.next_offset > position
        told += [(entry.at, entry.entry.kind) for entry in one.entries]
        position = one.next_offset
    assert told == [
        (0, EntryKind.TOOL),
        (len(TOOL), EntryKind.NOTE),
        (len(content) - len(TOOL), EntryKind.TOOL),
    ]


def test_of_a_long_log_only_a_part_is_held() -> None:
    view = FakeLog((b"line " * 40 + b"\n") * 100_000)
    tracemalloc.start()
    told = read_entries(view, gemini, 0, 2**40, is_over=True)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told.next_offset < 2 * WHOLE
    assert held < 16 * WHOLE


@pytest.fixture
def cut_log(tmp_path: Path) -> RunLog:
    """Return a log of eight bytes and half a line, a gap, then half a line and two more."""
    (tmp_path / HEAD).write_bytes(b"one\ntwo\n{half a li")
    (tmp_path / f"{TAIL_PREFIX}1000000").write_bytes(b"ine}\nlast\nend\n")
    return RunLog(tmp_path)


def test_what_was_dropped_is_named_in_its_place(cut_log: RunLog) -> None:
    told = read_entries(cut_log, gemini, 0, WHOLE, is_over=True)
    assert texts(told) == ["one\ntwo", "[… 999,982 bytes cut …]", "last\nend"]
    assert [one.at for one in told.entries] == [0, 18, 1_000_005]
    assert told.next_offset == cut_log.size


@pytest.mark.parametrize(
    ("offset", "lines"),
    [
        (500_000, ["[… 500,000 bytes cut …]", "last\nend"]),
        (1_000_000, ["last\nend"]),
        (1_000_005, ["last\nend"]),
        (-4, ["end"]),
    ],
)
def test_a_cut_log_can_be_read_from_anywhere(
    cut_log: RunLog, offset: int, lines: list[str]
) -> None:
    told = read_entries(cut_log, gemini, offset, 2 * WHOLE, is_over=True)
    assert texts(told) == lines
    assert told.next_offset == cut_log.size


def test_files_are_named_as_their_repository_names_them() -> None:
    given = {"path": "/runs/copies/run_a/src/a.py"}
    told = part(event(type="tool_use", tool_name="read_file", parameters=given) + b"/runs/x\n")
    relative = without_folder(told, "/runs/copies/run_a")
    assert texts(relative) == ["src/a.py", "/runs/x"]
    assert without_folder(told, "/elsewhere") == told
