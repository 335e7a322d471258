"""GitHub behind the forge port."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import sleep
from typing import Any

from app.adapters.forge.client import NotThere
from app.adapters.forge.gitea import MOST_ASKED, NEWEST_CLOSED
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
from app.adapters.forge.github.client import GithubClient
from app.adapters.forge.github.looks import Looks
from app.adapters.forge.github.requests import GithubRequests
from app.adapters.forge.github.reviews import GithubReviews
from app.adapters.forge.github.rows import (
    blockers_counted,
    by_stranger,
    edited,
    home_of,
    labelled_of,
)
from app.domain.issues import blockers_of
from app.domain.tracker.forges import runs_marked
from app.domain.words import READY_LABEL
from app.services.ports import ForgeSilent, Issue, Labelled, Listed, Ready, Repository, Said

# oldest first: what is written meanwhile stands at the end and shifts no page
_STEADY = {"sort": "created", "direction": "asc"}
# REST does not tell when a text was changed, and by whom
_EDITED = (
    "query($owner: String!, $name: String!, $number: Int!) {"
    " repository(owner: $owner, name: $name) {"
    " issue(number: $number) { createdAt lastEditedAt userContentEdits(first: 100) { totalCount"
    " nodes { editedAt editor { ... on User { databaseId } } } } } } }"
)


class GithubForge(GithubClaims, GithubRequests, GithubReviews):
    """The issues and pull requests of GitHub's repositories."""

    # False once this server has shown that it keeps no dependencies
    _keeps_dependencies = True

    def __init__(self, client: GithubClient, pause: Callable[[float], None] = sleep) -> None:
        super().__init__(client, pause)
        self._looks = Looks(client)

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue with its dependencies, or None."""
        row = self._row(repo, number)
        if row is None:
            return None
        found = issue_of(row)
        if READY_LABEL in found.labels:
            found = by_stranger(row, found, self.writers(repo))
        return self._with_dependencies(repo, row, found)

    def _row(self, repo: Repository, number: int) -> Row | None:
        row = self.one(repo, f"/issues/{number}")
        return None if row is None or row.get("pull_request") else row

    def issues(self, repo: Repository) -> list[Issue]:
        """List all issues, lowest number first."""
        writers = self.writers(repo)
        rows = self._rows(repo, state="all")
        found = (by_stranger(row, issue_of(row), writers) for row in rows)
        return sorted(found, key=lambda one: one.number)

    def labelled(
        self, repo: Repository, number: int, label: str, writers: Collection[int]
    ) -> Labelled:
        """Return who set a label that an issue has, from its events."""
        return labelled_of(self.rows(repo, f"/issues/{number}/events", {}), label, writers)

    @property
    def tells_editors(self) -> bool:
        """True: the history of each text is kept."""
        return True

    def was_text_changed(
        self, repo: Repository, number: int, since: datetime | None, writers: Collection[int]
    ) -> bool | None:
        """Return True if the text changed at `since` or later by another than the writers.

        None if GitHub does not tell.
        """
        issue = part_of(self.question(repo, _EDITED, number=number), "issue")
        return None if "lastEditedAt" not in issue else edited(issue, since, writers)

    def listing(self, repo: Repository, since: datetime | None) -> Listed:
        """Return all open issues, and the closed ones that changed lately."""
        writers = self.writers(repo)
        opened: list[Issue] = []
        asked = 0
        for row in self._rows(repo, state="open"):
            one = by_stranger(row, issue_of(row), writers)
            if READY_LABEL in one.labels and asked < MOST_ASKED:
                asked += 1
                one = self._with_dependencies(repo, row, one)
            opened.append(one)
        if since is not None:
            closed = self._changed(repo, since, "closed")
        else:
            newest = {"state": "closed", "sort": "updated", "direction": "desc"}
            rows = self.walk_rows(repo, "/issues", newest)
            own = (issue_of(row) for row in rows if not row.get("pull_request"))
            closed = list(islice(own, NEWEST_CLOSED))
        opened.sort(key=lambda one: one.number)
        return Listed(
            tuple(one for one in opened if one.state == "open"),
            tuple(one for one in closed if one.state == "closed"),
        )

    def changed_since(self, repo: Repository, since: datetime) -> list[Issue]:
        """Return the issues that changed at `since` or later, without blockers."""
        return self._changed(repo, since, "all")

    def _changed(self, repo: Repository, since: datetime, state: str) -> list[Issue]:
        # "after" may leave out what changed in the very second
        begin = since.astimezone(UTC) - timedelta(seconds=1)
        rows = self._rows(repo, state=state, since=f"{begin:%FT%TZ}")
        found = [issue_of(row) for row in rows]
        late = [one for one in found if one.updated_at is None or one.updated_at >= since]
        return sorted(late, key=lambda one: one.number)

    def _rows(self, repo: Repository, **params: Any) -> list[dict[str, Any]]:
        rows = self.rows(repo, "/issues", {**params, **_STEADY})
        return [row for row in rows if not row.get("pull_request")]

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
        strange = [row for row in rows if author_of(row) not in writers]
        others = [remark_of(row) for row in strange if not self._is_ours(row)]
        return Said(tuple(said), others=tuple(others))

    def _is_ours(self, row: Row) -> bool:
        """Return True for a claim that Runyard told: an App is no collaborator."""
        is_marked = bool(runs_marked(text_of(row, "body")))
        return is_marked and login_of(row).lower() == self.own_account()

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
        looks = self._looks.take(repos)
        for repo in repos:
            try:
                found[repo] = self._looks.known(repo, looks.get(repo))
                if found[repo] is None:
                    found[repo] = ready = self._ready(repo)
                    self._looks.keep(repo, looks.get(repo), ready)
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
        writers = self.writers(repo) if rows else frozenset[int]()
        known = {number_of(row) for row in rows}
        is_open: dict[int, bool] = {}
        waiting: list[Issue] = []
        for row in rows:
            plain = by_stranger(row, issue_of(row), writers)
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
