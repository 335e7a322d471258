"""Auto-merge and the merge queue of a GitHub twin, which GraphQL alone knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.forges.protection import LaterMerge

if TYPE_CHECKING:
    from tests.fakes.forges.github.hosted import GithubHosted

Row = dict[str, Any]


def standing(hosted: GithubHosted, number: int) -> Row | None:
    """Return what GraphQL tells of how a pull request is to be merged."""
    row = hosted.pulls.get(number)
    if row is None:
        return None
    hosted.pull_row(row, is_whole=True)
    rules, state = hosted.protection, row["state"].upper()
    dropped = rules.dropped.get(number)
    return {
        "id": f"PR_{row['id']}",
        "state": "MERGED" if row["merged"] else state,
        "headRefOid": row["head"]["sha"],
        "mergeCommit": {"oid": row["merge_commit_sha"]} if row["merged"] else None,
        "isMergeQueueEnabled": rules.has_queue,
        "isInMergeQueue": number in rules.queue,
        "viewerCanEnableAutoMerge": _may_wait(hosted, row),
        # once it is in the queue, it is used up
        "autoMergeRequest": {"enabledAt": row["updated_at"]} if number in rules.later else None,
        "timelineItems": {"nodes": [{"reason": dropped}] if dropped else []},
    }


def order(hosted: GithubHosted, row: Row, name: str, given: Row, login: str) -> str | None:
    """Do as a mutation says; return GitHub's refusal, None if it was done."""
    rules, number = hosted.protection, row["number"]
    hosted.pull_row(row, is_whole=True)
    if given.get("head") not in (None, row["head"]["sha"]):
        return "The head ref may have changed. Expected " + given["head"]
    merge = LaterMerge(given.get("title", "Merge"), login, given.get("style", "MERGE").lower())
    if name == "enqueuePullRequest":
        if not rules.has_queue or hosted.lacking(row):
            return "Pull request Required status checks have not succeeded"
        rules.queue[number] = merge
    elif name == "enablePullRequestAutoMerge":
        if not _may_wait(hosted, row):
            return "Pull request Pull request is in clean status"
        rules.later[number] = merge
    elif name == "dequeuePullRequest":
        rules.queue.pop(number, None)
        rules.dropped[number] = "manual"
    elif rules.later.pop(number, None) is None:
        return "Can't disable auto-merge for this pull request"
    return None


def _may_wait(hosted: GithubHosted, row: Row) -> bool:
    is_open = row["state"] == "open" and not row["draft"]
    return hosted.protection.allows_later and is_open and bool(hosted.lacking(row))
