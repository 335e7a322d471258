"""Terminal output as HTML: colors and weights are kept, all other escapes are dropped."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.agents.reports import SIGNS
from app.domain.text.ansi import PLAIN, Style, tokens
from app.pages.components.countdown import at_html
from app.pages.components.markup import plain_html
from app.state.runs.entry_log import EntryLine
from app.state.runs.run_log import LogLine

_CLASSES = {
    "bold": "tb",
    "dim": "td",
    "italic": "ti",
    "reverse": "tr",
    "strike": "ts",
    "underline": "tu",
}


def lines_html(lines: Iterable[LogLine], style: Style = PLAIN) -> tuple[str, Style]:
    """Return lines as HTML, and the style at the start of the next line."""
    made: list[str] = []
    for line in lines:
        inner, style = line_html(line.text, style)
        if line.hidden:
            inner += f'<i class="cut"> … {line.hidden:,} more bytes: see the download</i>'
        made.append(f'<div class="ln">{inner}\n</div>')
    return "".join(made), style


def line_html(line: str, style: Style = PLAIN) -> tuple[str, Style]:
    """Return one line as spans, and the style at its end."""
    parts: list[str] = []
    for token in tokens(line):
        if isinstance(token, str):
            parts.append(_span(token, style))
        else:
            style = style.after(token)
    return "".join(parts), style


def _span(words: str, style: Style) -> str:
    inner, classes = plain_html(words), _classes_of(style)
    return f'<span class="{classes}">{inner}</span>' if classes else inner


def _classes_of(style: Style) -> str:
    """Return the classes of assets/runs.css for a style; empty for plain text."""
    ink = [] if style.ink is None else [f"k{style.ink}"]
    ground = [] if style.ground is None else [f"g{style.ground}"]
    return " ".join(
        [*ink, *ground, *(name for mark, name in _CLASSES.items() if mark in style.marks)]
    )


def entries_html(lines: Iterable[EntryLine], style: Style = PLAIN) -> tuple[str, Style]:
    """Return entries as HTML, and the unchanged style: no color outlives its line."""
    return "".join(map(_line_html, lines)), style


def _line_html(line: EntryLine) -> str:
    sign = SIGNS.get(line.kind, "")
    name = f"<b>{plain_html(f'{sign}{line.name}')}</b> " if line.name else plain_html(sign)
    shown = f'<div class="ln e-{line.kind}">{name}{line_html(line.text)[0]}\n</div>'
    if line.time is None:
        return shown
    time = at_html(line.time, with_seconds=True) if line.is_first else ""
    return f'<div class="timed">{time}{shown}</div>'
