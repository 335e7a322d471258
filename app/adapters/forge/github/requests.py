"""Pull requests at GitHub: opened once, found again, merged and closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import structlog

from app.adapters.forge.adoption import adopt, opened_since, with_note
from app.adapters.forge.client import Answer
from app.adapters.forge.gitea_requests import COMPUTED_AFTER, KNOWN_AFTER, MARKED_DRAFT
from app.adapters.forge.gitea_rows import (
    DRAFT,
    Row,
    made_at,
    name_of,
    number_of,
    part_of,
    path_of,
    text_of,
)
from app.adapters.forge.github.rows import (
    base_of,
    branch_of,
    change_of,
    delivery_of_row,
    ending_of,
    issue_to_settle,
    merge_of,
    refusal_of,
    state_of,
)
from app.adapters.forge.github.schedules import GithubSchedules
from app.adapters.forge.writes import LONGEST_LOOK, sent
from app.domain.json.objects import is_array, is_object
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

log = structlog.get_logger()
# how often the issue of a merge is tried to be closed
MOST_SETTLED = 3
# states in which a merge is possible
_ABLE = ("clean", "unstable", "has_hooks", "unknown")
# what GitHub says of a merge that it may make a moment later
_TOO_EARLY, _BASE_MOVED = "pull request is not mergeable", "base branch was modified"
_DRAFTING = "mutation($id: ID!) {{ {name}(input: {{pullRequestId: $id}}) {{ clientMutationId }} }}"


class GithubRequests(GithubSchedules):
    """The pull requests of GitHub's repositories."""

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
        rows = [row for row in self._on(repo, branch, "all") if ending_of(row) != "closed"]
        earliest = None if since is None else self._cut(since)
        own = [row for row in rows if run_id in runs_marked(text_of(row, "body"))]
        fresh = [row for row in rows if earliest is None or made_at(row) >= earliest]
        unmarked = [row for row in fresh if not runs_marked(text_of(row, "body"))]
        best = max(own or unmarked, key=number_of, default=None)
        if best is None or (not own and best.get("draft")):
            return None
        # a list does not tell its size
        whole = self.one(repo, f"/pulls/{number_of(best)}")
        return None if whole is None else delivery_of_row(whole)

    def _on(self, repo: Repository, branch: str, state: str) -> list[Row]:
        """Return the pull requests of a branch of the repository itself."""
        owner = name_of(repo).partition("/")[0]
        rows: list[Row] = list(self.pulls(repo, state=state, head=f"{owner}:{branch}"))
        return [row for row in rows if branch_of(row) == branch]

    def opened_on(self, repo: Repository, branch: str, *, since: datetime) -> list[OpenedRequest]:
        """Return the open pull requests of a branch, and those that ended at `since` or later."""
        return opened_since(self._on(repo, branch, "all"), self._cut(since), ending_of)

    def change(self, repo: Repository, number: int) -> Change | None:
        """Return one pull request, or None."""
        row = self.one(repo, f"/pulls/{number}")
        if row is None:
            return None
        change = change_of(row)
        # the base's commit in the row is a tip, which may have gone on since they parted
        place = f"/compare/{change.base_sha}...{change.head_sha}"
        # files stand on the first page only, up to three hundred with their patches
        answer = self.client.get(f"{path_of(repo)}{place}", {"per_page": 1, "page": 2})
        sha = text_of(part_of(answer.row, "merge_base_commit"), "sha")
        if not answer.is_good or not sha:
            raise self.missing(repo, answer)
        return replace(change, base_sha=sha)

    def states(self, repo: Repository, numbers: Collection[int]) -> dict[int, RequestState]:
        """Return how these pull requests stand, and all that are open; what is gone is left out."""
        rows: dict[int, Row] = {number_of(row): row for row in self.pulls(repo, state="open")}
        for number in set(numbers) - rows.keys():
            row = self.one(repo, f"/pulls/{number}")
            if row is not None:
                rows[number] = row
        found = {number: state_of(row) for number, row in rows.items()}
        bases = {number: base_of(rows[number]) for number in found if found[number].state == "open"}
        tips = {base: self._tip(repo, base) for base in {*bases.values()}}
        for number, base in bases.items():
            # a row keeps the base as it was at the last push to its head
            found[number] = replace(found[number], base_sha=tips[base] or found[number].base_sha)
        return found

    def _tip(self, repo: Repository, branch: str) -> str:
        """Return the commit of a branch, "" if there is none."""
        answer = self.client.get(f"{path_of(repo)}/git/ref/heads/{quote(branch)}")
        if not answer.is_good and answer.status not in (404, 409):
            raise ForgeSilent(f"it answered {answer.status}")
        return text_of(part_of(answer.row, "object"), "sha")

    # --- opening -------------------------------------------------------------------------------

    def open_change(self, repo: Repository, order: ChangeOrder, *, now: datetime) -> Delivery:
        """Open a pull request for the run, or return the one it has.

        GitHub lets one through for a branch and its base; the caller holds the branch.
        """
        if order.adopts is not None:
            return adopt(self, repo, order, delivery_of_row)
        known = self._request_of(repo, order) or self._post(repo, order)
        return delivery_of_row(known, order)

    def _request_of(self, repo: Repository, order: ChangeOrder) -> Row | None:
        """Return the run's own request, in every state, else the open one of its branch."""
        rows = sorted(self._on(repo, order.branch, "all"), key=number_of)
        are_open = [row for row in rows if ending_of(row) == "open"]
        own = [row for row in rows if order.run_id in runs_marked(text_of(row, "body"))]
        own_open = [row for row in own if row in are_open]
        # one that ended while its answer was lost is not opened again
        return next(iter(own_open or own[-1:] or are_open), None)

    def _post(self, repo: Repository, order: ChangeOrder) -> Row:
        body: dict[str, Any] = {
            "head": order.branch,
            "base": order.base,
            "title": order.title[:255],
            "body": f"{order.body}\n\n{mark_of(order.run_id)}",
            "draft": order.draft,
        }
        waits = iter(KNOWN_AFTER)
        while True:
            answer = self.client.send("POST", f"{path_of(repo)}/pulls", body)
            if answer.status == 201 and answer.row:
                return answer.row
            said = refusal_of(answer)
            if body["draft"] and "draft" in said.lower():
                # not every plan has drafts
                body |= {"draft": False, "title": f"{MARKED_DRAFT}{order.title}"[:255]}
                continue
            is_early = answer.status >= 500 or "already exists" in said or _is_unknown(answer)
            if is_early and (known := self._request_of(repo, order)) is not None:
                return known
            seconds = next(waits, None)
            if not is_early or seconds is None:
                raise ForgeSilent(f"the pull request was refused: {said}")
            # a branch that was pushed a moment ago may not be known there yet
            self.pause(seconds)

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
        if row is None or ending_of(row) != "open":
            return None
        body, title = text_of(row, "body"), text_of(row, "title")
        changes: dict[str, str] = {}
        if (told := with_note(body, note)) != body:
            changes["body"] = told
        if draft is not None and draft != bool(row.get("draft") or DRAFT.match(title)):
            is_done = self._make_draft(repo, row, draft=draft)
            if draft and not is_done:
                changes["title"] = f"{MARKED_DRAFT}{title}"[:255]
        if draft is False and DRAFT.match(title):
            changes["title"] = DRAFT.sub("", title)
        if changes:
            answer = self.client.send("PATCH", f"{path_of(repo)}/pulls/{number}", changes)
            if not answer.is_good:
                raise ForgeSilent(f"the pull request was not changed: {refusal_of(answer)}")
        found = delivery_of_row(row)
        return replace(found, state="open", head_sha=head_sha, stat=stat)

    def _make_draft(self, repo: Repository, row: Row, *, draft: bool) -> bool:
        """Make a request a draft or ready, which GitHub's REST API cannot; False if it refuses."""
        if not draft and not row.get("draft"):
            return True  # only its title says so
        name = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        owner = name_of(repo).partition("/")[0]
        given = {"id": text_of(row, "node_id")}
        try:
            self.client.graphql(owner, _DRAFTING.format(name=name), given)
        except ForgeSilent as silence:
            if not draft or silence.retry_after is not None or silence.needs_attention:
                raise
            return False
        return True

    # --- ending --------------------------------------------------------------------------------

    def merge(
        self, repo: Repository, number: int, *, head_sha: str, message: str, style: str = "merge"
    ) -> Merged:
        """Merge a pull request at exactly this head, at once or as the rules of its base demand.

        Otherwise `because` says why it could not be.
        """
        title, _, text = message.partition("\n")
        body = {"sha": head_sha, "merge_method": style}
        body |= {"commit_title": title, "commit_message": text.strip()}
        waits = iter(COMPUTED_AFTER)
        while True:
            path = f"{path_of(repo)}/pulls/{number}/merge"
            # it may have been made without an answer: read, then judge
            answer = sent(self.client, self.pause, "PUT", path, body)
            row: Row | None = None
            outcome = _made(answer)
            if outcome is None:
                # a refused, a lost and a successful merge can look alike
                row = self.one(repo, f"/pulls/{number}")
                outcome = _merged(row, number, answer)
            if outcome is not None and outcome.sha is not None:
                self._settle_merge(repo, number)
            if outcome is not None and outcome.sha is None and not outcome.has_conflicts:
                return self.schedule(repo, number, body, answer, head_sha) or outcome
            if outcome is not None:
                return outcome
            seconds = next(waits, None)
            if seconds is None:
                return Merged(None, _last_words(row, answer))
            self.pause(seconds)

    def _settle_merge(self, repo: Repository, number: int) -> None:
        """Close the issue of a merge; a silence does not undo the news that it was made."""
        for at in range(MOST_SETTLED):
            try:
                self.settle(repo, number)
                return
            except ForgeSilent as silence:
                log.info("issue_not_settled", change=number, because=silence)
                if silence.needs_attention or at == MOST_SETTLED - 1:
                    return
                self.pause(min(silence.retry_after or 1, LONGEST_LOOK))

    def close(self, repo: Repository, number: int, because: str) -> bool:
        """Close a pull request with a comment; False if it is not open."""
        row = self.one(repo, f"/pulls/{number}")
        if row is None or ending_of(row) != "open":
            return False
        if because:
            below = f"/issues/{number}/comments"
            told = self.rows(repo, below, {})
            # unless its last comment says just that: an answer was lost
            if not told or text_of(told[-1], "body") != because:
                self.client.send("POST", f"{path_of(repo)}{below}", {"body": because})
        self.client.send("PATCH", f"{path_of(repo)}/pulls/{number}", {"state": "closed"})
        after = self.one(repo, f"/pulls/{number}")
        if after is not None and ending_of(after) == "open":
            raise ForgeSilent("the pull request was not closed")
        return True

    def settle(self, repo: Repository, number: int) -> None:
        """Close the issue of a merged pull request whose base is not the default branch."""
        # that it is merged is not read again: a replica may not know of it yet
        row = self.one(repo, f"/pulls/{number}")
        closes = None if row is None else issue_to_settle(row)
        issue = None if closes is None else self.one(repo, f"/issues/{closes}")
        if issue is None or issue.get("pull_request") or issue.get("state") != "open":
            return
        body = {"state": "closed", "state_reason": "completed"}
        answer = self.client.send("PATCH", f"{path_of(repo)}/issues/{closes}", body)
        if not answer.is_good:
            words = f"issue #{closes} was not closed: {refusal_of(answer)}"
            # what GitHub does not take is not taken at the next look either
            raise ForgeSilent(words, needs_attention=answer.status < 500)

    def _cut(self, moment: datetime) -> datetime:
        """Return a moment as GitHub would have written it: its clock, whole seconds."""
        there = moment + timedelta(seconds=self.client.ahead)
        return there.replace(microsecond=0) - timedelta(seconds=1)


