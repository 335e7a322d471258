"""Diffs as HTML: escaped and capped."""

from __future__ import annotations

import pytest

from app.pages.runs.diff_view import MAX_LINES, diff_html
from tests.builders.repositories import ADDED


def test_markup_in_lines_and_names_is_text() -> None:
    diff = ADDED.replace("same", "<script>alert(1)</script>").replace("a.py", '"><img src=x>')
    html = diff_html(diff)
    assert "<script" not in html
    assert "<img" not in html


def test_bidi_characters_show_as_escapes() -> None:
    assert '<i class="esc">\\u202e</i>' in diff_html(ADDED.replace("same", "sa\u202eme"))


def test_a_long_diff_is_capped_and_says_so() -> None:
    body = "".join(f"+line {number}\n" for number in range(MAX_LINES + 500))
    head = "diff --git a/b b/b\nnew file mode 100644\n--- /dev/null\n+++ b/b\n"
    diff = f"{head}@@ -0,0 +1,{MAX_LINES + 500} @@\n{body}"
    html = diff_html(diff, "/whole")
    assert "502 more lines" in html
    assert 'href="/whole"' in html
    assert html.count('class="add"') == MAX_LINES - 2 + 1  # +1: the file's head shows a count


@pytest.mark.parametrize("diff", ["", "garbage\nlines\n", "@@ -1 +1 @@\n", "diff --git a/x"])
def test_what_is_no_diff_does_no_harm(diff: str) -> None:
    assert "<script" not in diff_html(diff)
