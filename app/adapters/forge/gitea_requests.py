"""Pull requests at Forgejo and Gitea: opened once, found again, merged and closed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from app.adapters.forge.adoption import TWICE, adopt, opened_since, with_note
from app.adapters.forge.client import Answer
from app.adapters.forge.gitea_rows import (
    DRAFT,
    Row,
    branch_of,
    change_of,
    delivery_of_row,
    ending_of,
    made_at,
    moment_of,
    number_of,
    path_of,
    said_by,
    state_of,
    text_of,
)
from app.adapters.forge.gitea_schedules import GiteaSchedules
from app.adapters.forge.writes import sent
from app.domain.tracker.agent_requests import OpenedRequest
from app.domain.tracker.forges import mark_of, runs_marked
from app.services.ports import (
    Change,
    ChangeOrder,
    Delivery,
    DiffStat,
    ForgeSilent,
    Merged,
    Repository,
    RequestState,
)

MARKED_DRAFT = "WIP: "
# after a push, a forge may not know its branch yet (measured: up to 2.3 s)
KNOWN_AFTER = (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
CONFLICTING = "it conflicts with its base"
# a merge is refused while the forge computes whether it can be made
COMPUTED_AFTER = (0.3, 0.7, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 15.0)
# of several requests of one run
_KEPT_FIRST = ("merged", "open", "closed")


class GiteaRequests(GiteaSchedules):
    """The pull requests of one forge."""

    def open_changes(self, repo: Repository) -> Mapping[str, int]:
        """Map each branch of the repository itself to the number of its open pull request."""
        found: dict[str, int] = {}
        for row in self.pulls(repo, state="open"):
            number = number_of(row)
            found[branch_of(row)] = min(number, found.get(branch_of(row), number))
        return found

    def delivery_of(
        self, repo: Repository, run_id: str, branch: str, *, since: datetime | None = None
    ) -> Delivery | None:
        """Return the pull request of this run, or the newest one on its branch since then."""
        earliest = None if since is None else self._cut(since)
        found: list[Row] = []
        for row in self.walk_pulls(repo, state="all", sort="recentupdate"):
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

    def opened_on(self, repo: Repository, branch: str, *, since: datetime) -> list[OpenedRequest]:
        """Return the open pull requests of a branch, and those that ended at `since` or later."""
        return opened_since(self._on(repo, branch, since), self._cut(since), ending_of)

    def _on(self, repo: Repository, branch: str, since: datetime | None) -> list[Row]:
        """Return the open pull requests of a branch, and those touched since, by number."""
        found: dict[int, Row] = {}
        recent = () if since is None else self._recent(repo, since)
        for row in (*self.pulls(repo, state="open"), *recent):
            if branch_of(row) == branch:
                found.setdefault(number_of(row), row)
        return sorted(found.values(), key=number_of)

    def change(self, repo: Repository, number: int) -> Change | None:
        """Return one pull request, or None."""
        row = self.one(repo, f"/pulls/{number}")
        return None if row is None else change_of(row)

    def states(self, repo: Repository, numbers: Collection[int]) -> dict[int, RequestState]:
        """Return how these pull requests stand, and all that are open; what is gone is left out."""
        found = {number_of(row): state_of(row) for row in self.pulls(repo, state="open")}
        for number in set(numbers) - found.keys():
            row = self.one(repo, f"/pulls/{number}")
            if row is not None:
                found[number] = state_of(row)
        return found

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a pull request for the run, or return the one it has, also one that has ended.

        The forge lets any number of equal ones through: look, open, look again. The caller holds
        the branch.
        """
        if order.adopts is not None:
            return adopt(self, repo, order, delivery_of_row)
        known = self._requests_of(repo, order)
        if not known:
            self._post(repo, order)
            known = self._requests_of(repo, order)
        if not known:
            raise ForgeSilent("the forge does not show the pull request that was opened")
        kept, *others = known
        for row in others:
            if row.get("state") == "open":
                self._close_double(repo, row, kept)
        return delivery_of_row(kept, order)

    def _requests_of(self, repo: Repository, order: ChangeOrder) -> list[Row]:
        """Return the requests of an order's branch, the one to keep first.

        The run's own come first: a merged one, then the lowest open one. Without any it is another
        open one of the branch.
        """
        # after a lost answer it may have been merged or closed before anybody looked
        rows = self._on(repo, order.branch, order.since)
        own = [row for row in rows if order.run_id in runs_marked(text_of(row, "body"))]
        if own:
            return sorted(own, key=lambda row: _KEPT_FIRST.index(ending_of(row)))
        return [row for row in rows if ending_of(row) == "open"][:1]

    def _recent(self, repo: Repository, since: datetime) -> Iterator[Row]:
        """Yield the requests that were touched since a moment, open or not."""
        earliest = self._cut(since)
        for row in self.walk_pulls(repo, state="all", sort="recentupdate"):
            touched = moment_of(row.get("updated_at"))
            if touched is not None and touched < earliest:
                return
            yield row

    def _post(self, repo: Repository, order: ChangeOrder) -> None:
        body = {
            "head": order.branch,
            "base": order.base,
            "title": f"{MARKED_DRAFT if order.draft else ''}{order.title}"[:255],
            "body": f"{order.body}\n\n{mark_of(order.run_id)}",
        }
        answer = self.client.send("POST", f"{path_of(repo)}/pulls", body)
        for seconds in KNOWN_AFTER:
            # a branch that was pushed a moment ago may not be known there yet
            if answer.status not in (404, 500) or self._requests_of(repo, order):
                break
            self.pause(seconds)
            answer = self.client.send("POST", f"{path_of(repo)}/pulls", body)
        if not answer.is_good and answer.status not in (409, 500):
            raise ForgeSilent(f"the pull request was refused: {said_by(answer)}")

    def _close_double(self, repo: Repository, row: Row, kept: Row) -> None:
        self._say_once(repo, number_of(row), TWICE.format(number=number_of(kept)))
        self.client.send("PATCH", f"{path_of(repo)}/pulls/{number_of(row)}", {"state": "closed"})

    def _say_once(self, repo: Repository, number: int, words: str) -> None:
        """Comment on a pull request, unless its last comment says just that: an answer was lost."""
        below = f"/issues/{number}/comments"
        said = self.rows(repo, below, {})
        if not said or text_of(said[-1], "body") != words:
            self.client.send("POST", f"{path_of(repo)}{below}", {"body": words})

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
        row = self.one(repo, f"/pulls/{number}")
        if row is None or row.get("state") != "open":
            return None
        body, title = text_of(row, "body"), text_of(row, "title")
        changes: dict[str, str] = {}
        if (told := with_note(body, note)) != body:
            changes["body"] = told
        if draft is not None and draft != bool(DRAFT.match(title)):
            changes["title"] = f"{MARKED_DRAFT}{title}"[:255] if draft else DRAFT.sub("", title)
        if changes:
            answer = self.client.send("PATCH", f"{path_of(repo)}/pulls/{number}", changes)
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

    def merge(
        self, repo: Repository, number: int, *, head_sha: str, message: str, style: str = "merge"
    ) -> Merged:
        """Merge a pull request at exactly this head, at once or once its checks have passed.

        Otherwise `because` says why it could not be.
        """
        title, _, text = message.partition("\n")
        body = {
            "Do": style,
            "head_commit_id": head_sha,
            "MergeTitleField": title,
            "MergeMessageField": text.strip(),
        }
        waits = iter(COMPUTED_AFTER)
        while True:
            # it may have been made without an answer: read, then judge
            path = f"{path_of(repo)}/pulls/{number}/merge"
            answer = sent(self.client, self.pause, "POST", path, body)
            # a refused, a lost and a successful merge can look alike
            row = self.one(repo, f"/pulls/{number}")
            outcome = _merged(row, number, answer)
            if outcome is not None and outcome.sha is None and not outcome.has_conflicts:
                return self.schedule(repo, number, body, answer, head_sha) or outcome
            if outcome is not None:
                return outcome
            seconds = next(waits, None)
            if seconds is None:
                has_conflicts = row is not None and row.get("mergeable") is False
                words = CONFLICTING if has_conflicts else "the forge is still computing"
                return Merged(None, words, has_conflicts=has_conflicts)
            self.pause(seconds)

    def close(self, repo: Repository, number: int, because: str) -> bool:
        """Close a pull request with a comment; False if it is not open."""
        row = self.one(repo, f"/pulls/{number}")
        if row is None or row.get("state") != "open":
            return False
        if because:
            self._say_once(repo, number, because)
        self.client.send("PATCH", f"{path_of(repo)}/pulls/{number}", {"state": "closed"})
        after = self.one(repo, f"/pulls/{number}")
        if after is not None and after.get("state") == "open":
            raise ForgeSilent("the pull request was not closed")
        return True

    def settle(self, repo: Repository, number: int) -> None:
        """Do nothing: a merge into any branch closes the issue there."""

    def _cut(self, moment: datetime) -> datetime:
        """Return a moment as the forge would have written it: its clock, whole seconds."""
        there = moment + timedelta(seconds=self.client.ahead)
        return there.replace(microsecond=0) - timedelta(seconds=1)


def _merged(row: Row | None, number: int, answer: Answer) -> Merged | None:
    """Return what became of a merge, None while the forge has yet to compute it."""
    if row is None:
        return Merged(None, f"pull request #{number} is gone")
    if row.get("merged"):
        return Merged(text_of(row, "merge_commit_sha"))
    if row.get("state") != "open":
        return Merged(None, f"pull request #{number} is closed")
    if answer.status == 409 and "StdErr" in answer.row:
        return Merged(None, CONFLICTING, has_conflicts=True)
    said = answer.message.lower()
    is_computing = answer.status == 405 and (not said or "try again later" in said)
    return None if is_computing or answer.status >= 500 else Merged(None, said_by(answer))