def _is_unknown(answer: Answer) -> bool:
    """Return True if GitHub does not know the head or the base (yet)."""
    told = answer.row.get("errors")
    errors = told if is_array(told) else []
    return answer.status == 404 or any(
        is_object(one) and one.get("code") == "invalid" and one.get("field") in ("head", "base")
        for one in errors
    )


def _is_style_refused(answer: Answer) -> bool:
    said = answer.message.lower()
    return answer.status == 405 and "not allowed" in said and "merg" in said


def _made(answer: Answer) -> Merged | None:
    """Return the merge that an answer tells of, None if it tells of none."""
    is_made = answer.is_good and answer.row.get("merged")
    return Merged(text_of(answer.row, "sha")) if is_made else None


def _merged(row: Row | None, number: int, answer: Answer) -> Merged | None:
    """Return what became of a merge, None while GitHub has yet to compute it."""
    if row is None:
        return Merged(None, f"pull request #{number} is gone")
    if ending_of(row) == "merged":
        return Merged(merge_of(row) or "")
    if ending_of(row) == "closed":
        return Merged(None, f"pull request #{number} is closed")
    if row.get("mergeable") is False and row.get("mergeable_state") == "dirty":
        words = f"it conflicts with {base_of(row)}"
        return Merged(None, words, has_conflicts=True)
    # another style than the project's is nobody's wish
    if not _is_style_refused(answer) and (_is_computing(row) or _may_pass(row, answer)):
        return None
    return Merged(None, _refused(answer))


def _is_computing(row: Row) -> bool:
    """Return True while GitHub does not say whether a pull request can be merged."""
    return row.get("mergeable") is None or row.get("mergeable_state") == "unknown"


def _may_pass(row: Row, answer: Answer) -> bool:
    """Return True for a refusal that may be none a moment later."""
    said = answer.message.lower()
    # what was refused a moment ago may have been computed since
    is_early = _TOO_EARLY in said and row.get("mergeable_state") in _ABLE
    return is_early or _BASE_MOVED in said or answer.status >= 500


def _last_words(row: Row | None, answer: Answer) -> str:
    """Return why nothing was merged when there is no time left to wait."""
    said = answer.message.lower()
    if row is not None and _is_computing(row) and (not said or _TOO_EARLY in said):
        return "GitHub is still computing whether it can be merged"
    return _refused(answer)


def _refused(answer: Answer) -> str:
    return refusal_of(answer).rstrip(".")
