"""Merges that Forgejo and Gitea make by themselves once the required checks have passed."""

from __future__ import annotations

from app.adapters.forge.client import Answer
from app.adapters.forge.gitea_reviews import GiteaReviews
from app.adapters.forge.gitea_rows import (
    Row,
    ending_of,
    login_of,
    part_of,
    path_of,
    said_by,
    text_of,
)
from app.adapters.forge.writes import sent
from app.domain.tracker.ci import CiState
from app.domain.words import MergeWait
from app.services.ports import ForgeSilent, Merged, Repository, Scheduled

# a merge that the branch refuses until its checks have passed
_CHECKS_LACK = "not all required status checks successful"
# after answers that were lost, seconds
_ASKED_AFTER = (1.0, 3.0, 10.0)
_MADE, _CANCELED = "pull_scheduled_merge", "pull_cancel_scheduled_merge"
_EVENTS = (_MADE, _CANCELED, "merge_pull")
MOVED = "it got other commits"


class GiteaSchedules(GiteaReviews):
    """The scheduled merges of one forge.

    It merges the head that a request has by then, and tells of a schedule in the timeline alone.
    """

    def scheduled(self, repo: Repository, number: int) -> Scheduled:
        """Return how a scheduled merge stands, by the last event that is about one."""
        rows = self.rows(repo, f"/issues/{number}/timeline", {})
        last = next((row for row in reversed(rows) if row.get("type") in _EVENTS), None)
        if last is None:
            return Scheduled(None, "the forge does not know of it")
        if last.get("type") == _CANCELED:
            return Scheduled(None, f"{login_of(last)} canceled it there")
        return Scheduled(MergeWait.CHECKS)

    def cancel_merge(self, repo: Repository, number: int, because: str) -> None:
        """Cancel the scheduled merge of a pull request."""
        answer = self.client.send("DELETE", f"{path_of(repo)}/pulls/{number}/merge")
        if answer.status == 404:
            # none was scheduled, unless the repository is hidden
            self.one(repo, f"/pulls/{number}")
        elif not answer.is_good and self.scheduled(repo, number).waits_for is not None:
            raise ForgeSilent(f"the merge was not canceled: {said_by(answer)}")

    def schedule(
        self, repo: Repository, number: int, order: Row, refused: Answer, head_sha: str
    ) -> Merged | None:
        """Have the forge make a merge that it refused for its checks, once they pass.

        `order` is the body of that merge. None if it was refused for something else, or a check
        has failed: another merge will be refused, too.
        """
        if refused.status != 405 or _CHECKS_LACK not in refused.message.lower():
            return None
        if self.ci(repo, head_sha).state is CiState.FAILED:
            return None
        body = {**order, "merge_when_checks_succeed": True}
        for seconds in (*_ASKED_AFTER, 0.0):
            # it takes any head: the one that was seen has to be the one that it has
            row = self.one(repo, f"/pulls/{number}")
            if outcome := _ended(row, number, head_sha):
                return outcome
            path = f"{path_of(repo)}/pulls/{number}/merge"
            answer = sent(self.client, self.pause, "POST", path, body)
            outcome = self._judged(repo, number, answer, head_sha)
            if outcome is not None:
                return outcome
            self.pause(seconds)
        raise ForgeSilent("it does not say whether it will merge")

    def _judged(
        self, repo: Repository, number: int, answer: Answer, head_sha: str
    ) -> Merged | None:
        """Return what became of an order to merge by itself, None if it was lost on its way."""
        row = self.one(repo, f"/pulls/{number}")
        ended = _ended(row, number, head_sha)
        is_taken = answer.is_good or (answer.status == 409 and "scheduled" in answer.message)
        if ended is not None and ended.because == MOVED:
            self.cancel_merge(repo, number, MOVED)
        if ended is not None:
            return ended
        if is_taken or (answer.status >= 500 and self.scheduled(repo, number).waits_for):
            return Merged(None, waits_for=MergeWait.CHECKS)
        return None if answer.status >= 500 else Merged(None, said_by(answer))


def _ended(row: Row | None, number: int, head_sha: str) -> Merged | None:
    """Return why nothing is to be scheduled, None if the request is open at this head."""
    if row is None:
        return Merged(None, f"pull request #{number} is gone")
    ending = ending_of(row)
    if ending == "merged":
        return Merged(text_of(row, "merge_commit_sha"))
    if ending == "closed":
        return Merged(None, f"pull request #{number} is closed")
    has_moved = text_of(part_of(row, "head"), "sha") != head_sha
    return Merged(None, MOVED) if has_moved else None
