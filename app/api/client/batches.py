"""Client calls for batches and bulk actions."""

from __future__ import annotations

from typing import Any

from app.api import schemas
from app.api.client.auto import Caller


class BatchCalls:
    """Calls for batches and bulk actions."""

    async def batches(self: Caller, cursor: str = "") -> schemas.Batches:
        """Return a page of batches, newest first."""
        return await self.ask(schemas.Batches, "/batches", cursor=cursor)

    async def batch(self: Caller, batch_id: str) -> schemas.BatchReport:
        """Return a batch with its results."""
        return await self.ask(schemas.BatchReport, f"/batches/{batch_id}")

    async def batch_items(
        self: Caller, batch_id: str, *, limit: int, cursor: str = ""
    ) -> schemas.BatchItems:
        """Return a page of a batch's items, in index order."""
        path = f"/batches/{batch_id}/items"
        return await self.ask(schemas.BatchItems, path, limit=limit, cursor=cursor)

    async def batch_quota(self: Caller) -> schemas.QuotaOut:
        """Return this person's quota window for batch items."""
        return await self.ask(schemas.QuotaOut, "/quota/batches")

    async def stop_batch(self: Caller, batch_id: str) -> schemas.BatchOut:
        """Stop a batch, including its waiting and live runs."""
        return await self.tell(schemas.BatchOut, "POST", f"/batches/{batch_id}/stop", {})

    async def order_bulk(self: Caller, action: str, key: str, **filters: Any) -> schemas.BulkOut:
        """Stop or retry every run that matches the filters now; idempotent under `key`."""
        body = {"action": action, "filter": filters}
        return await self.tell(schemas.BulkOut, "POST", "/bulk", body, key)

    async def bulk(self: Caller, bulk_id: str) -> schemas.BulkOut:
        """Return the progress of a bulk action."""
        return await self.ask(schemas.BulkOut, f"/bulk/{bulk_id}")

    async def abort_bulk(self: Caller, bulk_id: str) -> schemas.BulkOut:
        """Abort a bulk action; runs not reached yet stay as they are."""
        return await self.tell(schemas.BulkOut, "POST", f"/bulk/{bulk_id}/abort", {})
