"""Rows of Forgejo and Gitea as values; what is missing or of another kind is never guessed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from app.adapters.forge.client import Answer
from app.domain.json.objects import is_object
from app.domain.tracker.forges import priority_of
from app.services.ports import (
    Change,
    ChangeOrder,
    Delivery,
    DiffStat,
    ForgeSilent,
    HostedRepository,
    Issue,
    Labelled,
    Remark,
    Repository,
    RequestState,
    Retitled,
)

Row = Mapping[str, Any]
DRAFT = re.compile(r"^\s*(?:\[WIP\]|WIP:)\s*", re.IGNORECASE)
_CLOSES = re.compile(r"(?:close[sd]?|fix(?:es|ed)?|resolve[sd]?):?\s+#(\d{1,9})\b", re.IGNORECASE)


def name_of(repo: Repository) -> str:
    """Return the repository's full name. Raises ForgeSilent without one."""
    if not repo.full_name:
        raise ForgeSilent("the project names no repository of the forge", needs_attention=True)
    return repo.full_name


def path_of(repo: Repository) -> str:
    """Return the path of a repository in the API."""
    owner, _, name = name_of(repo).partition("/")
    return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"


def said_by(answer: Answer) -> str:
    """Return what the forge says about an answer, else its status."""
    return answer.message or f"status {answer.status}"


def switched_off(repo: Repository, home: Row, below: str) -> ForgeSilent | None:
    """Return the silence about what the repository of a row has switched off, else None."""
    switch = "has_issues" if below.startswith("/issues") else "has_pull_requests"
    if home.get(switch, True):
        return None
    what = switch.removeprefix("has_").replace("_", " ")
    return ForgeSilent(f"{what} are switched off in {name_of(repo)}", needs_attention=True)


def text_of(row: Row, name: str) -> str:
    """Return a text of a row, "" if it has none."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def part_of(row: Row, name: str) -> Row:
    """Return a row within a row, empty if there is none."""
    part = row.get(name)
    return part if is_object(part) else {}


def number_of(row: Row) -> int:
    """Return a row's number. Raises ForgeSilent without one."""
    value = row.get("number")
    if not isinstance(value, int):
        raise ForgeSilent("its answer has no number")
    return value


def moment_of(value: Any) -> datetime | None:
    """Return a time in UTC, None if it is none."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def made_at(row: Row) -> datetime:
    """Return when it was made. Raises ForgeSilent if the row does not tell."""
    found = moment_of(row.get("created_at"))
    if found is None:
        raise ForgeSilent("its answer has no time")
    return found


def issue_of(row: Row) -> Issue:
    """Return the issue of a row."""
    labels = tuple(text_of(one, "name") for one in row.get("labels") or () if is_object(one))
    return Issue(
        number=number_of(row),
        title=text_of(row, "title"),
        body=text_of(row, "body"),
        labels=labels,
        state="closed" if row.get("state") == "closed" else "open",
        url=text_of(row, "html_url") or None,
        created_at=moment_of(row.get("created_at")),
        closed_at=moment_of(row.get("closed_at")),
        priority=priority_of(labels),
        assignees=_logins(row),
        milestone=text_of(part_of(row, "milestone"), "title"),
        updated_at=moment_of(row.get("updated_at")),
    )


def _logins(row: Row) -> tuple[str, ...]:
    """Return who an issue is assigned to; the list may be `null`."""
    named = (text_of(one, "login") for one in row.get("assignees") or () if is_object(one))
    return tuple(one for one in named if one)


def author_of(row: Row) -> int:
    """Return the id of a row's author, 0 if it names none.

    What was imported may name the account that imported it; its author is somebody elsewhere.
    """
    if text_of(row, "original_author"):
        return 0
    found = part_of(row, "user").get("id")
    return found if isinstance(found, int) else 0


def login_of(row: Row) -> str:
    """Return the login of a row's author."""
    imported = text_of(row, "original_author")
    return imported or text_of(part_of(row, "user"), "login") or "somebody unknown"


def is_agent(repo: Repository, person: Row) -> bool:
    """Return True for an account with which agents write themselves: its words are not people's."""
    return text_of(person, "login").lower() in {one.lower() for one in repo.agents}


def remark_of(row: Row) -> Remark:
    """Return the comment of a row."""
    author = text_of(part_of(row, "user"), "login")
    return Remark(author or "somebody", text_of(row, "body"), made_at(row))


