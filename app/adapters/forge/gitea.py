"""Forgejo and Gitea behind the forge port: one API, two years and a fork apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from time import sleep
from typing import Any

from app.adapters.forge.client import Answer, ForgeClient, NotThere
from app.adapters.forge.gitea_rows import (
    DRAFT,
    Row,
    branch_of,
    change_of,
    closed_by,
    delivery_of_row,
    hosted_of,
    is_own,
    issue_of,
    made_at,
    moment_of,
    name_of,
    number_of,
    path_of,
    remark_of,
    said_by,
    state_of,
    text_of,
)
from app.domain.issues import blockers_of
from app.domain.tracker.forges import mark_of, runs_marked
from app.domain.words import READY_LABEL
from app.services.ports import (
    Change,
    ChangeOrder,
    Delivery,
    DiffStat,
    ForgeSilent,
    HostedRepository,
    Issue,
    Merged,
    Ready,
    Repository,
    RequestState,
    Said,
    Unwanted,
)

MARKED_DRAFT = "WIP: "
# after a push, a forge may not know its branch yet (measured: up to 2.3 s)
KNOWN_AFTER = (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
# a merge is refused while the forge computes whether it can be made
COMPUTED_AFTER = (0.3, 0.7, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 15.0)


class GiteaForge:
    """The issues and pull requests of the repositories of one Forgejo or Gitea."""

    def __init__(self, client: ForgeClient, pause: Callable[[float], None] = sleep) -> None:
        self._client = client
        self._pause = pause

    # --- issues --------------------------------------------------------------------------------

    def issue(self, repo: Repository, number: int) -> Issue | None:
        """Return one issue with its dependencies, or None."""
        found = self._issue(repo, number)
        return None if found is None else self._with_dependencies(repo, found)

    def _issue(self, repo: Repository, number: int) -> Issue | None:
        row = self._one(repo, f"/issues/{number}")
        return None if row is None or row.get("pull_request") else issue_of(row)

    def issues(self, repo: Repository) -> list[Issue]:
        """List all issues, lowest number first."""
        return self._issues(repo, state="all")

    def said_about(self, repo: Repository, number: int) -> Said:
        """Return what people said about an issue, oldest first, and requests that came to nothing.

        Runyard's own comments are left out.
        """
        if self._one(repo, f"/issues/{number}") is None:
            return Said()
        rows = self._list(repo, f"/issues/{number}/comments", {})
        said = [remark_of(row) for row in rows if not runs_marked(text_of(row, "body"))]
        closed = [
            Unwanted(number_of(row), "", moment_of(row.get("closed_at")) or made_at(row))
            for row in self._pulls(repo, state="closed")
            if not row.get("merged") and closed_by(row) == number
        ]
        return Said(tuple(said), tuple(sorted(closed, key=lambda one: one.closed_at)))

    def open_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that are open issues."""
        found = ((number, self._issue(repo, number)) for number in numbers)
        return frozenset(number for number, one in found if one and one.state == "open")

    def known_among(self, repo: Repository, numbers: Collection[int]) -> frozenset[int]:
        """Return those of the numbers that belong to an issue or a pull request."""
        return frozenset(
            number for number in numbers if self._one(repo, f"/issues/{number}") is not None
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
        rows = self._issues(repo, state="open", labels=READY_LABEL)
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
            rows = self._client.pages(f"{path_of(repo)}/issues/{issue.number}/dependencies")
        except NotThere:
            return issue  # switched off there
        here: list[int] = []
        elsewhere: list[str] = []
        for row in rows:
            name = text_of(row.get("repository") or {}, "full_name")
            if not name or name.lower() == name_of(repo).lower():
                here.append(number_of(row))
            elif row.get("state") == "open":
                elsewhere.append(f"{name}#{number_of(row)}")
        return replace(issue, dependencies=tuple(here), blocked_elsewhere=tuple(elsewhere))

    def _issues(self, repo: Repository, **params: Any) -> list[Issue]:
        rows = self._list(repo, "/issues", {"type": "issues", **params})
        found = [issue_of(row) for row in rows if not row.get("pull_request")]
        return sorted(found, key=lambda one: one.number)

    # --- pull requests -------------------------------------------------------------------------

    def open_changes(self, repo: Repository) -> Mapping[str, int]:
        """Map each branch of the repository itself to the number of its open pull request."""
        found: dict[str, int] = {}
        for row in self._pulls(repo, state="open"):
            number = number_of(row)
            found[branch_of(row)] = min(number, found.get(branch_of(row), number))
        return found

    def delivery_of(
        self, repo: Repository, run_id: str, branch: str, *, since: datetime | None = None
    ) -> Delivery | None:
        """Return the pull request of this run, or the newest one on its branch since then."""
        earliest = None if since is None else self._cut(since)
        found: list[Row] = []
        for row in self._walk_pulls(repo, state="all", sort="recentupdate"):
            touched = moment_of(row.get("updated_at"))
            if earliest is not None and touched is not None and touched < earliest:
                break
            if branch_of(row) == branch and (row.get("merged") or row.get("state") == "open"):
                found.append(row)
        own = [row for row in found if run_id in runs_marked(text_of(row, "body"))]
        fresh = [row for row in found if earliest is None or made_at(row) >= earliest]
        unmarked = [row for row in fresh if not runs_marked(text_of(row, "body"))]
        best = max(own or unmarked, key=number_of, default=None)
        if best is None or (not own and best.get("draft")):
            return None
        return delivery_of_row(best)

    def change(self, repo: Repository, number: int) -> Change | None:
        """Return one pull request, or None."""
        row = self._one(repo, f"/pulls/{number}")
        return None if row is None else change_of(row)

    def states(self, repo: Repository, numbers: Collection[int]) -> dict[int, RequestState]:
        """Return how these pull requests stand, by number; what is gone is left out."""
        found: dict[int, RequestState] = {}
        is_open = {number_of(row): row for row in self._pulls(repo, state="open")}
        for number in numbers:
            row = is_open.get(number) or self._one(repo, f"/pulls/{number}")
            if row is not None:
                found[number] = state_of(row)
        return found

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a pull request for the run, or return the one it has.

        The forge lets any number of equal ones through: look, open, look again. The caller holds
        the branch.
        """
        known = self._requests_of(repo, order)
        if not known:
            self._post(repo, order)
            known = self._requests_of(repo, order)
        if not known:
            raise ForgeSilent("the forge does not show the pull request that was opened")
        kept, *doubles = known
        for row in doubles:
            self._close_double(repo, row, kept)
        return delivery_of_row(kept, order)

    def _requests_of(self, repo: Repository, order: ChangeOrder) -> list[Row]:
        """Return the open requests of the order's branch, the run's own first, lowest first."""
        rows: list[Row] = [
            row for row in self._pulls(repo, state="open") if branch_of(row) == order.branch
        ]
        own = [row for row in rows if order.run_id in runs_marked(text_of(row, "body"))]
        others = [row for row in rows if row not in own]
        return sorted(own, key=number_of) or sorted(others, key=number_of)[:1]

    def _post(self, repo: Repository, order: ChangeOrder) -> None:
        body = {
            "head": order.branch,
            "base": order.base,
            "title": f"{MARKED_DRAFT if order.draft else ''}{order.title}"[:255],
            "body": f"{order.body}\n\n{mark_of(order.run_id)}",
        }
        answer = self._client.send("POST", f"{path_of(repo)}/pulls", body)
        for seconds in KNOWN_AFTER:
            # a branch that was pushed a moment ago may not be known there yet
            if answer.status not in (404, 500) or self._requests_of(repo, order):
                break
            self._pause(seconds)
            answer = self._client.send("POST", f"{path_of(repo)}/pulls", body)
        if not answer.is_good and answer.status not in (409, 500):
            raise ForgeSilent(f"the pull request was refused: {said_by(answer)}")

    def _close_double(self, repo: Repository, row: Row, kept: Row) -> None:
        words = f"Opened twice by accident: #{number_of(kept)} is the one."
        number = number_of(row)
        self._client.send("POST", f"{path_of(repo)}/issues/{number}/comments", {"body": words})
        self._client.send("PATCH", f"{path_of(repo)}/pulls/{number}", {"state": "closed"})

    def update_change(
        self,
        repo: Repository,
        number: int,
        *,
        head_sha: str,
        stat: DiffStat,
        base_sha: str | None = None,
        draft: bool | None = None,
        note: str = "",
    ) -> Delivery | None:
        """Add the note, make it a draft or not; None if it is not open. The push moved its head."""
        row = self._one(repo, f"/pulls/{number}")
        if row is None or row.get("state") != "open":
            return None
        body, title = text_of(row, "body"), text_of(row, "title")
        changes: dict[str, str] = {}
        if note and note not in body:
            changes["body"] = f"{body}\n\n{note}"
        if draft is not None and draft != bool(DRAFT.match(title)):
            changes["title"] = f"{MARKED_DRAFT}{title}" if draft else DRAFT.sub("", title)
        if changes:
            answer = self._client.send("PATCH", f"{path_of(repo)}/pulls/{number}", changes)
            if not answer.is_good:
                raise ForgeSilent(f"the pull request was not changed: {said_by(answer)}")
        return Delivery(
            kind="pull_request",
            number=number,
            url=text_of(row, "html_url"),
            state="open",
            branch=branch_of(row),
            head_sha=head_sha,
            stat=stat,
        )

    def merge(self, repo: Repository, number: int, *, head_sha: str, message: str) -> Merged:
        """Merge a pull request at exactly this head; `because` says why it could not be."""
        title, _, text = message.partition("\n")
        body = {
            "Do": "merge",
            "head_commit_id": head_sha,
            "MergeTitleField": title,
            "MergeMessageField": text.strip(),
        }
        waits = iter(COMPUTED_AFTER)
        while True:
            answer = self._client.send("POST", f"{path_of(repo)}/pulls/{number}/merge", body)
            # a refused, a lost and a successful merge can look alike
            row = self._one(repo, f"/pulls/{number}")
            outcome = _merged(row, number, answer)
            if outcome is not None:
                return outcome
            seconds = next(waits, None)
            if seconds is None:
                has_conflicts = row is not None and row.get("mergeable") is False
                words = "it conflicts with its base" if has_conflicts else "the forge is computing"
                return Merged(None, words, has_conflicts=has_conflicts)
            self._pause(seconds)

    def close(self, repo: Repository, number: int, because: str) -> bool:
        """Close a pull request with a comment; False if it is not open."""
        row = self._one(repo, f"/pulls/{number}")
        if row is None or row.get("state") != "open":
            return False
        if because:
            path = f"{path_of(repo)}/issues/{number}/comments"
            self._client.send("POST", path, {"body": because})
        self._client.send("PATCH", f"{path_of(repo)}/pulls/{number}", {"state": "closed"})
        after = self._one(repo, f"/pulls/{number}")
        if after is not None and after.get("state") == "open":
            raise ForgeSilent("the pull request was not closed")
        return True

    # --- repositories --------------------------------------------------------------------------

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nothing is known against it."""
        return self._client.refused

    def repository(self, full_name: str) -> HostedRepository | None:
        """Return a repository as the token sees it, None if it sees none of this name."""
        answer = self._client.get(path_of(Repository("", "", full_name=full_name)))
        if answer.status == 404:
            return None
        if not answer.is_good or not isinstance(answer.body, dict):
            raise ForgeSilent(f"it answered {answer.status}")
        return hosted_of(answer.body)

    def repositories(self) -> list[HostedRepository]:
        """Return the repositories that the token sees, by name."""
        try:
            rows = self._client.pages("/user/repos")
        except NotThere as problem:
            raise ForgeSilent(said_by(problem.answer)) from problem
        return sorted(map(hosted_of, rows), key=lambda one: one.full_name)

    # --- reading -------------------------------------------------------------------------------

    def _cut(self, moment: datetime) -> datetime:
        """Return a moment as the forge would have written it: its clock, whole seconds."""
        there = moment + timedelta(seconds=self._client.ahead)
        return there.replace(microsecond=0) - timedelta(seconds=1)

    def _pulls(self, repo: Repository, **params: Any) -> list[dict[str, Any]]:
        """Return pull requests whose head is in the repository itself, forks' left out."""
        return [row for row in self._list(repo, "/pulls", params) if is_own(row)]

    def _walk_pulls(self, repo: Repository, **params: Any) -> Iterator[Row]:
        try:
            for row in self._client.walk(f"{path_of(repo)}/pulls", params):
                if is_own(row):
                    yield row
        except NotThere as problem:
            raise self._missing(repo, problem.answer) from problem

    def _list(self, repo: Repository, below: str, params: Mapping[str, Any]) -> list[Any]:
        try:
            return self._client.pages(f"{path_of(repo)}{below}", params)
        except NotThere as problem:
            raise self._missing(repo, problem.answer) from problem

    def _missing(self, repo: Repository, answer: Answer) -> ForgeSilent:
        words = f"{name_of(repo)} does not show this: {said_by(answer)}"
        return ForgeSilent(words, needs_attention=True)

    def _one(self, repo: Repository, below: str) -> dict[str, Any] | None:
        """Return one thing; None only if the repository itself answers and says there is none."""
        answer = self._client.get(f"{path_of(repo)}{below}")
        if answer.is_good and isinstance(answer.body, dict):
            return answer.body
        if answer.status != 404:
            raise ForgeSilent(f"it answered {answer.status}")
        home = self._client.get(path_of(repo))
        switch = "has_issues" if below.startswith("/issues") else "has_pull_requests"
        if not home.is_good or not isinstance(home.body, dict):
            raise self._missing(repo, home)
        if not home.body.get(switch, True):
            raise ForgeSilent(f"{name_of(repo)} has them switched off", needs_attention=True)
        return None


def _merged(row: Row | None, number: int, answer: Answer) -> Merged | None:
    """Return what became of a merge, None while the forge has yet to compute it."""
    if row is None:
        return Merged(None, f"pull request #{number} is gone")
    if row.get("merged"):
        return Merged(text_of(row, "merge_commit_sha"))
    if row.get("state") != "open":
        return Merged(None, f"pull request #{number} is closed")
    if answer.status == 409 and isinstance(answer.body, dict) and "StdErr" in answer.body:
        return Merged(None, "it conflicts with its base", has_conflicts=True)
    said = answer.message.lower()
    is_computing = answer.status == 405 and (not said or "try again later" in said)
    return None if is_computing or answer.status >= 500 else Merged(None, said_by(answer))
