"""Diffs as HTML: parsed by their line counts, escaped, capped."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.pages.runs.diff_view import MAX_LINES, diff_html, diff_size, read_diff
from tests.builders.repositories import run_git

ADDED = """\
diff --git a/a.py b/a.py
index 000..111 100644
--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@ def f():
 same
--- not a header
+++ neither is this
 end
"""


def test_lines_that_look_like_headers_are_lines() -> None:
    (part,) = read_diff(ADDED)
    assert part.path == "a.py"
    assert [(line.kind, line.words, line.before, line.after) for line in part.lines] == [
        ("hunk", "@@ -1,3 +1,3 @@ def f():", None, None),
        ("same", "same", 1, 1),
        ("del", "-- not a header", 2, None),
        ("add", "++ neither is this", None, 2),
        ("same", "end", 3, 3),
    ]
    assert diff_size(ADDED) == (1, 1)


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


def test_what_git_writes_is_read(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "gone.txt").write_text("x\n")
    (tmp_path / "old name.txt").write_text("".join(f"{n}\n" for n in range(30)))
    (tmp_path / "no end").write_text("a")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "old name.txt").rename(tmp_path / "new name.txt")
    (tmp_path / "no end").write_text("b")
    (tmp_path / "raw.bin").write_bytes(bytes(range(256)))
    run_git(tmp_path, "add", ".")
    diff = run_git(tmp_path, "diff", "--cached", "-M")
    files = {part.path: part for part in read_diff(diff)}
    assert set(files) == {"gone.txt", "new name.txt", "no end", "raw.bin"}
    assert (files["gone.txt"].additions, files["gone.txt"].deletions) == (0, 1)
    assert (files["no end"].additions, files["no end"].deletions) == (1, 1)
