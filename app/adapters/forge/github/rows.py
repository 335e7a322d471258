"""Rows of GitHub as values, where they differ from those of Forgejo and Gitea."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from app.adapters.forge.client import Answer
from app.adapters.forge.gitea_rows import (
    DRAFT,
    Row,
    author_of,
    closed_by,
    hosted_of,
    login_of,
    moment_of,
    number_of,
    part_of,
    said_by,
    text_of,
)
from app.domain.json.objects import is_array, is_object
from app.services.ports import (
    Change,
    ChangeOrder,
    Delivery,
    DiffStat,
    HostedRepository,
    Issue,
    Labelled,
    RequestState,
    Retitled,
)


def is_own(row: Row) -> bool:
    """Return True if a pull request's head is in the repository of its base."""
    head, base = part_of(part_of(row, "head"), "repo"), part_of(part_of(row, "base"), "repo")
    return bool(base.get("id")) and head.get("id") == base.get("id")


def branch_of(row: Row) -> str:
    """Return the head branch; it keeps its name when it is removed."""
    return text_of(part_of(row, "head"), "ref")


def base_of(row: Row) -> str:
    """Return the branch that it is to be merged into."""
    return text_of(part_of(row, "base"), "ref")


def ending_of(row: Row) -> str:
    """Return `open`, `merged` or `closed`; a list tells a merge by its moment alone."""
    if row.get("merged") or moment_of(row.get("merged_at")) is not None:
        return "merged"
    return "closed" if row.get("state") == "closed" else "open"


def merge_of(row: Row) -> str | None:
    """Return the merge commit; of an open one it is only GitHub's trial."""
    return text_of(row, "merge_commit_sha") or None if ending_of(row) == "merged" else None


def issue_to_settle(row: Row) -> int | None:
    """Return the issue that GitHub leaves open: it closes them by merges into its default branch.

    None if the pull request names none, or went into the default branch.
    """
    base = part_of(row, "base")
    default = text_of(part_of(base, "repo"), "default_branch")
    return None if not default or text_of(base, "ref") == default else closed_by(row)


def blockers_counted(row: Row) -> int | None:
    """Return how many dependencies an issue has, None if its row does not tell."""
    found = part_of(row, "issue_dependencies_summary").get("total_blocked_by")
    return found if isinstance(found, int) else None


def home_of(row: Row) -> str:
    """Return the full name of an issue's repository, "" if its row does not tell."""
    name = text_of(part_of(row, "repository"), "full_name")
    return name or "/".join(text_of(row, "repository_url").rstrip("/").split("/")[-2:]).strip("/")


def by_stranger(row: Row, issue: Issue, writers: Collection[int]) -> Issue:
    """Return an issue that names its author if that is nobody of the writers."""
    return issue if author_of(row) in writers else replace(issue, stranger=login_of(row))


def labelled_of(rows: Sequence[Row], label: str, writers: Collection[int]) -> Labelled:
    """Return how an issue got a label, from its events."""
    places = [at for at, row in enumerate(rows) if _is_about(row, label)]
    if not places or rows[places[-1]].get("event") != "labeled":
        return Labelled()
    place = places[-1]
    event, times = rows[place], [moment_of(row.get("created_at")) for row in rows[place:]]
    number = event.get("id")
    return Labelled(
        event=number if isinstance(number, int) else 0,
        by=login_of(_acted(event)),
        may_write=author_of(_acted(event)) in writers,
        at=times[0],
        retitled=tuple(
            Retitled(
                login_of(_acted(row)),
                author_of(_acted(row)) in writers,
                text_of(part_of(row, "rename"), "from"),
            )
            for row in rows[place:]
            if row.get("event") == "renamed"
        ),
        newest_at=max(filter(None, times), default=None),
    )


def _is_about(row: Row, label: str) -> bool:
    is_label = row.get("event") in ("labeled", "unlabeled")
    return is_label and text_of(part_of(row, "label"), "name") == label


def _acted(row: Row) -> Row:
    """Return an event with who did it where other rows have their author."""
    return {"user": row.get("actor")}


def change_of(row: Row) -> Change:
    """Return the change of a pull request's row."""
    return Change(
        number=number_of(row),
        title=DRAFT.sub("", text_of(row, "title")),
        state=ending_of(row),
        base=base_of(row),
        branch=branch_of(row),
        base_sha=text_of(part_of(row, "base"), "sha"),
        head_sha=text_of(part_of(row, "head"), "sha"),
        closes=closed_by(row),
    )


def state_of(row: Row) -> RequestState:
    """Return how a pull request stands."""
    return RequestState(
        state=ending_of(row),
        head_sha=text_of(part_of(row, "head"), "sha"),
        merged_sha=merge_of(row),
        ended_at=moment_of(row.get("merged_at")) or moment_of(row.get("closed_at")),
        base_sha=text_of(part_of(row, "base"), "sha"),
        updated_at=moment_of(row.get("updated_at")),
    )


def delivery_of_row(row: Row, order: ChangeOrder | None = None) -> Delivery:
    """Return the delivery of a pull request's row; of one just opened, with what was ordered."""
    counts = [row.get(name) for name in ("changed_files", "additions", "deletions")]
    files, added, removed = (value if isinstance(value, int) else 0 for value in counts)
    return Delivery(
        kind="pull_request",
        number=number_of(row),
        url=text_of(row, "html_url"),
        state=ending_of(row),
        branch=branch_of(row),
        # the head of a request follows later than its push
        head_sha=text_of(part_of(row, "head"), "sha") if order is None else order.head_sha,
        stat=DiffStat(0, files, added, removed) if order is None else order.stat,
    )


def edited(issue: Row, since: datetime | None, writers: Collection[int]) -> bool:
    """Return True unless all changes of a text at `since` or later were made by the writers."""
    last = moment_of(issue.get("lastEditedAt"))
    if issue.get("lastEditedAt") is None or (last and since and last < since):
        return False
    told = part_of(issue, "userContentEdits")
    listed = told.get("nodes")
    nodes = [one for one in listed if is_object(one)] if is_array(listed) else []
    # the first text is listed, too, as the oldest; others of its second are changes
    is_first = bool(nodes) and nodes[-1].get("editedAt") == issue.get("createdAt")
    changes = nodes[:-1] if is_first else nodes
    late = [one for one in changes if not _is_before(one, since)]
    # one that is not listed may be anybody's
    is_whole = bool(late) and told.get("totalCount") == len(nodes)
    return not is_whole or any(
        part_of(one, "editor").get("databaseId") not in writers for one in late
    )


def _is_before(edit: Row, since: datetime | None) -> bool:
    at = moment_of(edit.get("editedAt"))
    return at is not None and since is not None and at < since


def repository_of(row: Row) -> HostedRepository:
    """Return the repository of a row; what is disabled by GitHub is as good as archived."""
    found = hosted_of(row)
    return replace(found, is_archived=found.is_archived or bool(row.get("disabled")))


def refusal_of(answer: Answer) -> str:
    """Return why GitHub refused something: the reasons of its errors, else its sentence."""
    told = answer.row.get("errors")
    errors = told if is_array(told) else []
    words = [_reason_of(one) if is_object(one) else str(one)[:300] for one in errors]
    return "; ".join(one for one in words if one)[:500] or said_by(answer)


def _reason_of(error: Row) -> str:
    """Return the sentence of an error, else the field that it is about and its code."""
    named = [text_of(error, "field") or text_of(error, "resource"), text_of(error, "code")]
    return text_of(error, "message") or ": ".join(one for one in named if one)
