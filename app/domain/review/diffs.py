"""Unified diffs: their files and lines, and where a line of one commit is in a later one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)", re.S)


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line: its kind (`add`, `del`, `same`, `hunk` or `meta`), its numbers before and after."""

    kind: str
    words: str
    before: int | None = None
    after: int | None = None


@dataclass
class FileDiff:
    """One file's part of a diff; `previous` is its path before a rename, else None."""

    path: str
    lines: list[DiffLine] = field(default_factory=list[DiffLine])
    additions: int = 0
    deletions: int = 0
    previous: str | None = None
    is_deleted: bool = False


def read_diff(diff: str) -> list[FileDiff]:
    """Split a diff by its hunks' line counts, so that no content can pass for a header."""
    files: list[FileDiff] = []
    lines = iter(diff.split("\n")[: -1 if diff.endswith("\n") else None])
    for line in lines:
        if line.startswith("diff --git "):
            files.append(FileDiff(_path_of(line)))
        elif not files:
            files.append(FileDiff("", [DiffLine("meta", line)]))
        elif (hunk := _HUNK.match(line)) is not None:
            _read_hunk(files[-1], line, hunk, lines)
        else:
            _read_header(files[-1], line)
    return files


def diff_size(diff: str) -> tuple[int, int]:
    """Return the numbers of added and deleted lines."""
    files = read_diff(diff)
    return sum(part.additions for part in files), sum(part.deletions for part in files)


def line_after(files: Sequence[FileDiff], path: str, line: int) -> tuple[str, int] | None:
    """Return where a line of the older commit is in the newer one: its file and its number.

    `files` are the diff of the two. None if the line was changed or deleted.
    """
    part = next((one for one in files if (one.previous or one.path) == path), None)
    if part is None:
        return path, line
    shift = 0
    for one in part.lines:
        if one.kind == "add":
            shift += 1
        elif one.before is not None:
            if one.before > line:
                # it is above this hunk, so the lines that the hunk adds do not move it
                break
            if one.before == line:
                return None if one.after is None else (part.path, one.after)
            shift -= one.kind == "del"
    return None if part.is_deleted else (part.path, line + shift)


def _path_of(line: str) -> str:
    # `a/x b/x`: the same path twice unless renamed; a rename's header lines follow
    names = line.removeprefix("diff --git ")
    half = (len(names) - 1) // 2
    before, after = names[:half], names[half + 1 :]
    if before.strip('"')[2:] == after.strip('"')[2:]:
        return after.strip('"')[2:]
    return names


def _read_header(part: FileDiff, line: str) -> None:
    for word in ("+++ b/", "rename to "):
        if line.startswith(word):
            part.path = line.removeprefix(word).rstrip("\t")
    if line.startswith("rename from "):
        part.previous = line.removeprefix("rename from ").rstrip("\t")
    part.is_deleted |= line.startswith("deleted file mode ")
    if not line.startswith(("index ", "--- ", "+++ ")):
        part.lines.append(DiffLine("meta", line))


def _read_hunk(part: FileDiff, line: str, hunk: re.Match[str], lines: Iterator[str]) -> None:
    part.lines.append(DiffLine("hunk", line))
    before, after = int(hunk[1]), int(hunk[3])
    left_before, left_after = int(hunk[2] or 1), int(hunk[4] or 1)
    while left_before > 0 or left_after > 0:
        content = next(lines, None)
        if content is None:
            return
        sign, words = content[:1], content[1:]
        if sign == "+":
            part.lines.append(DiffLine("add", words, None, after))
            part.additions += 1
            after, left_after = after + 1, left_after - 1
        elif sign == "-":
            part.lines.append(DiffLine("del", words, before, None))
            part.deletions += 1
            before, left_before = before + 1, left_before - 1
        elif sign == "\\":
            part.lines.append(DiffLine("meta", content))
        else:
            part.lines.append(DiffLine("same", words, before, after))
            before, after = before + 1, after + 1
            left_before, left_after = left_before - 1, left_after - 1
