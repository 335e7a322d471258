"""What the API's client asks of batches, and of what is done to many runs at once."""

from __future__ import annotations

from typing import Any

from app.api import schemas
from app.api.client.auto import Caller


class BatchCalls:
    """Calls on batches."""

    async def batches(self: Caller, cursor: str = "") -> schemas.Batches:
        """A page of batches, newest first."""
        return await self.ask(schemas.Batches, "/batches", cursor=cursor)

    async def batch(self: Caller, batch_id: str) -> schemas.BatchReport:
        """A batch and what it came to."""
        return await self.ask(schemas.BatchReport, f"/batches/{batch_id}")

    async def batch_items(
        self: Caller, batch_id: str, *, limit: int, cursor: str = ""
    ) -> schemas.BatchItems:
        """A page of its items, in their order."""
        path = f"/batches/{batch_id}/items"
        return await self.ask(schemas.BatchItems, path, limit=limit, cursor=cursor)

    async def batch_quota(self: Caller) -> schemas.QuotaOut:
        """This person's window of items of batches."""
        return await self.ask(schemas.QuotaOut, "/quota/batches")

    async def stop_batch(self: Caller, batch_id: str) -> schemas.BatchOut:
        """Stop a batch with everything that waits or works in it."""
        return await self.tell(schemas.BatchOut, "POST", f"/batches/{batch_id}/stop", {})

    async def order_bulk(self: Caller, action: str, key: str, **filters: Any) -> schemas.BulkOut:
        """Stop or retry every run that the filters find now, once under a key."""
        body = {"action": action, "filter": filters}
        return await self.tell(schemas.BulkOut, "POST", "/bulk", body, key)

    async def bulk(self: Caller, bulk_id: str) -> schemas.BulkOut:
        """How far it is."""
        return await self.ask(schemas.BulkOut, f"/bulk/{bulk_id}")

    async def abort_bulk(self: Caller, bulk_id: str) -> schemas.BulkOut:
        """Leave what was not reached yet as it is."""
        return await self.tell(schemas.BulkOut, "POST", f"/bulk/{bulk_id}/abort", {})
