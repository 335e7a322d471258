"""Merges that GitHub makes by itself: in a branch's merge queue, or once its rules allow them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.adapters.forge.client import Answer
from app.adapters.forge.gitea_rows import Row, name_of, part_of, text_of
from app.adapters.forge.gitea_schedules import MOVED
from app.adapters.forge.github.reader import GithubReader
from app.adapters.forge.github.rows import refusal_of
from app.adapters.forge.writes import LONGEST_LOOK
from app.domain.json.objects import is_array, is_object
from app.domain.words import MergeWait
from app.services.ports import ForgeSilent, Merged, Repository, Scheduled

# what GitHub says of a merge that its rules refuse for now; of a failed check they do for good
_QUEUED, _CHECKS, _FAILING = "merge queue", "required status check", "failing"
_STANDING = (
    "query($owner: String!, $name: String!, $number: Int!) {"
    " repository(owner: $owner, name: $name) { pullRequest(number: $number) {"
    " id state headRefOid mergeCommit { oid } isMergeQueueEnabled isInMergeQueue"
    " viewerCanEnableAutoMerge autoMergeRequest { enabledAt }"
    " timelineItems(last: 1, itemTypes:"
    " [AUTO_MERGE_DISABLED_EVENT, REMOVED_FROM_MERGE_QUEUE_EVENT]) {"
    " nodes { ... on AutoMergeDisabledEvent { reason }"
    " ... on RemovedFromMergeQueueEvent { reason } } } } } }"
)
_ENQUEUE = (
    "mutation($id: ID!, $head: GitObjectID!) { enqueuePullRequest(input:"
    " {pullRequestId: $id, expectedHeadOid: $head}) { clientMutationId } }"
)
_ENABLE = (
    "mutation($id: ID!, $head: GitObjectID!, $style: PullRequestMergeMethod!, $title: String!,"
    " $text: String!) { enablePullRequestAutoMerge(input: {pullRequestId: $id,"
    " expectedHeadOid: $head, mergeMethod: $style, commitHeadline: $title, commitBody: $text})"
    " { clientMutationId } }"
)
_DEQUEUE = "mutation($id: ID!) { dequeuePullRequest(input: {id: $id}) { clientMutationId } }"
_DISABLE = (
    "mutation($id: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $id})"
    " { clientMutationId } }"
)


class GithubSchedules(GithubReader):
    """The scheduled merges of GitHub's repositories; REST knows nothing of its queues."""

    def scheduled(self, repo: Repository, number: int) -> Scheduled:
        """Return how a scheduled merge stands."""
        row = self._standing(repo, number)
        waits_for = _waits_for(row)
        # of one that has ended, the states tell how
        if waits_for is not None or text_of(row, "state") != "OPEN":
            return Scheduled(waits_for or MergeWait.CHECKS)
        return Scheduled(None, _why_dropped(row))

    def cancel_merge(self, repo: Repository, number: int, because: str) -> None:
        """Cancel the scheduled merge of a pull request."""
        row = self._standing(repo, number)
        waits_for = _waits_for(row)
        if waits_for is None or text_of(row, "state") != "OPEN":
            return
        mutation = _DEQUEUE if waits_for is MergeWait.QUEUE else _DISABLE
        words = self._ordered(repo, mutation, {"id": text_of(row, "id")})
        if words is not None and _waits_for(self._standing(repo, number)) is not None:
            raise ForgeSilent(f"the merge was not canceled: {words}")

    def schedule(
        self,
        repo: Repository,
        number: int,
        order: Mapping[str, Any],
        refused: Answer,
        head_sha: str,
    ) -> Merged | None:
        """Have GitHub make a merge by itself that the rules of its base refuse for now.

        `order` is the body of that merge. None if GitHub cannot, or it was refused for good.
        """
        said = refusal_of(refused).lower()
        if refused.status != 405 or not (
            _QUEUED in said or (_CHECKS in said and _FAILING not in said)
        ):
            return None
        row = self._standing(repo, number)
        outcome, words = _outcome(row, head_sha), ""
        for mutation, given, waits_for in _ways(row, order, head_sha):
            if outcome is not None:
                break
            refusal = self._ordered(repo, mutation, given)
            if refusal is None:
                return Merged(None, waits_for=waits_for)
            # also after a lost answer: read, then judge
            words, row = refusal, self._standing(repo, number)
            outcome = _outcome(row, head_sha)
        if outcome is not None and outcome.because == MOVED:
            self.cancel_merge(repo, number, MOVED)
        return outcome or (Merged(None, words.rstrip(".")) if words else None)

    def _standing(self, repo: Repository, number: int) -> Row:
        """Return what GraphQL tells of a pull request. Raises ForgeSilent if that is nothing."""
        row = part_of(self.question(repo, _STANDING, number=number), "pullRequest")
        if not text_of(row, "state"):
            raise ForgeSilent("it does not show the pull request")
        return row

    def _ordered(self, repo: Repository, mutation: str, given: Mapping[str, Any]) -> str | None:
        """Change something by GraphQL; return why that was refused or lost, None if it was done."""
        try:
            self.client.graphql(name_of(repo).partition("/")[0], mutation, given)
        except ForgeSilent as silence:
            if silence.needs_attention:
                raise
            if silence.retry_after is not None:
                # it may have been made
                self.pause(min(silence.retry_after, LONGEST_LOOK))
            return str(silence)
        return None


def _ways(
    row: Row, order: Mapping[str, Any], head_sha: str
) -> Iterator[tuple[str, Mapping[str, Any], MergeWait]]:
    """Yield how GitHub can be asked for a merge, the queue first where its base has one."""
    given = {"id": text_of(row, "id"), "head": head_sha}
    if row.get("isMergeQueueEnabled"):
        yield _ENQUEUE, given, MergeWait.QUEUE
    if row.get("viewerCanEnableAutoMerge"):
        words = {"title": order["commit_title"], "text": order["commit_message"]}
        style = str(order["merge_method"]).upper()
        yield _ENABLE, {**given, **words, "style": style}, MergeWait.CHECKS


def _outcome(row: Row, head_sha: str) -> Merged | None:
    """Return what became of a merge, None if it is to be asked for."""
    if text_of(row, "state") == "MERGED":
        return Merged(text_of(part_of(row, "mergeCommit"), "oid"))
    if text_of(row, "state") == "CLOSED":
        return Merged(None, "it is closed")
    if text_of(row, "headRefOid") != head_sha:
        return Merged(None, MOVED)
    waits_for = _waits_for(row)
    return None if waits_for is None else Merged(None, waits_for=waits_for)


def _waits_for(row: Row) -> MergeWait | None:
    if row.get("isInMergeQueue"):
        return MergeWait.QUEUE
    return MergeWait.CHECKS if part_of(row, "autoMergeRequest") else None


def _why_dropped(row: Row) -> str:
    told = part_of(row, "timelineItems").get("nodes")
    nodes = [one for one in told if is_object(one)] if is_array(told) else []
    reason = next((text_of(one, "reason") for one in reversed(nodes)), "")
    return reason.replace("_", " ")[:300].rstrip(".") or "it was canceled there"
