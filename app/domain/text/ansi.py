"""ANSI: the sequences in text for terminals, of which only colors and weights are ever applied.

Pages turn the tokens of a line into HTML; the command line strips a text, or keeps its colors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.domain.safe_text import CONTROL

RESET = "\x1b[0m"
ERASE_LINE = "\r\x1b[K"
PAINTS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "bold": 1, "dim": 2}

_CSI = r"(?:\x1b\[|\x9b)"
# how strings begin: titles, links, the clipboard, queries
_STRING = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
_STRING_END = r"(?:\x07|\x1b\\|\x9c)"
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
# whole sequences first, so that their printable remainders do not stay behind
_COMMANDS = rf"{_CSI}(?P<codes>[0-9;:]*)m|{_CSI}[0-?]*[ -/]*[@-~]"
# In a whole line, a string without an end hides nothing after it. These expressions are compiled at
# their first use, which most commands of the command line do without.
_WHOLE = rf"{_COMMANDS}|{_STRING}[^\x07\x1b\x9c]*{_STRING_END}|\x1b[ -/]*[0-~]?"
# a terminal that gets a piece waits for the end of a string, up to the next control character
_PIECE = rf"{_COMMANDS}|{_STRING}[^{_CONTROLS}]*{_STRING_END}?|\x1b[ -/]*[0-~]"
# the possible start of a sequence, or of a line break, whose end has not arrived yet
_UNFINISHED = (
    rf"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^{_CONTROLS}]*\x1b?|[ -/]*)"
    rf"|\x9b[0-?]*[ -/]*|[\x90\x98\x9d-\x9f][^{_CONTROLS}]*|\r)\Z"
)
_UNPRINTED = f"(?!\n){CONTROL.pattern}"

_MARKS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_UNMARKS = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}, 27: {"reverse"}, 29: {"strike"}}
_CUBE = (0, 95, 135, 175, 215, 255)
_SIXTEEN = (
    *((0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0)),
    *((0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170)),
    *((85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85)),
    *((85, 85, 255), (255, 85, 255), (85, 255, 255), (255, 255, 255)),
)


@dataclass(frozen=True)
class Rendition:
    """A sequence `ESC [ … m`, which changes the style of the text after it."""

    codes: str
    raw: str


def tokens(text: str, *, is_piece: bool = False) -> Iterator[str | Rendition]:
    """Yield texts and changes of their style; all other sequences are dropped.

    A piece of an endless stream may end in the middle of a sequence. Other control characters stay
    in the texts.
    """
    end = 0
    for found in re.finditer(_PIECE if is_piece else _WHOLE, text):
        if found.start() > end:
            yield text[end : found.start()]
        if found["codes"] is not None:
            yield Rendition(found["codes"], found[0])
        end = found.end()
    if end < len(text):
        yield text[end:]


def strip(text: str, *, keep_colors: bool = False) -> str:
    """Remove sequences and control characters; tabs, line breaks and, if wanted, colors stay."""
    kept: list[str] = []
    for token in tokens(text, is_piece=True):
        if isinstance(token, str):
            kept.append(re.sub(_UNPRINTED, "", token))
        elif keep_colors and token.raw.startswith("\x1b"):
            kept.append(token.raw)
    return "".join(kept)


def unfinished_at(text: str, begin: int) -> int:
    """Return where a sequence starts that the next piece may end, else the length of the text.

    It is searched from `begin`.
    """
    found = re.compile(_UNFINISHED).search(text, begin)
    return found.start() if found else len(text)


def paint(text: str, color: str) -> str:
    """Return the text in one of PAINTS; unchanged for any other color."""
    return f"\x1b[{PAINTS[color]}m{text}{RESET}" if color in PAINTS else text


@dataclass(frozen=True)
class Style:
    """The style of the next character; colors are 0 to 15, None for the default."""

    ink: int | None = None
    ground: int | None = None
    marks: frozenset[str] = frozenset()

    def after(self, rendition: Rendition) -> Style:
        """Return the style after one more sequence; unknown numbers are ignored."""
        numbers = [int(part[:4] or "0") for part in re.split("[;:]", rendition.codes)]
        style = self
        while numbers:
            code = numbers.pop(0)
            if code == 0:
                style = PLAIN
            elif code in _MARKS:
                style = replace(style, marks=style.marks | {_MARKS[code]})
            elif code in _UNMARKS:
                style = replace(style, marks=style.marks - _UNMARKS[code])
            elif code in (38, 48):
                color = _long_color(numbers)
                style = replace(style, ink=color) if code == 38 else replace(style, ground=color)
            else:
                style = _with_short_color(style, code)
        return style


PLAIN = Style()


def _with_short_color(style: Style, code: int) -> Style:
    for first, offset, field in ((30, 0, "ink"), (90, 8, "ink"), (40, 0, "ground")):
        if first <= code < first + 8:
            return replace(style, **{field: code - first + offset})
    if 100 <= code < 108:
        return replace(style, ground=code - 92)
    if code == 39:
        return replace(style, ink=None)
    return replace(style, ground=None) if code == 49 else style


def _long_color(numbers: list[int]) -> int | None:
    """Take a color of the palette or of 24 bits from the numbers that follow 38 or 48."""
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
