"""Plain (`/plain`): cards and their forms as HTML only, for browsers without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.api.schemas import ProjectOut, RecentFailure, RunOut
from app.api.schemas.forms import PlainCard, PlainInbox, PlainPage
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import Group, ItemKind
from app.domain.text.durations import ago_words, clock_words
from app.pages.components.markup import plain
from app.pages.shell.theme import TONES, is_live
from app.state.projects.card_words import (
    CardStatus,
    bars_in_words,
    bars_of,
    can_start,
    openings_of,
    sentence_of,
    statuses_of,
    wants_person,
)
from app.state.review.inbox_board import GROUP_NAMES, deed_of

LOOKS = ("light", "dark")
# items of a group: the page does not unfold
ROWS = 50


class PlainPages:
    """Renders the templates in a folder (assets/plain).

    Every value is escaped on entry, and characters that hide or reorder text are made visible.
    """

    def __init__(self, folder: Path) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            finalize=_in_plain_sight,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def card(self, card: PlainCard) -> str:
        """Render a project's card with its forms."""
        project, now = card.project, card.now
        return self._templates.get_template("card.jinja").render(
            project=project,
            pill=_pill(project, now),
            openings=openings_of(project),
            says=sentence_of(project),
            bars=[(bar.height, TONES[bar.status][0], bar.title) for bar in bars_of(project)],
            bars_in_words=bars_in_words(project),
            alert=wants_person(project),
            is_weak=not can_start(project),
            runs=[_run(run, now) for run in card.runs],
            failures=[_failure(one, now) for one in project.recent_failures],
            unseen=card.unseen,
            csrf=card.csrf,
            new_key=card.new_key,
            may=card.may,
        )

    def inbox(self, inbox: PlainInbox) -> str:
        """Render what waits for a person, by group."""
        names = {one.id: one.name for one in inbox.projects}
        groups = [
            {
                "name": GROUP_NAMES[group],
                "rows": [_waiting(one, names, inbox) for one in own[:ROWS]],
                "more": len(own[ROWS:]),
            }
            for group in Group
            if (own := [one for one in inbox.items if one.group == group])
        ]
        return self._templates.get_template("inbox.jinja").render(groups=groups, csrf=inbox.csrf)

    def page(self, page: PlainPage) -> str:
        """Render the page around parts that are already HTML."""
        return self._templates.get_template("page.jinja").render(
            inbox=Markup(page.inbox),  # noqa: S704  (made by `inbox` above)
            cards=[Markup(card) for card in page.cards],  # noqa: S704  (made by `card` above)
            archived=[Markup(card) for card in page.archived],  # noqa: S704
            notice=page.notice,
            tone=page.tone,
            look=page.look if page.look in LOOKS else "",
            made=page.made,
            now=page.now,
        )


def _in_plain_sight(value: Any) -> Any:
    return value if isinstance(value, Markup) else plain(value)


def _pill(project: ProjectOut, now: datetime) -> tuple[str, str]:
    statuses = statuses_of(project)
    words = " · ".join(_clocked(one, now) for one in statuses)
    return words, statuses[0].tone


def _clocked(status: CardStatus, now: datetime) -> str:
    if status.until is not None:
        return f"{status.words} · {clock_words((status.until - now).total_seconds())}"
    if status.since is None:
        return status.words
    return f"{status.words} · {clock_words((now - status.since).total_seconds())}"


def _failure(one: RecentFailure, now: datetime) -> str:
    when = ago_words((now - one.ended_at).total_seconds()) if one.ended_at else ""
    parts = (f"#{one.issue}" if one.issue else "", one.label, one.because, when)
    return " · ".join(part for part in parts if part)


def _waiting(item: InboxItem, names: Mapping[str, str], inbox: PlainInbox) -> dict[str, Any]:
    # the titles of items that need attention name their project
    name = "" if item.group is Group.ATTENTION else names.get(item.project_id or "", "")
    parts = (name, item.sentence, ago_words((inbox.now - item.at).total_seconds()))
    path = _form_of(item) if inbox.may(deed_of(item), item.project_id) else ""
    return {"item": item, "about": " · ".join(filter(None, parts)), "path": path}


def _form_of(item: InboxItem) -> str:
    """Return where the form of an item's main action goes, "" if its page has the action."""
    if item.kind is ItemKind.PAUSED:
        return f"/afk/reset/{item.project_id}"
    clashes = item.facts is not None and bool(item.facts.conflicts)
    is_mergeable = item.kind is ItemKind.CHANGE and not clashes
    return f"/afk/merge/{item.change}/{item.project_id}" if is_mergeable else ""


def _run(run: RunOut, now: datetime) -> dict[str, Any]:
    since = ""
    if is_live(run.status) and run.started_at is not None:
        since = f" · {clock_words((now - run.started_at).total_seconds())}"
    return {
        "id": run.id,
        "name": f"#{run.issue}" if run.issue else run.id[-6:],
        "tone": TONES[run.status][0],
        "label": f"{run.label}{since}",
        "what": " · ".join(part for part in (run.work_branch, run.title) if part),
        "hold": run.hold or "",
    }
