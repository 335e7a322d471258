"""A project's card or row: one sanitized block of HTML, and the buttons after it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from app.api.schemas import ProjectOut, RecentFailure, UsageLimit
from app.domain.formatting import iso
from app.domain.lifecycle import LIVE
from app.domain.words import Status
from app.pages.components.chips import pill_of
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, coded_html, plain, plain_html, text
from app.pages.projects.controls import ProjectControls
from app.pages.projects.facts import (
    bars_html,
    run_link_html,
    setting_words,
    status_html,
    tags_html,
    trouble_html,
)
from app.pages.projects.row import row_html
from app.state.projects.card_words import sentence_of, wants_person
from app.state.projects.sections import Section, section_of
from app.state.runs.run_form import Trouble

NOTICE = "This project's agents now run contained."
# those of a few pages: a change is drawn on all pages at once
CARDS_KEPT = 256


def warning_html(project: ProjectOut) -> str:
    """Return the warning about a working agent: `No output for 12 min`."""
    last = project.last_run
    if last is None or last.status is not Status.RUNNING or not last.hold:
        return ""
    return pill_of(text(last.hold), "wait", testid="card-warning") + " "


def budget_html(project: ProjectOut, now: datetime) -> str:
    """Return the time used by the running run as a bar; empty while none runs."""
    last = project.last_run
    if last is None or last.status not in LIVE or last.started_at is None:
        return ""
    used = max(0, int((now - last.started_at).total_seconds()))
    return (
        f'<progress class="budget" max="{last.budget_seconds or 1}" value="{used}"'
        f' data-since="{iso(last.started_at)}" aria-label="Time used"></progress>'
    )


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
    """Return why the project's agent or sandbox cannot work here, and how to fix it."""
    html = ""
    if problem := project.agent_problem:
        html += f'<div class="sub alarm" data-testid="agent-problem">{coded_html(problem)}</div>'
    if problem := project.sandbox_problem:
        html += f'<div class="sub alarm" data-testid="sandbox-problem">{coded_html(problem)}</div>'
    return html


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


def review_words_html(project: ProjectOut) -> str:
    """Return `6 to review`, linked to the changes; empty if there are none."""
    if not project.review_count:
        return ""
    path = f"/projects/{text(project.id)}?tab=changes"
    return f'<a class="count" href="{path}"><b>{project.review_count}</b> to review</a>'


def _says(project: ProjectOut) -> str:
    last = project.last_run
    return "says now" if last is not None and last.status in LIVE else "says"


def card_html(project: ProjectOut, trouble: Trouble | None, now: datetime) -> str:
    """Return everything on a card except its buttons."""
    sentence = warning_html(project) + plain_html(sentence_of(project))
    return (
        status_html(project, now)
        + f'<div class="sub about" title="{text(plain(project.origin))}">'
        + f"{plain_html(setting_words(project))}{tags_html(project)}</div>"
        + f'<div class="sub {_says(project)}">{sentence}</div>'
        + held_html(project)
        + unready_html(project)
        + failures_html(project, now)
        + budget_html(project, now)
        + f'<div class="last">{review_words_html(project)}{run_link_html(project)}'
        + f"{bars_html(project)}</div>"
        + trouble_html(trouble, now)
    )


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
    return clean(_html_of(drawn.project, None, moment))


def is_row(project: ProjectOut) -> bool:
    """Return True for a project that is shown as a row of the list, not as a card."""
    return section_of(project) is Section.IDLE


def _html_of(project: ProjectOut, trouble: Trouble | None, now: datetime) -> str:
    return (row_html if is_row(project) else card_html)(project, trouble, now)


def _has_clock(project: ProjectOut) -> bool:
    is_live = project.live_runs or (project.last_run and project.last_run.status in LIVE)
    has_age = is_row(project) and project.last_run is not None
    return bool(is_live or project.usage_limit or project.recent_failures or has_age)


def facts_html(project: ProjectOut, trouble: Trouble | None, now: datetime) -> str:
    """Return the sanitized HTML of a card or row; its clocks show whole seconds, as in the browser.

    All open pages hold a project as one object: its card is drawn once for all of them.
    """
    if trouble is not None:
        return clean(_html_of(project, trouble, now))
    # a card without a clock looks the same at any time
    moment = now.replace(microsecond=0) if _has_clock(project) else project.created_at
    return _shared_html(_Drawn(project), moment)


class ProjectCard(ProjectControls, default_classes="project-card"):
    """The card of one project on one page, or its row while it needs nobody and nothing runs."""

    MARK = "project-card"
    TAG = "article"
    # what the HTML shows: its clocks tick in the browser, so time alone draws nothing anew
    _drawn: tuple[ProjectOut, Trouble | None, str] | None = None

    def changing_props(self, project: ProjectOut) -> dict[str, Any]:
        """Return the element's properties: buttons, name, address, card HTML and notice."""
        trouble = self._acts.trouble(project.id)
        if self._drawn is None or self._drawn[:2] != (project, trouble):
            html = facts_html(project, trouble, self._session.now())
            self._drawn = project, trouble, html
        return super().changing_props(project) | {
            "name": plain(project.name),
            "path": f"/projects/{project.id}",
            "facts": self._drawn[2],
            "alert": wants_person(project),
            "compact": is_row(project),
            "notice": NOTICE if self._is_noticed(project) else None,
        }

    def _is_noticed(self, project: ProjectOut) -> bool:
        is_new = project.sandbox_notice and project.archived_at is None
        return is_new and self._session.may("change_commands", project.id)
