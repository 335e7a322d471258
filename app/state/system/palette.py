"""The search palette: its groups of projects, actions, issues and changes, and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.api.schemas import ProjectOut, SearchOut
from app.api.schemas.runs import RunItem
from app.api.schemas.search import TitleFound
from app.domain.words import Status
from app.state.projects.card_words import can_start, ready_note, status_of

MOST_SHOWN = 8
# with more named projects, the actions of each would bury everything else
PROJECTS_WITH_ACTIONS = 2
ADDING = "/projects/add"
PAGES = (
    ("Go to Inbox", "/", "inbox"),
    ("Go to Projects", "/projects", "folder-git-2"),
    ("Go to Issues", "/issues", "circle-dot"),
    ("Go to Runs", "/runs", "play"),
    ("Go to Parked", "/parked", "archive"),
    ("Go to Approvals", "/approvals", "shield-check"),
    ("Go to Settings", "/settings", "settings"),
    ("Add project", ADDING, "plus"),
)
# returns whether a person may do a deed in a project or in the organisation
May = Callable[[str, str | None], bool]
Scope = Literal["all", "commands", "issues"]
Command = Literal["reset", "start"]


@dataclass(frozen=True)
class Entry:
    """A row: what a press opens or does, its title, and a note.

    `sign` is the name of its icon; of an issue, a change or a run that of its mark, or its status.
    """

    title: str
    href: str = ""
    note: str = ""
    sign: str = ""
    command: Command | None = None
    project_id: str = ""
    at: datetime | None = None
    status: Status | None = None


@dataclass(frozen=True)
class PaletteGroup:
    """A group of rows under its name."""

    name: str
    entries: tuple[Entry, ...]


def scope_of(text: str) -> tuple[Scope, str]:
    """Return where a text searches, and the words: `>` only commands, `#` only issues."""
    words = text.strip()
    if words.startswith(">"):
        return "commands", words[1:].strip()
    if words.startswith("#"):
        return "issues", words[1:].strip()
    return "all", words


def asks_server(text: str) -> bool:
    """Return True if a text needs the server: commands and an empty field do not."""
    scope, words = scope_of(text)
    return scope != "commands" and bool(words)


def groups_of(
    text: str, projects: Sequence[ProjectOut], found: SearchOut | None, may: May
) -> list[PaletteGroup]:
    """Return the groups for a text; `found` is None where the server need not be asked.

    `may` tells if the person may do a deed in a project: without, its action is left out.
    """
    scope, words = scope_of(text)
    titles = tuple(_entry_of(one) for one in found.titles) if found else ()
    if scope == "issues":
        return _filled(PaletteGroup("Issues and changes", titles))
    by_id = {project.id: project for project in projects}
    named = [project for project in projects if _has(words, project.name)]
    if scope == "commands":
        return _filled(PaletteGroup("Actions", tuple(_matching(words, projects, may))[:MOST_SHOWN]))
    if found is not None:
        named = [by_id[one.id] for one in found.projects if one.id in by_id]
    chosen = named[:PROJECTS_WITH_ACTIONS] if words else []
    acting = [e for one in chosen for e in _actions(one, may)]
    pages = [one for one in _pages(may) if _has(words, one.title)]
    return _filled(
        PaletteGroup("Projects", tuple(_project(one) for one in named[:MOST_SHOWN])),
        PaletteGroup("Actions", tuple([*acting, *pages][:MOST_SHOWN])),
        PaletteGroup("Issues and changes", titles),
        PaletteGroup("Runs", tuple(_run(one) for one in found.runs) if found else ()),
    )


def _filled(*groups: PaletteGroup) -> list[PaletteGroup]:
    return [group for group in groups if group.entries]


def _has(words: str, text: str) -> bool:
    return all(word.casefold() in text.casefold() for word in words.split())


def _pages(may: May) -> list[Entry]:
    return [
        Entry(title, href, sign=sign)
        for title, href, sign in PAGES
        if href != ADDING or may("add_project", None)
    ]


def _matching(words: str, projects: Sequence[ProjectOut], may: May) -> Iterator[Entry]:
    entries = [entry for one in projects for entry in _actions(one, may)]
    return (one for one in (*entries, *_pages(may)) if _has(words, one.title))


def _project(project: ProjectOut) -> Entry:
    words = status_of(project).words
    return Entry(project.name, f"/projects/{project.id}", words, "folder-git-2")


def _actions(project: ProjectOut, may: May) -> Iterator[Entry]:
    if project.archived_at is not None or project.state == "broken":
        return
    id_, name, path = project.id, project.name, f"/projects/{project.id}"
    if (project.strikes or project.paused) and may("reset", id_):
        note = "Resume auto runs"
        yield Entry(f"Reset {name}", "", note, "rotate-cw", command="reset", project_id=id_)
    may_start = may("start", id_)
    if may_start and can_start(project):
        note = ready_note(project)
        title = f"Start AFK run in {name}"
        yield Entry(title, "", note, "play", command="start", project_id=id_)
    if may_start:
        yield Entry(f"New run in {name}", f"{path}/run", sign="plus")
    yield Entry(f"Issues of {name}", f"{path}/issues", sign="circle-dot")


def _entry_of(found: TitleFound) -> Entry:
    kinds = "issues" if found.kind == "issue" else "changes"
    if found.kind == "change":
        sign = {"open": "review", "merged": "done"}.get(found.state, "stopped")
        state = "in review" if found.state == "open" else found.state
    else:
        sign = "ready" if found.state == "open" else "done"
        state = "ready" if found.is_ready and found.state == "open" else found.state
    return Entry(
        found.title,
        f"/projects/{found.project_id}/{kinds}/{found.number}",
        f"{found.project_name} #{found.number} · {state}",
        sign,
        at=found.created_at,
    )


def _run(run: RunItem) -> Entry:
    title = run.title or f"Run …{run.id[-6:]}"
    because = f" · {run.because}" if run.because else ""
    note = f"{run.project_name} · {run.agent} · {run.label}{because}"
    return Entry(title, f"/runs/{run.id}", note, at=run.created_at, status=run.status)
