"""The links from a page of a list to those beside it."""

from __future__ import annotations

from collections.abc import Sequence

from app.pages.components.markup import text


def pages_html(links: Sequence[tuple[str, str]]) -> str:
    """Links, each an address and its words; empty without any."""
    made = [f'<a class="btn smallall" href="{text(href)}">{word}</a>' for href, word in links]
    return f'<div class="pages">{"".join(made)}</div>' if made else ""
