"""The facts of a project that its card, its row and its page share, as HTML."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from app.api.schemas import ProjectOut
from app.domain.sandbox.levels import SandboxLevel
from app.pages.components.chips import correlation_chip_html, pill_of
from app.pages.components.countdown import since_html, until_html
from app.pages.components.markup import plain_html, text
from app.pages.shell.theme import TONES
from app.state.projects.card_words import (
    CardStatus,
    bars_in_words,
    bars_of,
    openings_of,
    statuses_of,
)
from app.state.projects.sandbox_settings import MEANS, services_words
from app.state.runs.run_form import Trouble


def status_html(project: ProjectOut, now: datetime) -> str:
    """Return the card's pill, `Running #128 · 06:41`, and pills for other causes of waiting."""
    several = f"{project.live_runs} runs are live" if project.live_runs > 1 else ""
    first, *others = statuses_of(project)
    pill = pill_of(_clocked(first, now), first.tone, testid="card-status", title=several)
    more = [pill_of(_clocked(one, now), one.tone, testid="card-status-too") for one in others]
    return f'<span class="pills">{" ".join([pill, *more, *_openings_html(project)])}</span>'


def _openings_html(project: ProjectOut) -> list[str]:
    """Return chips for what the sandbox leaves open to agents, explained in their titles."""
    is_bare = project.sandbox == SandboxLevel.NONE
    title = MEANS[SandboxLevel.NONE] if is_bare else services_words(project.allow)[0]
    mark = "unsandboxed" if is_bare else "sandbox-chip"
    return [
        pill_of(text(one.words), one.tone, testid=mark, title=title) for one in openings_of(project)
    ]


def _clocked(status: CardStatus, now: datetime) -> str:
    words = text(status.words)
    if status.since is not None:
        words += f" · {since_html(status.since, now)}"
    if status.until is not None:
        words += f" · {until_html(status.until, now)}"
    return words


def setting_words(project: ProjectOut) -> str:
    """Return base branch, tracker and agent: `main · builtin · script`."""
    return " · ".join((project.base_branch, project.tracker, project.agent))


def bars_html(project: ProjectOut) -> str:
    """Return the last ten runs as bars: height is duration, color is outcome, title has both."""
    bars = "".join(
        f'<i class="h{bar.height} {TONES[bar.status][0]}" title="{text(bar.title)}"></i>'
        for bar in bars_of(project)
    )
    return f'<div class="spark" role="img" aria-label="{text(bars_in_words(project))}">{bars}</div>'


def review_html(project: ProjectOut) -> str:
    """Return how many changes wait for a review, linked to them: `6 to review`."""
    if not project.review_count:
        return '0<span class="sr"> to review</span>'
    path = f"/projects/{text(project.id)}?tab=changes"
    return f'<a href="{path}">{project.review_count}<span class="sr"> to review</span></a>'


def tags_html(project: ProjectOut) -> str:
    """Return a project's tags as chips that lead to all projects of that tag."""
    chips = "".join(
        f'<a class="chip tag" href="/projects?tag={quote(tag)}">{plain_html(tag)}</a>'
        for tag in project.tags
    )
    return f'<span class="tags">{chips}</span>' if chips else ""


def run_link_html(project: ProjectOut) -> str:
    """Return the link to the New run form; empty where no run can start."""
    if project.archived_at is not None or project.state == "broken":
        return ""
    return f'<a href="/projects/{text(project.id)}/run" data-testid="new-run">New run</a>'


def trouble_html(trouble: Trouble | None, now: datetime) -> str:
    """Return why the last press failed, with the correlation id that finds it in the log."""
    if trouble is None:
        return ""
    words = plain_html(trouble.sentence)
    if trouble.until is not None:
        words = f"Rate limit reached. Retry in {until_html(trouble.until, now)}."
    elif trouble.run_id:
        words += f': <a href="/runs/{text(trouble.run_id)}">see that run</a>'
    chip = correlation_chip_html(trouble.correlation_id) if trouble.correlation_id else ""
    return f'<div class="trouble" data-testid="card-error"><span>{words}</span>{chip}</div>'
