"""Entries of a log as HTML: one look for each kind; what the agent wrote stays text."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.entries import SIGNS
from app.pages.components.plain_sight import plain_html
from app.pages.components.terminal import PLAIN, Style, line_html
from app.state.entry_log import EntryLine


def entries_html(lines: Iterable[EntryLine], style: Style = PLAIN) -> tuple[str, Style]:
    """Lines as HTML, and the style of the line after them: no colour outlives its line."""
    return "".join(map(_line_html, lines)), style


def _line_html(line: EntryLine) -> str:
    sign = SIGNS.get(line.kind, "")
    name = f"<b>{plain_html(f'{sign}{line.name}')}</b> " if line.name else plain_html(sign)
    return f'<div class="ln e-{line.kind}">{name}{line_html(line.text)[0]}\n</div>'
