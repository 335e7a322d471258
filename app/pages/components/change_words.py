"""A change request in two lines: number, title and state; branch and size."""

from __future__ import annotations

from app.pages.components.markup import counted, text
from app.pages.components.plain_sight import plain_html
from app.pages.components.status_pill import pill_html
from app.state.wire import ChangeOut

TONES = {"open": "acc", "merged": "go", "closed": "idle"}


def change_html(change: ChangeOut, path: str) -> str:
    """The two lines; `path` is the change's own page."""
    size = f"{counted(change.commits, 'commit')} · {counted(change.files_changed, 'file')}"
    closes = f" · closes #{change.closes}" if change.closes else ""
    return (
        f'<div class="line"><span class="m sub">{change.number}</span>'
        f'<a href="{text(path)}"><b>{plain_html(change.title)}</b></a>'
        f"{pill_html(change.state, TONES[change.state])}</div>"
        f'<div class="sub"><span class="m">{plain_html(f"{change.branch} → {change.base}")}</span>'
        f' · {size} · <span class="plus">+{change.additions}</span>'
        f' <span class="minus">−{change.deletions}</span>{closes}</div>'
    )
