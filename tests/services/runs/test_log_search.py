"""Log search: finds text anywhere in a log of any size, with the position of each hit."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.agents.formats import JSON_FORMATS
from app.adapters.agents.formats.entries import entries_of
from app.adapters.engine.run_log import RunLog
from app.adapters.supervisor.output import HEAD, TAIL_PREFIX
from app.domain.agents.reports import Entry
from app.services.ports import LogPiece
from app.services.runs import readable_log
from app.services.runs.log_search import (
    AROUND_BYTES,
    MAX_READ_BYTES,
    LogHit,
    LogHits,
    Words,
    search_entries,
    search_log,
)
from tests.fakes.engine import FakeLog

PLENTY = 10_000


def found(content: bytes, words: str, *, after: int = -1, limit: int = PLENTY) -> LogHits:
    return search_log(FakeLog(content), Words(words), after=after, limit=limit)


def test_a_line_from_the_middle_of_a_long_log_is_found_with_its_number_and_position() -> None:
    content = b"".join(b"line %d\n" % number for number in range(1, 60_001))
    for number in (123, 30_000, 59_500):
        hits = found(content, f"Line {number}\r".strip())
        exact = [hit for hit in hits.items if hit.text == f"line {number}"]
        assert exact == [LogHit(content.index(b"line %d\n" % number), number, f"line {number}")]
        assert hits.total == len(hits.items)
    assert found(content, "line 60001") == LogHits(0, [])


@given(
    lines=st.lists(st.sampled_from(["", "ab", "AB ab", "xaab", "ä", "Äab", "b\r", "aaaa"])),
    words=st.sampled_from(["ab", "a", "Ä", "aab", "äa"]),
    chunk=st.integers(1, 7),
)
def test_what_is_found_does_not_depend_on_how_it_is_read(
    lines: list[str], words: str, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(readable_log, "CHUNK_BYTES", chunk)
        content = "\n".join(lines).encode()
        hits = found(content, words)
    at, expected = 0, []
    for number, line in enumerate(lines, 1):
        place = line.lower().find(words.lower())
        if place >= 0:
            expected.append((at + len(line[:place].encode()), number, line.rstrip("\r")))
        at += len(line.encode()) + 1
    assert [(hit.offset, hit.line, hit.text) for hit in hits.items] == expected
    assert hits.total == len(expected)


def test_pages_of_hits_hold_each_once_and_always_count_all() -> None:
    content = b"a needle\nhay\n" * 25
    pages = [found(content, "needle", limit=10)]
    while (after := pages[-1].next_offset) is not None:
        pages.append(found(content, "needle", after=after, limit=10))
    assert [len(page.items) for page in pages] == [10, 10, 5]
    assert {page.total for page in pages} == {25}
    assert [hit.line for page in pages for hit in page.items] == list(range(1, 50, 2))


def test_of_a_long_line_what_lies_around_the_words_is_told() -> None:
    content = b"first\n" + b"x" * 3_000_000 + b"needle" + "ü".encode() * 2_000_000 + b"\nneedle"
    [first, last] = found(content, "NEEDLE").items
    assert (first.line, first.offset) == (2, 3_000_006)
    assert "xneedleü" in first.text
    assert first.text[0] == first.text[-1] == "…"
    assert len(first.text) < 3 * AROUND_BYTES
    assert "\ufffd" not in first.text
    assert (last.line, last.text) == (3, "needle")


def test_bytes_that_are_no_text_hide_nothing() -> None:
    content = b"\xff\xfe\x00 needle \xc3\nand n\xffeedle\n"
    [hit] = found(content, "needle").items
    assert (hit.offset, hit.line) == (4, 1)
    assert "needle" in hit.text


def test_positions_behind_a_cut_count_what_was_written(tmp_path: Path) -> None:
    (tmp_path / HEAD).write_bytes(b"head needle\nopen nee")
    (tmp_path / f"{TAIL_PREFIX}5000").write_bytes(b"dle of a line\n")
    (tmp_path / f"{TAIL_PREFIX}5014").write_bytes(b"tail nee")
    (tmp_path / f"{TAIL_PREFIX}5022").write_bytes(b"dle\n")
    log = RunLog(tmp_path)
    hits = search_log(log, Words("needle"), after=-1, limit=10)
    downloaded = log.read().content.decode().split("\n")
    assert [hit.offset for hit in hits.items] == [5, 5019]
    assert [downloaded[hit.line - 1] for hit in hits.items] == ["head needle", "tail needle"]
    assert [hit.text for hit in hits.items] == ["head needle", "tail needle"]
    [behind] = search_log(log, Words("dle of"), after=-1, limit=10).items
    assert (behind.offset, downloaded[behind.line - 1]) == (5000, "dle of a line")
    # the gap marker is Runyard's text, not the agent's
    assert search_log(log, Words("bytes cut"), after=-1, limit=10).total == 0


def test_a_log_that_grows_is_found_as_far_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / HEAD
    file.write_bytes(b"needle\n")
    log = RunLog(tmp_path)
    assert search_log(log, Words("needle"), after=-1, limit=10).total == 1
    with file.open("ab") as more:
        more.write(b"hay\nneedle without an end")
    hits = search_log(log, Words("needle"), after=-1, limit=10)
    assert [(hit.line, hit.text) for hit in hits.items] == [
        (1, "needle"),
        (3, "needle without an end"),
    ]


def claude(line: bytes) -> list[Entry]:
    return entries_of(line, JSON_FORMATS["claude"])


def said(text: str) -> bytes:
    content = [{"type": "text", "text": text}]
    return json.dumps({"type": "assistant", "message": {"content": content}}).encode() + b"\n"


def test_a_hit_is_shown_even_behind_characters_that_are_longer_in_lowercase() -> None:
    content = said("İ" * 1000 + "Needle" + "x" * 1000)
    [hit] = search_entries(
        FakeLog(content), Words("needle", in_json=True), claude, after=-1, limit=9, is_over=True
    ).items
    around = AROUND_BYTES
    assert hit.text == "…" + "İ" * around + "Needle" + "x" * around + "…"


def test_in_the_readable_form_what_is_read_is_found_and_nothing_of_its_wrapping() -> None:
    lines = [said('I look at größer/"odd" paths'), b"a plain line\n", said("Done: GRÖSSER")]
    content = b"".join(lines)

    def look(words: str) -> list[tuple[int, int, str]]:
        hits = search_entries(
            FakeLog(content), Words(words, in_json=True), claude, after=-1, limit=9, is_over=True
        )
        assert hits.total == len(hits.items)
        return [(hit.offset, hit.line, hit.text) for hit in hits.items]

    assert look("assistant") == []
    assert look("done") == [(len(lines[0] + lines[1]), 3, "Done: GRÖSSER")]
    for words in ('"odd"', "GRÖßER/", 'größer/"o'):
        assert [number for _, number, _ in look(words)] == [1], words
    assert look("plain") == [(len(lines[0]), 2, "a plain line")]
    assert [number for _, number, _ in look("gr")] == [1, 3]


def written(text: str) -> list[bytes]:
    """Return the text as bytes, in each JSON spelling that agents use."""
    escaped = json.dumps(text)
    ways = [escaped, json.dumps(text, ensure_ascii=False), escaped.replace("/", "\\/")]
    return [way.lower().encode() for way in ways]


@given(st.text('\\/"aü', min_size=1, max_size=6), st.text('\\/"aü', max_size=4), st.text("\\a"))
def test_marks_that_json_escapes_are_found_however_they_are_written(
    words: str, behind: str, before: str
) -> None:
    for content in written(before + words + behind):
        assert Words(words, in_json=True).find(content, 0), content


@pytest.mark.parametrize(
    ("words", "content"),
    [
        ("\\" * 100, b"\\" * 99 + b"x"),
        ("\\" * 100 + "x", b"\\" * 60_000),
        ("\\/" * 60, b"\\\\/" * 59 + b"x"),
        ('"\\' * 60 + "x", b'\\\\\\"' * 5_000),
    ],
)
def test_no_words_and_no_log_make_a_look_last_for_ever(words: str, content: bytes) -> None:
    # need not be fast, but must end: a backtracking search would take years
    assert Words(words, in_json=True).find(content, 0) is None


class Watched(RunLog):
    """A log that records the longest processor time between two reads, in seconds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._since = time.thread_time()
        self.longest = 0.0

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        """Read the log; counts only this thread's processor time."""
        self.longest = max(self.longest, time.thread_time() - self._since)
        self._since = time.thread_time()
        return super().read(offset, limit)


