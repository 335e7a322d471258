"""Unified diffs: split by their line counts, and lines followed from one commit to a later one."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.review.diffs import diff_size, line_after, read_diff
from tests.builders.repositories import ADDED, run_git


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


def follow(folder: Path, before: str, after: str, line: int) -> tuple[str, int] | None:
    """Return where a line of a file is after a change, as git's diff tells it."""
    run_git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("".join(f"{one}\n" for one in before))
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-qm", "first")
    (folder / "a.txt").write_text("".join(f"{one}\n" for one in after))
    return line_after(read_diff(run_git(folder, "diff", "-M") + "\n"), "a.txt", line)


LONG = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("after", "line", "place"),
    [
        (LONG, 5, 5),
        (f"12{LONG}", 5, 7),
        (f"12{LONG}", 1, 3),
        (LONG[1:], 5, 4),
        (LONG[1:], 1, None),
        (f"{LONG}12", 26, 26),
        (LONG.replace("e", "1"), 5, None),
        (LONG.replace("e", "12"), 6, 7),
        (LONG.replace("c", "").replace("x", "123"), 12, 11),
        (LONG.replace("c", "").replace("x", "123"), 25, 26),
        ("", 5, None),
    ],
)
def test_a_line_is_followed_to_where_a_later_commit_has_it(
    tmp_path: Path, after: str, line: int, place: int | None
) -> None:
    assert follow(tmp_path, LONG, after, line) == (None if place is None else ("a.txt", place))


def test_a_line_of_a_renamed_file_is_followed_into_its_new_name() -> None:
    diff = (
        "diff --git a/old.py b/new.py\nsimilarity index 90%\nrename from old.py\n"
        "rename to new.py\n--- a/old.py\n+++ b/new.py\n@@ -1,2 +1,3 @@\n+more\n one\n two\n"
    )
    assert line_after(read_diff(diff), "old.py", 2) == ("new.py", 3)
    assert line_after(read_diff(diff), "other.py", 2) == ("other.py", 2)


def test_a_line_of_a_deleted_file_is_nowhere() -> None:
    diff = "diff --git a/x.bin b/x.bin\ndeleted file mode 100644\nBinary files a/x.bin differ\n"
    assert line_after(read_diff(diff), "x.bin", 1) is None
