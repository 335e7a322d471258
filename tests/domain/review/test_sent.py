"""Review comments as runs hold them: stored and read alike, with the lines that a prompt quotes."""

from __future__ import annotations

import json

import pytest

from app.domain.agents.prompt_parts import MAX_LINE, ReviewComment
from app.domain.review.sent import SentComment, as_rows, ids_in, lines_around, read_rows
from app.domain.words import Side


def test_comments_are_read_as_they_were_stored() -> None:
    line = ReviewComment("Why?", "ada", "a.py", 3, Side.OLD, ("x", "y"), 2, is_outdated=True)
    sent = (SentComment(line, 7), SentComment(ReviewComment("All of it.", "ada")))
    rows = json.loads(json.dumps(as_rows(sent)))
    assert read_rows(rows) == sent
    assert ids_in(rows) == {7}
    assert read_rows(None) == ()


@pytest.mark.parametrize(
    ("text", "line", "first", "lines"),
    [
        ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", 5, 2, "2345678"),
        ("1\n2\n3\n4\n5\n", 1, 1, "1234"),
        ("1\n2\n3\n4\n5", 5, 2, "2345"),
        ("1\n2\n", 3, 1, ""),
        ("", 1, 1, ""),
    ],
)
def test_the_lines_around_end_where_the_file_does(
    text: str, line: int, first: int, lines: str
) -> None:
    assert lines_around(text, line) == (first, tuple(lines))


def test_lines_are_counted_as_git_counts_them_and_are_stored_cut_and_without_nul() -> None:
    assert lines_around("a\u2028b\n\x0cc\0\n", 2) == (1, ("a\u2028b", "\x0cc"))
    [long] = lines_around("x" * 9_000, 1)[1]
    assert len(long) == MAX_LINE + 1
