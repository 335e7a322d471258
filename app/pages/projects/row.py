"""A project in the list of those that neither need a person nor run: one line of facts."""

from __future__ import annotations

from datetime import datetime

from app.api.schemas import ProjectOut
from app.domain.lifecycle import LIVE
from app.pages.components.countdown import ago_html
from app.pages.components.icons import MARKS, icon, mark
from app.pages.components.markup import plain, plain_html, text
from app.pages.projects.facts import (
    bars_html,
    review_html,
    run_link_html,
    setting_words,
    status_html,
    tags_html,
    trouble_html,
)
from app.state.projects.card_words import sentence_of
from app.state.runs.run_form import Trouble

HEADS = ("Project", "Last run", "Status", "Last 10", "Ready", "To review")


def heads_html() -> str:
    """Return the names of the columns; each row says them again to those who cannot see them."""
    cells = "".join(f"<span>{head}</span>" for head in HEADS)
    return f'<div class="row-heads" aria-hidden="true">{cells}</div>'


def row_html(project: ProjectOut, trouble: Trouble | None, now: datetime) -> str:
    """Return everything of a row except its name and buttons."""
    limit = icon("hourglass", kind="s") if project.usage_limit is not None else ""
    words = plain_html(setting_words(project))
    return (
        f'<div class="about sub" title="{text(plain(project.origin))}">{words}'
        f"{tags_html(project)}</div>"
        f'<div class="last-run sub">{_last_run_html(project, now)}</div>'
        f'<div class="state">{limit}{status_html(project, now)}</div>'
        f'<div class="ten">{bars_html(project)}</div>'
        f'<div class="num">{_ready_html(project)}</div>'
        f'<div class="num">{review_html(project)}</div>'
        f'<span class="to-run">{run_link_html(project)}</span>{trouble_html(trouble, now)}'
    )


def _ready_html(project: ProjectOut) -> str:
    if project.ready_count is None:
        return '<span title="Its tracker has not answered yet">–</span>'
    return f'{project.ready_count}<span class="sr"> ready</span>'


def _last_run_html(project: ProjectOut, now: datetime) -> str:
    last = project.last_run
    if last is None or last.status in LIVE or last.ended_at is None:
        return f"<span>{plain_html(sentence_of(project))}</span>"
    number = f" #{last.issue}" if last.issue else ""
    why = plain(last.because or last.title)
    return (
        f'{mark(MARKS[last.status])}<a href="/runs/{text(last.id)}" title="{text(why)}">'
        f"{text(last.label)}{number}</a><span>{ago_html(last.ended_at, now)}</span>"
        f'<span class="sr">{plain_html(sentence_of(project))}</span>'
    )
