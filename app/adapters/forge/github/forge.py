"""GitHub behind the forge port."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from app.adapters.forge.client import NotThere
from app.adapters.forge.gitea_rows import (
    Row,
    author_of,
    issue_of,
    login_of,
    name_of,
    number_of,
    part_of,
    path_of,
    remark_of,
    text_of,
)
from app.adapters.forge.github.claims import GithubClaims
from app.adapters.forge.github.requests import GithubRequests
from app.adapters.forge.github.rows import blockers_counted, home_of
from app.domain.issues import blockers_of
from app.domain.tracker.forges import runs_marked
from app.domain.words import READY_LABEL
from app.services.ports import ForgeSilent, Issue, Ready, Repository, Said

# oldest first: what is written meanwhile stands at the end and shifts no page
_STEADY = {"sort": "created", "direction": "asc"}


class GithubForge(GithubClaims, GithubRequests):
    """The issues and pull requests of GitHub's repositories."""

    # False once this server has shown that it keeps no dependencies
    _keeps_dependencies = True

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue with its dependencies, or None."""
        row = self._row(repo, number)
        return None if row is None else self._with_dependencies(repo, row, issue_of(row))

    def _row(self, repo: Repository, number: int) -> Row | None:
        row = self.one(repo, f"/issues/{number}")
        return None if row is None or row.get("pull_request") else row

    def issues(self, repo: Repository) -> list[Issue]:
        """List all issues, lowest number first."""
        found = map(issue_of, self._rows(repo, state="all"))
        return sorted(found, key=lambda one: one.number)

    def _rows(self, repo: Repository, **params: Any) -> list[dict[str, Any]]:
        rows = self.rows(repo, "/issues", {**params, **_STEADY})
        return [row for row in rows if not row.get("pull_request")]

    def said_about(self, repo: Repository, number: int) -> Said:
        """Return the comments on an issue, oldest first.

        Those of people who may not write there are left out, and Runyard's own.
        """
        if self.one(repo, f"/issues/{number}") is None:
            return Said()
        rows = self.rows(repo, f"/issues/{number}/comments", {})
        # anybody may comment, and could tell the agent what to do
        writers = self._writers(repo) if rows else frozenset[int]()
        trusted = [row for row in rows if author_of(row) in writers]
        said = [remark_of(row) for row in trusted if not runs_marked(text_of(row, "body"))]
        return Said(tuple(said))

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that are open issues."""
        found = ((number, self._row(repo, number)) for number in numbers)
        return frozenset(number for number, row in found if row and row.get("state") == "open")

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
        # GitHub compares labels without regard to case
        rows = [
            row
            for row in self._rows(repo, state="open", labels=READY_LABEL)
            if READY_LABEL in issue_of(row).labels and row.get("state") == "open"
        ]
        writers = self._writers(repo) if rows else frozenset[int]()
        known = {number_of(row) for row in rows}
        is_open: dict[int, bool] = {}
        waiting: list[Issue] = []
        for row in rows:
            plain = issue_of(row)
            if author_of(row) not in writers:
                plain = replace(plain, stranger=login_of(row))
            issue = self._with_dependencies(repo, row, plain)
            waiting.append(issue)
            for number in {*blockers_of(issue.body), *issue.dependencies} - is_open.keys() - known:
                blocker = self._row(repo, number)
                is_open[number] = blocker is not None and blocker.get("state") == "open"
        numbers = known | {number for number, value in is_open.items() if value}
        waiting.sort(key=lambda one: one.number)
        return Ready(tuple(waiting), frozenset(numbers), self.open_changes(repo))

    def _with_dependencies(self, repo: Repository, row: Row, issue: Issue) -> Issue:
        """Return an issue with its blockers here, and the open ones in other repositories."""
        counted = blockers_counted(row)
        if counted == 0 or (counted is None and not self._keeps_dependencies):
            return issue
        try:
            place = f"{path_of(repo)}/issues/{issue.number}/dependencies/blocked_by"
            rows = self.client.pages(place)
        except NotThere as problem:
            if counted is not None or problem.answer.status != 404:
                raise self.missing(repo, problem.answer) from problem
            self._keeps_dependencies = False
            return issue
        here: list[int] = []
        elsewhere: list[str] = []
        for one in rows:
            name = home_of(one)
            if not name or name.lower() == name_of(repo).lower():
                here.append(number_of(one))
            elif one.get("state") == "open":
                elsewhere.append(f"{name}#{number_of(one)}")
        return replace(issue, dependencies=tuple(here), blocked_elsewhere=tuple(elsewhere))

    def _writers(self, repo: Repository) -> frozenset[int]:
        """Return the ids of the people who may write to a repository."""
        # `author_association` would not do: a member of an organisation may only read there
        rows = self.rows(repo, "/collaborators", {"permission": "push"})
        return frozenset(
            one["id"]
            for one in rows
            if isinstance(one.get("id"), int) and part_of(one, "permissions").get("push") is True
        )
