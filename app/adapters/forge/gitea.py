"""Forgejo and Gitea behind the forge port: one API, two years and a fork apart."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from app.adapters.forge.client import NotThere
from app.adapters.forge.gitea_claims import GiteaClaims
from app.adapters.forge.gitea_requests import GiteaRequests
from app.adapters.forge.gitea_rows import (
    Row,
    author_of,
    issue_of,
    labelled_of,
    login_of,
    name_of,
    number_of,
    part_of,
    path_of,
    remark_of,
    text_of,
)
from app.domain.issues import blockers_of
from app.domain.json.objects import is_object
from app.domain.tracker.forges import runs_marked
from app.domain.words import READY_LABEL
from app.services.ports import (
    ForgeSilent,
    Issue,
    Labelled,
    Listed,
    Ready,
    Repository,
    Said,
)

# closed issues of a repository that is listed for the first time
NEWEST_CLOSED = 50
# issues of one list whose blockers are asked for, one question each
MOST_ASKED = 100


class GiteaForge(GiteaRequests, GiteaClaims):
    """The issues and pull requests of the repositories of one Forgejo or Gitea."""

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue with its dependencies, or None."""
        row = self.one(repo, f"/issues/{number}")
        if row is None or row.get("pull_request"):
            return None
        found = issue_of(row)
        if READY_LABEL in found.labels:
            found = _by_stranger(row, found, self.writers(repo))
        return self._with_dependencies(repo, found)

    def _issue(self, repo: Repository, number: int) -> Issue | None:
        row = self.one(repo, f"/issues/{number}")
        return None if row is None or row.get("pull_request") else issue_of(row)

    def issues(self, repo: Repository) -> list[Issue]:
        """List all issues, lowest number first."""
        return self._issues(repo, writers=self.writers(repo), state="all")

    def labelled(
        self, repo: Repository, number: int, label: str, writers: Collection[int]
    ) -> Labelled:
        """Return who set a label that an issue has, from its timeline."""
        return labelled_of(self.rows(repo, f"/issues/{number}/timeline", {}), label, writers)

    @property
    def tells_editors(self) -> bool:
        """False: only how often a text was changed is told."""
        return False

    def was_text_changed(
        self, repo: Repository, number: int, since: datetime | None, writers: Collection[int]
    ) -> bool | None:
        """Return True if the text of an issue ever changed, None if the forge does not tell."""
        path = f"{path_of(repo).removeprefix('/repos')}/issues/{number}"
        answer = self.client.web(f"{path}/content-history/overview")
        counts = answer.row.get("editedHistoryCountMap") if answer else None
        # "0" stands for the issue's own text, beside the ids of its comments
        return None if not is_object(counts) else "0" in counts

    def listing(self, repo: Repository, since: datetime | None) -> Listed:
        """Return all open issues, and the closed ones that changed lately."""
        found = self._issues(repo, state="open", writers=self.writers(repo))
        ready = [one.number for one in found if READY_LABEL in one.labels][:MOST_ASKED]
        is_asked = frozenset(ready)
        opened = [
            self._with_dependencies(repo, one) if one.number in is_asked else one for one in found
        ]
        if since is not None:
            closed = self._issues(repo, state="closed", since=since.isoformat())
        else:
            rows = self.walk_rows(repo, "/issues", {"type": "issues", "state": "closed"})
            newest = islice((row for row in rows if not row.get("pull_request")), NEWEST_CLOSED)
            closed = [issue_of(row) for row in newest]
        return Listed(
            tuple(one for one in opened if one.state == "open"),
            tuple(one for one in closed if one.state == "closed"),
        )

    def changed_since(self, repo: Repository, since: datetime) -> list[Issue]:
        """Return the issues that changed at `since` or later, without blockers."""
        return self._issues(repo, state="all", since=since.isoformat())

    def said_about(self, repo: Repository, number: int) -> Said:
        """Return the comments on an issue, oldest first.

        Those of people who may not write there stand apart; Runyard's own are left out.
        """
        if self.one(repo, f"/issues/{number}") is None:
            return Said()
        rows = self.rows(repo, f"/issues/{number}/comments", {})
        # anybody may comment, and could tell the agent what to do
        writers = self.writers(repo) if rows else frozenset[int]()
        trusted = [row for row in rows if author_of(row) in writers]
        said = [remark_of(row) for row in trusted if not runs_marked(text_of(row, "body"))]
        others = [remark_of(row) for row in rows if author_of(row) not in writers]
        return Said(tuple(said), others=tuple(others))

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that are open issues."""
        found = ((number, self._issue(repo, number)) for number in numbers)
        return frozenset(number for number, one in found if one and one.state == "open")

    def known_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that belong to an issue or a pull request."""
        return frozenset(
            number for number in numbers if self.one(repo, f"/issues/{number}") is not None
        )

    def ready_issues(self, repos: Collection[Repository]) -> dict[Repository, Ready | None]:
        """Return the ready issues of all `repos` and what may block them."""
        found: dict[Repository, Ready | None] = {}
        for repo in repos:
            try:
                found[repo] = self._ready(repo)
            except ForgeSilent:
                found[repo] = None
        return found

    def _ready(self, repo: Repository) -> Ready:
        # a label that the repository does not have is no filter there: compared again here
        rows = self._issues(repo, state="open", labels=READY_LABEL, writers=self.writers(repo))
        ready = [one for one in rows if READY_LABEL in one.labels and one.state == "open"]
        known = {one.number for one in ready}
        is_open: dict[int, bool] = {}
        waiting = [self._with_dependencies(repo, one) for one in ready]
        for one in waiting:
            for number in {*blockers_of(one.body), *one.dependencies} - is_open.keys() - known:
                blocker = self._issue(repo, number)
                is_open[number] = blocker is not None and blocker.state == "open"
        numbers = known | {number for number, value in is_open.items() if value}
        return Ready(tuple(waiting), frozenset(numbers), self.open_changes(repo))

    def _with_dependencies(self, repo: Repository, issue: Issue) -> Issue:
        """Return an issue with its blockers here, and the open ones in other repositories."""
        try:
            rows = self.client.pages(f"{path_of(repo)}/issues/{issue.number}/dependencies")
        except NotThere as problem:
            if self._has_dependencies(repo):
                raise self.missing(repo, problem.answer) from problem
            return issue  # switched off there
        here: list[int] = []
        elsewhere: list[str] = []
        for row in rows:
            name = text_of(part_of(row, "repository"), "full_name")
            if not name or name.lower() == name_of(repo).lower():
                here.append(number_of(row))
            elif row.get("state") == "open":
                elsewhere.append(f"{name}#{number_of(row)}")
        return replace(issue, dependencies=tuple(here), blocked_elsewhere=tuple(elsewhere))

    def _has_dependencies(self, repo: Repository) -> bool:
        """Return False only if the repository says that it keeps none."""
        tracker = part_of(self.client.get(path_of(repo)).row, "internal_tracker")
        return tracker.get("enable_issue_dependencies") is not False

    def _issues(
        self, repo: Repository, writers: frozenset[int] | None = None, **params: Any
    ) -> list[Issue]:
        """Return issues by number; with `writers`, each names an author who is not among them."""
        rows = self.rows(repo, "/issues", {"type": "issues", **params})
        own = [row for row in rows if not row.get("pull_request")]
        found = [
            issue_of(row) if writers is None else _by_stranger(row, issue_of(row), writers)
            for row in own
        ]
        return sorted(found, key=lambda one: one.number)


def _by_stranger(row: Row, issue: Issue, writers: frozenset[int]) -> Issue:
    """Return an issue that names its author if that is nobody of the writers."""
    return issue if author_of(row) in writers else replace(issue, stranger=login_of(row))
