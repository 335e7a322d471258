"""Terminal output as HTML: colors and weights are kept, all other escapes are dropped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.domain.agents.reports import SIGNS
from app.pages.components.markup import plain_html
from app.state.runs.entry_log import EntryLine
from app.state.runs.run_log import LogLine

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)(?P<codes>[0-9;:]*)m"  # the only one that is applied
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # cursor, modes, bracketed paste
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # links, titles
    r"|\x1b[ -/]*[0-~]?"
)
_MARKS = {1: "tb", 2: "td", 3: "ti", 4: "tu", 7: "tr", 9: "ts"}
_UNMARKS = {22: {"tb", "td"}, 23: {"ti"}, 24: {"tu"}, 27: {"tr"}, 29: {"ts"}}
_CUBE = (0, 95, 135, 175, 215, 255)
_SIXTEEN = (
    *((0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0)),
    *((0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170)),
    *((85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85)),
    *((85, 85, 255), (255, 85, 255), (85, 255, 255), (255, 255, 255)),
)


@dataclass(frozen=True)
class Style:
    """The style of the next character; colors are 0 to 15, as classes of assets/runs.css."""

    ink: int | None = None
    ground: int | None = None
    marks: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        """The classes of a span; empty for plain text."""
        ink = [] if self.ink is None else [f"k{self.ink}"]
        ground = [] if self.ground is None else [f"g{self.ground}"]
        return " ".join([*ink, *ground, *sorted(self.marks)])


PLAIN = Style()


def lines_html(lines: Iterable[LogLine], style: Style = PLAIN) -> tuple[str, Style]:
    """Return lines as HTML, and the style at the start of the next line."""
    made = []
    for line in lines:
        inner, style = line_html(line.text, style)
        if line.hidden:
            inner += f'<i class="cut"> … {line.hidden:,} more bytes: see the download</i>'
        made.append(f'<div class="ln">{inner}\n</div>')
    return "".join(made), style


def line_html(line: str, style: Style = PLAIN) -> tuple[str, Style]:
    """Return one line as spans, and the style at its end."""
    parts, end = [], 0
    for match in _ESCAPE.finditer(line):
        parts.append(_span(line[end : match.start()], style))
        if match["codes"] is not None:
            style = _obey(match["codes"], style)
        end = match.end()
    parts.append(_span(line[end:], style))
    return "".join(parts), style


def _span(words: str, style: Style) -> str:
    if not words:
        return ""
    inner = plain_html(words)
    return f'<span class="{style.classes}">{inner}</span>' if style.classes else inner


def _obey(codes: str, style: Style) -> Style:
    """Apply the numbers of one `ESC [ … m`; unknown ones are ignored."""
    numbers = [int(part[:4] or "0") for part in re.split("[;:]", codes)]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = PLAIN
        elif code in _MARKS:
            style = replace(style, marks=style.marks | {_MARKS[code]})
        elif code in _UNMARKS:
            style = replace(style, marks=style.marks - _UNMARKS[code])
        elif code in (38, 48):
            colour = _long_colour(numbers)
            style = replace(style, ink=colour) if code == 38 else replace(style, ground=colour)
        else:
            style = _short_colour(code, style)
    return style


def _short_colour(code: int, style: Style) -> Style:
    for first, offset, field in ((30, 0, "ink"), (90, 8, "ink"), (40, 0, "ground")):
        if first <= code < first + 8:
            return replace(style, **{field: code - first + offset})
    if 100 <= code < 108:
        return replace(style, ground=code - 92)
    if code == 39:
        return replace(style, ink=None)
    return replace(style, ground=None) if code == 49 else style


def _long_colour(numbers: list[int]) -> int | None:
    kind = numbers.pop(0) if numbers else None
    if kind == 5 and numbers:
        return _of_palette(numbers.pop(0))
    if kind == 2 and len(numbers) >= 3:
        if len(numbers) == 4:  # 38:2::r:g:b has a color-space field, which is skipped
            numbers.pop(0)
        red, green, blue = numbers[:3]
        del numbers[:3]
        return _nearest(red, green, blue)
    return None


def _of_palette(index: int) -> int | None:
    if index < 16:
        return index
    if index < 232:
        cube = index - 16
        return _nearest(_CUBE[cube // 36], _CUBE[cube // 6 % 6], _CUBE[cube % 6])
    return _nearest(*[8 + (index - 232) * 10] * 3) if index < 256 else None


def _nearest(red: int, green: int, blue: int) -> int:
    def distance(number: int) -> int:
        r, g, b = _SIXTEEN[number]
        return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2

    return min(range(16), key=distance)


def entries_html(lines: Iterable[EntryLine], style: Style = PLAIN) -> tuple[str, Style]:
    """Return entries as HTML, and the unchanged style: no color outlives its line."""
    return "".join(map(_line_html, lines)), style


def _line_html(line: EntryLine) -> str:
    sign = SIGNS.get(line.kind, "")
    name = f"<b>{plain_html(f'{sign}{line.name}')}</b> " if line.name else plain_html(sign)
    return f'<div class="ln e-{line.kind}">{name}{line_html(line.text)[0]}\n</div>'
