"""Unread items: what came into the inbox, or came back, since a person looked at it."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime

from app.domain.review.inbox import Item
from app.records.feed import FeedBroke, ItemsRead, Numbered
from app.records.people.audit_ledger import nothing_done
from app.records.review.read_ledger import ReadLedger
from app.services.context import Context
from app.services.review.inbox import Inbox


class Unread:
    """Knows what each person has read; an item that waits anew is unread again.

    With `is_kept` what was read is remembered until a change: other servers must tell theirs.
    """

    def __init__(self, context: Context, inbox: Inbox, *, is_kept: bool = True) -> None:
        self._is_kept = is_kept
        self._ledger = ReadLedger(context.stores)
        self._inbox = inbox
        self._lock = threading.Lock()
        self._read: dict[str, dict[str, datetime]] = {}
        # counts the changes, so that a read that one of them overtook is not kept
        self._changes = 0
        context.feed.subscribe(self._forget, (ItemsRead, FeedBroke))

    def ids(self, person_id: str) -> set[str]:
        """Return the ids of the items that a person has not read. Raises DatabaseSilent."""
        read = self._known(person_id)
        return {one.id for one in self._inbox.all() if not _is_read(one, read)}

    def mark_read(self, person_id: str, ids: Collection[str] | None) -> set[str]:
        """Mark items as read, all with None; return the ids of those that are still unread.

        Ids that the inbox does not have are left out.
        """
        nothing_done()  # reading is no act for the audit
        items = {one.id: one for one in self._inbox.all()}
        read = self._known(person_id)
        wanted = items.keys() if ids is None else items.keys() & set(ids)
        fresh = {one: items[one].at for one in wanted if not _is_read(items[one], read)}
        if fresh:
            self._ledger.mark_read(person_id, fresh, read.keys() - items.keys())
        return {one.id for one in items.values() if one.id not in fresh and not _is_read(one, read)}

    def _known(self, person_id: str) -> dict[str, datetime]:
        with self._lock:
            read, changes = self._read.get(person_id), self._changes
        if read is None:
            read = self._ledger.of_person(person_id)
            with self._lock:
                if self._is_kept and self._changes == changes:
                    self._read[person_id] = read
        return read

    def _forget(self, told: Numbered) -> None:
        with self._lock:
            self._changes += 1
            if isinstance(told.change, ItemsRead):
                self._read.pop(told.change.person_id, None)
            else:
                self._read.clear()


def _is_read(item: Item, read: dict[str, datetime]) -> bool:
    at = read.get(item.id)
    return at is not None and at >= item.at