@pytest.fixture(scope="module")
def fifty_megabytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fifty")
    line = b"line %08d says what most lines of a log say, and ends\n"
    (folder / HEAD).write_bytes(b"".join(line % number for number in range(900_000)))
    assert RunLog(folder).size > 49_000_000
    return folder


@pytest.mark.parametrize(
    ("words", "total"), [("LINE 00899999", 1), ("e", 900_000), ("nowhere", 0), ("größer", 0)]
)
def test_in_fifty_megabytes_all_is_found_in_a_second_and_in_steps_that_let_others_work(
    fifty_megabytes: Path, words: str, total: int
) -> None:
    log, began = Watched(fifty_megabytes), time.thread_time()
    hits = search_log(log, Words(words), after=-1, limit=100)
    assert (hits.total, len(hits.items)) == (total, min(total, 100))
    # processor time, since this machine may be busy
    assert time.thread_time() - began < 1
    assert log.longest < 0.05


def test_a_line_of_fifty_megabytes_is_looked_through_as_fast(tmp_path: Path) -> None:
    (tmp_path / HEAD).write_bytes(b"ab" * 25_000_000 + b"needle\n")
    log, began = Watched(tmp_path), time.thread_time()
    [hit] = search_log(log, Words("needle"), after=-1, limit=5).items
    assert (hit.offset, hit.line) == (50_000_000, 1)
    assert time.thread_time() - began < 1
    assert log.longest < 0.05


def test_of_very_many_entries_some_are_told_and_where_to_go_on() -> None:
    one = said("needle " + "x" * 900)
    count = 3 * MAX_READ_BYTES // len(one)
    log, after, found_at = FakeLog(one * count), -1, list[int]()
    looks = 0
    while True:
        hits = search_entries(
            log, Words("needle", in_json=True), claude, after=after, limit=PLENTY, is_over=True
        )
        found_at += [hit.offset for hit in hits.items]
        looks += 1
        if hits.next_offset is None:
            break
        assert hits.total is None
        after = hits.next_offset
    assert found_at == [number * len(one) for number in range(count)]
    assert looks > 1
