"""Pull requests that agents opened themselves: read, and taken over as their runs' own."""

# stands alone: both families of forges use it

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from app.adapters.forge.gitea_rows import (
    DRAFT,
    Row,
    login_of,
    made_at,
    moment_of,
    number_of,
    part_of,
    text_of,
)
from app.domain.tracker.agent_requests import OpenedRequest
from app.domain.tracker.forges import mark_of
from app.services.ports import ChangeOrder, Delivery, DiffStat, ForgeSilent, Repository

# GitHub takes 65,536 characters
MOST_TEXT = 60_000
# said on a request that is closed because its branch has another
TWICE = "Opened twice by accident: #{number} is the one."


class Requests(Protocol):
    """The part of an adapter that reads and changes pull requests."""

    def one(self, repo: Repository, below: str) -> Row | None:
        """Return one thing, None if there is none."""
        ...

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
        """Add the note and make it a draft or not; None if it is not open."""
        ...

    def close(self, repo: Repository, number: int, because: str) -> bool:
        """Close a pull request with a comment."""
        ...


def with_note(text: str, note: str) -> str:
    """Return a request's text with a note at its end, which stands there once.

    What an agent wrote is cut to make room for it.
    """
    # a text that was edited in a browser has other line ends
    if not note or note in text.replace("\r\n", "\n"):
        return text
    if len(text) > MOST_TEXT - len(note):
        text = f"{text[: MOST_TEXT - len(note)]} …"
    return f"{text}\n\n{note}"


def opened_since(
    rows: Iterable[Row], since: datetime, ending_of: Callable[[Row], str]
) -> list[OpenedRequest]:
    """Return the requests that are open, or ended at `since` or later.

    One that was over before may have been commented on, and so changed, since then.
    """
    found = (_opened_of(row, ending_of(row), since) for row in rows)
    return [one for one in found if one is not None]


def _opened_of(row: Row, state: str, since: datetime) -> OpenedRequest | None:
    ended = moment_of(row.get("merged_at")) or moment_of(row.get("closed_at"))
    is_new = made_at(row) >= since
    if state != "open" and not is_new and (ended is None or ended < since):
        return None
    return OpenedRequest(
        number=number_of(row),
        url=text_of(row, "html_url"),
        state=state,
        base=text_of(part_of(row, "base"), "ref"),
        author=login_of(row),
        head_sha=text_of(part_of(row, "head"), "sha"),
        is_draft=bool(row.get("draft") or DRAFT.match(text_of(row, "title"))),
        is_new=is_new,
    )


def adopt(
    forge: Requests,
    repo: Repository,
    order: ChangeOrder,
    delivery_of: Callable[[Row, ChangeOrder], Delivery],
) -> Delivery:
    """Give the request of an order its run's text and mark, and close its doubles.

    Safe to repeat. One that was merged meanwhile is returned as it is. Raises ForgeSilent, also for
    one that was closed meanwhile: the next look judges anew.
    """
    number, text = order.adopts or 0, f"{order.body}\n\n{mark_of(order.run_id)}"
    updated = forge.update_change(
        repo,
        number,
        head_sha=order.head_sha,
        stat=order.stat,
        draft=order.draft,
        note=text,
    )
    if updated is None:
        row = forge.one(repo, f"/pulls/{number}")
        updated = None if row is None else delivery_of(row, order)
        if updated is None or updated.state != "merged":
            raise ForgeSilent(f"pull request #{number} was closed meanwhile")
    for double in order.doubles:
        forge.close(repo, double, TWICE.format(number=number))
    return updated
