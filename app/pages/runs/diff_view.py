"""A unified diff as escaped HTML: one foldable part per file, numbered and colored lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.pages.components.markup import plain_html, text

MAX_LINES = 3_000
MAX_LINE_CHARS = 2_000
_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)", re.S)


@dataclass(frozen=True)
class DiffLine:
    """A line: its kind (`add`, `del`, `same`, `hunk` or `meta`), its numbers before and after."""

    kind: str
    words: str
    before: int | None = None
    after: int | None = None


@dataclass
class FileDiff:
    """One file's part of a diff."""

    path: str
    lines: list[DiffLine] = field(default_factory=list)
    additions: int = 0
    deletions: int = 0


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


def diff_html(diff: str, whole_at: str = "") -> str:
    """Return the diff as HTML, at most `MAX_LINES` lines; `whole_at` is the download's address."""
    left, hidden = MAX_LINES, 0
    parts: list[str] = []
    for part in read_diff(diff):
        shown = part.lines[:left]
        left -= len(shown)
        hidden += len(part.lines) - len(shown)
        if shown or left:
            parts.append(_file_html(part, shown))
    if hidden:
        link = f' <a href="{text(whole_at)}" download>The whole diff</a>' if whole_at else ""
        parts.append(f'<p class="sub">… {hidden:,} more lines.{link}</p>')
    return "".join(parts)


def diff_size(diff: str) -> tuple[int, int]:
    """Return the numbers of added and deleted lines."""
    files = read_diff(diff)
    return sum(part.additions for part in files), sum(part.deletions for part in files)


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


def _file_html(part: FileDiff, shown: list[DiffLine]) -> str:
    size = ""
    if part.additions or part.deletions:
        size = f'<b class="add">+{part.additions}</b> <b class="del">−{part.deletions}</b>'
    head = f'<summary><span class="m">{plain_html(part.path or "diff")}</span> {size}</summary>'
    body = "".join(_line_html(line) for line in shown)
    return f'<details class="file" open>{head}<div class="hunks">{body}</div></details>'


def _line_html(line: DiffLine) -> str:
    words = line.words[:MAX_LINE_CHARS]
    cut = (
        f'<i class="cut"> … {len(line.words) - len(words):,} more</i>'
        if words != line.words
        else ""
    )
    marks = f' data-a="{line.before or ""}" data-b="{line.after or ""}"'
    return f'<div class="{line.kind}"{marks}>{plain_html(words)}{cut}\n</div>'
