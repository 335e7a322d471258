"""The audit log: pages of deeds, deeds recorded without a transaction of their own, trimming."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from app.errors import Invalid
from app.records.database.cursors import BadCursor
from app.records.people import audit_pages
from app.records.people.audit_ledger import Act, acting, by_loop, record
from app.records.people.audit_pages import TRIMMED, UNTIL, AuditFilter
from app.records.stores.routing import Stores
from app.records.tables import Audit


class AuditService:
    """Lists deeds, records them after the fact, and deletes those older than `keep_days`.

    `catch_up` applies the deeds still waiting in the run store's outbox.
    """

    def __init__(self, stores: Stores, catch_up: Callable[[], object], *, keep_days: int) -> None:
        self._stores = stores
        self._catch_up = catch_up
        self._keep_days = keep_days

    def page(
        self, wanted: AuditFilter, *, limit: int, cursor: str | None
    ) -> tuple[list[Audit], str | None]:
        """Return the newest matching deeds, with the next page's cursor. Raises Invalid."""
        self._catch_up()
        try:
            return audit_pages.page(self._stores.control, wanted, limit=limit, cursor=cursor)
        except BadCursor as error:
            raise Invalid.field("cursor", "This cursor was not made by this server.") from error

    def add(self, act: Act) -> None:
        """Record an act that no transaction has recorded. Raises DatabaseSilent."""
        with acting(act), self._stores.control.transaction() as tx:
            record(tx)

    def trim_once(self, now: datetime) -> int:
        """Delete rows older than `keep_days` and record that. Return how many were deleted."""
        act = by_loop(TRIMMED, uuid.uuid4().hex, now)
        with acting(act), self._stores.control.transaction() as tx:
            count, until = audit_pages.trim(tx, now - timedelta(days=self._keep_days))
            if count:
                record(tx, after={UNTIL: until, "rows": count})
        return count
