"""The search over everything: projects, issues and change requests, and runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.domain.words import READY_LABEL
from app.records.review.title_search import issues_and_changes, names_of_projects
from app.records.runs.run_pages import ListedRun, RunFilter
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest, IssueRow
from app.services.runs.queries import RunListing

MOST_FOUND = 8
# a single character is in nearly every title
FEWEST_CHARS = 2


@dataclass(frozen=True)
class FoundProject:
    """A project whose name has all words."""

    id: str
    name: str


@dataclass(frozen=True)
class FoundTitle:
    """An issue or a change request."""

    kind: str
    project_id: str
    project_name: str
    number: int
    title: str
    state: str
    is_ready: bool
    created_at: datetime


@dataclass(frozen=True)
class Found:
    """Everything that was found, at most `MOST_FOUND` of each group."""

    projects: list[FoundProject] = field(default_factory=list[FoundProject])
    titles: list[FoundTitle] = field(default_factory=list[FoundTitle])
    runs: list[ListedRun] = field(default_factory=list[ListedRun])


class Search:
    """Finds by words; what it reads is bounded whatever the history holds."""

    def __init__(self, stores: Stores, listing: RunListing) -> None:
        self._stores = stores
        self._listing = listing

    def find(self, text: str) -> Found:
        """Return what all words of the text name; nothing for less than two characters."""
        words = text.replace("#", " ").split()
        if len("".join(words)) < FEWEST_CHARS and not text.strip("# ").isdecimal():
            return Found()
        with self._stores.looking() as session:
            names = names_of_projects(session)
            rows = issues_and_changes(session, words, names, MOST_FOUND)
        projects = [
            FoundProject(id_, name)
            for id_, name in sorted(names.items(), key=lambda one: one[1].casefold())
            if all(word.casefold() in name.casefold() for word in words)
        ][:MOST_FOUND]
        titles = [_title_of(row, names[row.project_id]) for row in rows]
        newest = sorted(titles, key=lambda one: one.created_at, reverse=True)[:MOST_FOUND]
        return Found(projects, newest, self._runs(text, projects))

    def _runs(self, text: str, projects: list[FoundProject]) -> list[ListedRun]:
        """Return the runs that the text finds, then the newest of the project that it names."""
        found = {run.id: run for run in self._page(RunFilter(text=text))}
        if projects and len(found) < MOST_FOUND:
            for run in self._page(RunFilter(project_id=projects[0].id)):
                found.setdefault(run.id, run)
        return list(found.values())[:MOST_FOUND]

    def _page(self, wanted: RunFilter) -> list[ListedRun]:
        return self._listing.page(wanted, limit=MOST_FOUND).items


def _title_of(row: IssueRow | ChangeRequest, name: str) -> FoundTitle:
    is_issue = isinstance(row, IssueRow)
    return FoundTitle(
        kind="issue" if is_issue else "change",
        project_id=row.project_id,
        project_name=name,
        number=row.number,
        title=row.title,
        state=row.state,
        is_ready=is_issue and READY_LABEL in row.labels,
        created_at=row.created_at,
    )