def labelled_of(rows: Sequence[Row], label: str, writers: Collection[int]) -> Labelled:
    """Return how an issue got a label, from its timeline."""
    places = [at for at, row in enumerate(rows) if _is_about(row, label)]
    if not places:
        return Labelled()
    place = places[-1]
    event, times = rows[place], [moment_of(row.get("created_at")) for row in rows[place:]]
    number = event.get("id")
    # a removal has an empty text: it was set again a moment ago, or is gone
    is_removal = not text_of(event, "body")
    return Labelled(
        event=number if isinstance(number, int) else 0,
        by=login_of(event),
        may_write=author_of(event) in writers and not is_removal,
        at=times[0],
        retitled=tuple(
            Retitled(login_of(row), author_of(row) in writers, text_of(row, "old_title"))
            for row in rows[place:]
            if row.get("type") == "change_title"
        ),
        newest_at=max(filter(None, times), default=None),
    )


def _is_about(row: Row, label: str) -> bool:
    return row.get("type") == "label" and text_of(part_of(row, "label"), "name") == label


def is_own(row: Row) -> bool:
    """Return True if a pull request's head is in the repository of its base."""
    head, base = part_of(row, "head"), part_of(row, "base")
    return head.get("repo_id") == base.get("repo_id")


def branch_of(row: Row) -> str:
    """Return the head branch; after its removal only the label keeps the name."""
    head = part_of(row, "head")
    ref = text_of(head, "ref")
    return text_of(head, "label") if ref.startswith("refs/pull/") or not ref else ref


def closed_by(row: Row) -> int | None:
    """Return the issue that a pull request's merge closes, None if none is named."""
    found = _CLOSES.search(text_of(row, "body"))
    return int(found[1]) if found else None


def ending_of(row: Row) -> str:
    """Return `open`, `merged` or `closed`."""
    if row.get("merged"):
        return "merged"
    return "closed" if row.get("state") == "closed" else "open"


def change_of(row: Row) -> Change:
    """Return the change of a pull request's row."""
    head, base = part_of(row, "head"), part_of(row, "base")
    return Change(
        number=number_of(row),
        title=DRAFT.sub("", text_of(row, "title")),
        state=ending_of(row),
        base=text_of(base, "ref"),
        branch=branch_of(row),
        base_sha=text_of(row, "merge_base") or text_of(base, "sha"),
        head_sha=text_of(head, "sha"),
        closes=closed_by(row),
    )


def state_of(row: Row) -> RequestState:
    """Return how a pull request stands."""
    return RequestState(
        state=ending_of(row),
        head_sha=text_of(part_of(row, "head"), "sha"),
        merged_sha=text_of(row, "merge_commit_sha") or None,
        ended_at=moment_of(row.get("merged_at")) or moment_of(row.get("closed_at")),
        base_sha=text_of(part_of(row, "base"), "sha"),
        updated_at=moment_of(row.get("updated_at")),
    )


def delivery_of_row(row: Row, order: ChangeOrder | None = None) -> Delivery:
    """Return the delivery of a pull request's row; of one just opened, with what was ordered."""
    head = text_of(part_of(row, "head"), "sha")
    counts = [row.get(name) for name in ("changed_files", "additions", "deletions")]
    files, added, removed = (value if isinstance(value, int) else 0 for value in counts)
    return Delivery(
        kind="pull_request",
        number=number_of(row),
        url=text_of(row, "html_url"),
        state=ending_of(row),
        branch=branch_of(row),
        # the head of a request follows later than its push
        head_sha=head if order is None else order.head_sha,
        stat=DiffStat(0, files, added, removed) if order is None else order.stat,
    )


def hosted_of(row: Row) -> HostedRepository:
    """Return the repository of a row."""
    rights = part_of(row, "permissions")
    lacks = [
        words
        for switch, words in (("has_issues", "issues"), ("has_pull_requests", "pull requests"))
        if not row.get(switch, True)
    ]
    return HostedRepository(
        full_name=text_of(row, "full_name"),
        clone_url=text_of(row, "clone_url"),
        may_push=bool(rights.get("push")),
        is_archived=bool(row.get("archived")),
        lacks=f"{' and '.join(lacks)} switched off" if lacks else "",
    )
