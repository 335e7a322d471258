"""A project's card: one cleaned block to read, and beside it the few things to press."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from app.domain.lifecycle import LIVE
from app.pages.components.buttons import link_button
from app.pages.components.countdown import iso, since_html
from app.pages.components.marks import testid
from app.pages.components.markup import clean, text
from app.pages.components.project_menu import ProjectMenu
from app.pages.components.status_pill import pill_of
from app.pages.theme import TONES
from app.pages.visit import Visit
from app.state.card_words import bars_in_words, bars_of, sentence_of, status_of, wants_person
from app.state.wire import ProjectOut


def status_html(project: ProjectOut, now: datetime) -> str:
    """The card's pill: `Running #128 · 06:41`."""
    status = status_of(project)
    words = text(status.words)
    if status.since is not None:
        words += f" · {since_html(status.since, now)}"
    several = f"{project.live_runs} runs are live" if project.live_runs > 1 else ""
    return pill_of(words, status.tone, testid="card-status", title=several)


def setting_words(project: ProjectOut) -> str:
    """Base branch, tracker and agent: `main · builtin · script`."""
    return " · ".join((project.base_branch, project.tracker, project.agent))


def budget_html(project: ProjectOut, now: datetime) -> str:
    """How much of the running run's time is used."""
    last = project.last_run
    if last is None or last.status not in LIVE or last.started_at is None:
        return '<progress class="budget" max="1" value="0" aria-hidden="true"></progress>'
    used = max(0, int((now - last.started_at).total_seconds()))
    return (
        f'<progress class="budget" max="{last.budget_seconds or 1}" value="{used}"'
        f' data-since="{iso(last.started_at)}" aria-label="Time used"></progress>'
    )


def bars_html(project: ProjectOut) -> str:
    """The last ten runs: height is duration, colour is outcome, the title says both."""
    bars = "".join(
        f'<i class="h{bar.height} {TONES[bar.status][0]}" title="{text(bar.title)}"></i>'
        for bar in bars_of(project)
    )
    return f'<div class="spark" role="img" aria-label="{text(bars_in_words(project))}">{bars}</div>'


def card_html(project: ProjectOut, now: datetime) -> str:
    """Everything of a card that is only read."""
    return (
        status_html(project, now)
        + f'<div class="sub m" title="{text(project.origin)}">{text(setting_words(project))}</div>'
        + f'<div class="sub says">{text(sentence_of(project))}</div>'
        + budget_html(project, now)
        + bars_html(project)
    )


def ready_words(project: ProjectOut) -> str:
    """`4 ready`; nothing while it is not known."""
    return "" if project.ready_count is None else f"{project.ready_count} ready"


class ProjectCard:
    """The card of one project on one page."""

    def __init__(self, visit: Visit, project: ProjectOut) -> None:
        self._visit = visit
        with ui.element("article").classes("card project-card") as self.element:
            self._name = ui.link("", f"/projects/{project.id}").classes("name")
            self._facts = ui.html("", sanitize=clean).classes("facts")
            self._menu = ProjectMenu(visit, project.id, project.name, kind="bare small more")
            with ui.element("div").classes("acts"):
                self._run = link_button("New run", f"/projects/{project.id}/run", mark="new-run")
                self._ready = testid(ui.label("").classes("sub"), "ready-count")
        testid(self.element, "project-card", project=project.id)
        self.show(project)

    def show(self, project: ProjectOut) -> None:
        """Draw the project as it is now; nothing that can hold the focus is made anew."""
        self._name.set_text(project.name)
        self._name.props["title"] = project.name
        self._menu.name(project.name)
        self._facts.set_content(card_html(project, self._visit.now()))
        self._ready.set_text(ready_words(project))
        self._run.set_visibility(project.archived_at is None and project.state != "broken")
        self.element.classes(
            add="alert" if wants_person(project) else "",
            remove="" if wants_person(project) else "alert",
        )
