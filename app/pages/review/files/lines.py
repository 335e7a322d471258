"""The lines of a file's diff as HTML: numbered, colored, with changed words marked.

Everything in them comes from a repository: it is escaped, and hidden characters are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.domain.review.diffs import DiffLine
from app.domain.review.line_layout import Span, marked_words, pairs, place_of
from app.domain.words import Side
from app.pages.components.markup import plain_html
from app.pages.review.files.syntax import Part, colored

# longer lines are cut; the whole diff can be downloaded
MOST_CHARS = 2_000
_SIGNS = {"add": ("a", "+"), "del": ("d", "−"), "same": ("", ""), "hunk": ("h", "")}
Draw = Callable[[int], str]


@dataclass(frozen=True)
class LineLook:
    """How lines are drawn: side by side or below each other, with or without `+` to comment."""

    is_split: bool = False
    can_comment: bool = True


def lines_html(path: str, lines: Sequence[DiffLine], look: LineLook) -> str:
    """Return lines as HTML. Takes time: call it in a thread."""
    words = _words_html(path, lines)
    if look.is_split:
        return "".join(_rows(lines, words, look))
    return "".join(
        _line_html(line, words[index], look, _numbers(line.before, line.after))
        for index, line in enumerate(lines)
    )


def _rows(lines: Sequence[DiffLine], words: Sequence[str], look: LineLook) -> Iterator[str]:
    for old, new in pairs(lines):
        if old is not None and lines[old].kind in ("hunk", "meta"):
            yield _line_html(lines[old], words[old], look, _numbers(None, None))
            continue
        left, right = '<div class="dl e"></div>', '<div class="dl e"></div>'
        if old is not None:
            line = lines[old]
            # an unchanged line is on both sides, and takes comments on the new one
            at_left = look if line.kind == "del" else LineLook(can_comment=False)
            left = _line_html(line, words[old], at_left, _numbers(line.before), Side.OLD)
        if new is not None:
            line = lines[new]
            right = _line_html(line, words[new], look, _numbers(line.after), Side.NEW)
        yield f'<div class="pair">{left}{right}</div>'


def _line_html(
    line: DiffLine, words: str, look: LineLook, numbers: str, side: Side | None = None
) -> str:
    kind, sign = _SIGNS.get(line.kind, ("h", ""))
    place = place_of(line)
    is_copy = side is Side.OLD and line.kind == "same"
    marks, add = "", ""
    if place is not None and not is_copy:
        marks = f' data-testid="diff-line" data-side="{place.side}" data-line="{place.line}"'
        if look.can_comment:
            add = (
                '<button type="button" class="plus" data-testid="line-add" tabindex="-1"'
                f' aria-label="Comment on line {place.line}">+</button>'
            )
    return f'<div class="dl {kind}"{marks}>{numbers}<b>{sign}</b><span>{words}</span>{add}</div>'


def _numbers(*numbers: int | None) -> str:
    return "".join(f"<i>{number or ''}</i>" for number in numbers)


def _words_html(path: str, lines: Sequence[DiffLine]) -> list[str]:
    """Return the text of each line as HTML, read as two texts: before and after the change."""
    parts: list[list[Part]] = [[("", line.words)] for line in lines]
    for kinds in (("del", "same"), ("add", "same")):
        own = [index for index, line in enumerate(lines) if line.kind in kinds]
        for index, found in zip(own, colored(path, [lines[i].words for i in own]), strict=True):
            parts[index] = found
    marks = marked_words(lines)
    return [
        _parts_html(_cut(found), marks.get(index, ()), len(lines[index].words))
        for index, found in enumerate(parts)
    ]


def _cut(parts: list[Part]) -> list[Part]:
    found: list[Part] = []
    left = MOST_CHARS
    for name, text in parts:
        if left <= 0:
            break
        found.append((name, text[:left]))
        left -= len(text)
    return found


def _parts_html(parts: Sequence[Part], marks: Sequence[Span], size: int) -> str:
    html: list[str] = []
    start = 0
    for name, text in parts:
        for is_marked, words in _at_marks(text, start, marks):
            classes = " ".join(filter(None, (name, "w" if is_marked else "")))
            shown = plain_html(words)
            html.append(f'<span class="{classes}">{shown}</span>' if classes else shown)
        start += len(text)
    cut = f'<i class="cut"> … {size - start:,} more</i>' if size > start else ""
    return "".join(html) + cut


def _at_marks(text: str, start: int, marks: Sequence[Span]) -> Iterator[tuple[bool, str]]:
    """Split a text that begins at a position of its line where marks begin and end."""
    edges = {start, start + len(text)}
    for first, last in marks:
        edges |= {at for at in (first, last) if start < at < start + len(text)}
    bounds = sorted(edges)
    for first, last in pairwise(bounds):
        is_marked = any(a <= first and last <= b for a, b in marks)
        yield is_marked, text[first - start : last - start]
