"""A project's card: one sanitized block of HTML, and the buttons below it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from app.api.schemas import ProjectOut, RecentFailure, UsageLimit
from app.domain.formatting import iso
from app.domain.lifecycle import LIVE
from app.domain.sandbox.levels import SandboxLevel
from app.domain.words import Status
from app.pages.components.chips import correlation_chip_html, pill_of
from app.pages.components.countdown import ago_html, since_html, until_html
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.projects.controls import ProjectControls
from app.pages.shell.theme import TONES
from app.state.projects.card_words import (
    CardStatus,
    bars_in_words,
    bars_of,
    openings_of,
    sentence_of,
    statuses_of,
    wants_person,
)
from app.state.projects.sandbox_settings import MEANS, services_words
from app.state.runs.run_form import Trouble

NOTICE = "This project's agents now run contained."
# those of a few pages: a change is drawn on all pages at once
CARDS_KEPT = 256


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


def warning_html(project: ProjectOut) -> str:
    """Return the warning about a working agent: `No output for 12 min`."""
    last = project.last_run
    if last is None or last.status is not Status.RUNNING or not last.hold:
        return ""
    return pill_of(text(last.hold), "wait", testid="card-warning") + " "


def setting_words(project: ProjectOut) -> str:
    """Return base branch, tracker and agent: `main · builtin · script`."""
    return " · ".join((project.base_branch, project.tracker, project.agent))


def budget_html(project: ProjectOut, now: datetime) -> str:
    """Return the time used by the running run as a bar; empty where no run can start."""
    last = project.last_run
    if project.archived_at is not None or project.state == "broken":
        return ""
    if last is None or last.status not in LIVE or last.started_at is None:
        return '<progress class="budget" max="1" value="0" aria-hidden="true"></progress>'
    used = max(0, int((now - last.started_at).total_seconds()))
    return (
        f'<progress class="budget" max="{last.budget_seconds or 1}" value="{used}"'
        f' data-since="{iso(last.started_at)}" aria-label="Time used"></progress>'
    )


def bars_html(project: ProjectOut) -> str:
    """Return the last ten runs as bars: height is duration, color is outcome, title has both."""
    bars = "".join(
        f'<i class="h{bar.height} {TONES[bar.status][0]}" title="{text(bar.title)}"></i>'
        for bar in bars_of(project)
    )
    return f'<div class="spark" role="img" aria-label="{text(bars_in_words(project))}">{bars}</div>'


def failures_html(project: ProjectOut, now: datetime) -> str:
    """Return the recent failures of a paused project, linked to their runs."""
    rows = "".join(_failure_html(one, now) for one in project.recent_failures)
    return f'<ul class="fails">{rows}</ul>' if project.paused and rows else ""


def held_html(project: ProjectOut) -> str:
    """Return the note on a held account, with a link to try it at once."""
    if project.usage_limit is None or project.archived_at is not None:
        return ""
    words = held_words_html(project.usage_limit)
    return f'<div class="sub" data-testid="account-held">{words}</div>'


def unready_html(project: ProjectOut) -> str:
    """Return why the project's agent cannot work here, and how to fix it."""
    if project.agent_problem is None:
        return ""
    words = plain_html(project.agent_problem)
    return f'<div class="sub alarm" data-testid="agent-problem">{words}</div>'


def held_words_html(limit: UsageLimit) -> str:
    """Return which account is held, with a link to resume or lift it."""
    agent = plain_html(limit.agent)
    return f'{agent} is at its usage limit. <a href="/quota">Resume now, or lift it</a>'


def _failure_html(one: RecentFailure, now: datetime) -> str:
    number = f"#{one.issue} · " if one.issue else ""
    when = ago_html(one.ended_at, now) if one.ended_at else ""
    return (
        f'<li><a href="/runs/{text(one.run_id)}">{number}{text(one.label)}</a>'
        f'<span title="{text(plain(one.because))}">{plain_html(one.because)}</span>{when}</li>'
    )


def card_html(project: ProjectOut, trouble: Trouble | None, now: datetime) -> str:
    """Return everything on a card except its buttons."""
    return (
        status_html(project, now)
        + f'<div class="sub m" title="{text(plain(project.origin))}">'
        + f"{plain_html(setting_words(project))}</div>"
        + f'<div class="sub says">{warning_html(project)}{plain_html(sentence_of(project))}</div>'
        + held_html(project)
        + unready_html(project)
        + failures_html(project, now)
        + budget_html(project, now)
        + f'<div class="last">{bars_html(project)}{run_link_html(project)}</div>'
        + trouble_html(trouble, now)
    )


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


class _Drawn:
    """A project as a key, equal only to itself: all pages that show it share one drawing."""

    __slots__ = ("project",)

    def __init__(self, project: ProjectOut) -> None:
        self.project = project

    def __hash__(self) -> int:
        return id(self.project)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Drawn) and other.project is self.project


@lru_cache(maxsize=CARDS_KEPT)
def _shared_html(drawn: _Drawn, moment: datetime) -> str:
    return clean(card_html(drawn.project, None, moment))


def _has_clock(project: ProjectOut) -> bool:
    is_live = project.live_runs or (project.last_run and project.last_run.status in LIVE)
    return bool(is_live or project.usage_limit or project.recent_failures)


def facts_html(project: ProjectOut, trouble: Trouble | None, now: datetime) -> str:
    """Return the sanitized HTML of a card; its clocks show whole seconds, as in the browser.

    All open pages hold a project as one object: its card is drawn once for all of them.
    """
    if trouble is not None:
        return clean(card_html(project, trouble, now))
    # a card without a clock looks the same at any time
    moment = now.replace(microsecond=0) if _has_clock(project) else project.created_at
    return _shared_html(_Drawn(project), moment)


class ProjectCard(ProjectControls, default_classes="card project-card"):
    """The card of one project on one page."""

    MARK = "project-card"
    TAG = "article"

    def changing_props(self, project: ProjectOut) -> dict[str, Any]:
        """Return the element's properties: buttons, name, address, card HTML and notice."""
        trouble = self._acts.trouble(project.id)
        return super().changing_props(project) | {
            "name": plain(project.name),
            "path": f"/projects/{project.id}",
            "facts": facts_html(project, trouble, self._session.now()),
            "alert": wants_person(project),
            "notice": NOTICE if project.sandbox_notice and not project.archived_at else None,
        }
