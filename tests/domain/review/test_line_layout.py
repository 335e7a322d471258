"""The lines of a diff as they are shown: in chunks and pairs, with changed words marked."""

from __future__ import annotations

from time import perf_counter

import pytest

from app.domain.review.diffs import DiffLine
from app.domain.review.line_layout import (
    CHUNK_LINES,
    Place,
    changed_spans,
    chunks,
    find_again,
    marked_words,
    pairs,
    place_of,
)
from app.domain.words import Side


def lines(kinds: str, first: int = 1) -> list[DiffLine]:
    """Return a line per character: `-`, `+`, ` ` or `@`; its words are its numbers."""
    found: list[DiffLine] = []
    before = after = first
    for kind in kinds:
        match kind:
            case "-":
                found.append(DiffLine("del", f"old {before}", before, None))
                before += 1
            case "+":
                found.append(DiffLine("add", f"new {after}", None, after))
                after += 1
            case " ":
                found.append(DiffLine("same", f"{before} {after}", before, after))
                before, after = before + 1, after + 1
            case _:
                found.append(DiffLine("hunk", "@@"))
    return found


def test_a_chunk_ends_before_an_unchanged_line_and_never_grows_beyond_twice_its_size() -> None:
    assert chunks([]) == []
    assert chunks(lines("@ +-")) == [range(4)]
    long = lines("+" * (CHUNK_LINES + 7) + " " * 10)
    assert chunks(long) == [range(CHUNK_LINES + 7), range(CHUNK_LINES + 7, CHUNK_LINES + 17)]
    endless = chunks(lines("+" * 5 * CHUNK_LINES))
    assert [len(one) for one in endless] == [2 * CHUNK_LINES, 2 * CHUNK_LINES, CHUNK_LINES]


@pytest.mark.parametrize(
    ("kinds", "rows"),
    [
        ("  ", [(0, 0), (1, 1)]),
        ("--+ ", [(0, 2), (1, None), (3, 3)]),
        ("-++", [(0, 1), (None, 2)]),
        ("+-", [(None, 0), (1, None)]),
        ("@", [(0, 0)]),
    ],
)
def test_deleted_and_added_lines_stand_beside_each_other(
    kinds: str, rows: list[tuple[int | None, int | None]]
) -> None:
    assert list(pairs(lines(kinds))) == rows


@pytest.mark.parametrize(
    ("old", "new", "removed", "added"),
    [
        ("return coupon.discount", "return coupon.discounted(order)", ["discount"], None),
        ("if a < b:", "if a <= b:", [], ["="]),
        ("same", "same", [], []),
        ("if a.until < now():", "now = self.clock.now(tz=UTC)", [], []),
        ("x = 1", "completely other words here", [], []),
        ("a" * 401, "a" * 402, [], []),
    ],
)
def test_the_words_that_changed_in_a_line_are_marked(
    old: str, new: str, removed: list[str], added: list[str] | None
) -> None:
    before, after = changed_spans(old, new)
    assert [old[a:b] for a, b in before] == removed
    if added is not None:
        assert [new[a:b] for a, b in after] == added


def test_comparing_words_takes_a_bounded_time_whatever_the_lines_hold() -> None:
    kinds = "-" * 2_000 + "+" * 2_000
    hostile = [
        DiffLine(one.kind, "a b " * 90 + one.words, one.before, one.after) for one in lines(kinds)
    ]
    began = perf_counter()
    marked_words(hostile)
    assert perf_counter() - began < 5


def test_a_comment_on_a_deleted_line_stands_on_the_old_side() -> None:
    removed, added, same, hunk = lines("-+ @")
    assert place_of(removed) == Place(Side.OLD, 1)
    assert place_of(added) == Place(Side.NEW, 1)
    assert place_of(same) == Place(Side.NEW, 2)
    assert place_of(hunk) is None


def test_a_line_is_found_again_after_others_came_before_it() -> None:
    before = [DiffLine("add", "a = 1", None, 5), DiffLine("add", "b = 2", None, 6)]
    after = [
        DiffLine("add", "b = 2", None, 2),
        DiffLine("add", "new", None, 8),
        DiffLine("add", "b = 2", None, 9),
    ]
    assert find_again(before, after, Place(Side.NEW, 6)) == Place(Side.NEW, 9)
    assert find_again(before, after, Place(Side.NEW, 5)) is None
    # of a line that neither diff showed nothing is known
    assert find_again(before, after, Place(Side.NEW, 400)) is None
