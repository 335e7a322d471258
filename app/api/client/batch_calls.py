"""The calls of batches and bulk actions; see `app/api/client/calls.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.api.client.protocol import Call

if TYPE_CHECKING:
    from app.api import schemas


def batches(cursor: str = "") -> Call[schemas.Batches]:
    """Return a page of batches, newest first."""
    return Call("GET", "/batches", "Batches", params={"cursor": cursor})


def make_batch(project_id: str, run_count: int, key: str | None = None) -> Call[schemas.BatchMade]:
    """Order a batch of so many items, which are sent next."""
    body = {"project_id": project_id, "run_count": run_count}
    return Call("POST", "/batches", "BatchMade", body=body, key=key)


def add_items(batch_id: str, lines: bytes) -> Call[schemas.BatchReceipt]:
    """Send items of a batch as NDJSON; no lines seal a batch that has all of them."""
    return Call("POST", f"/batches/{batch_id}/items", "BatchReceipt", lines=lines)


def batch(batch_id: str) -> Call[schemas.BatchReport]:
    """Return a batch with its results."""
    return Call("GET", f"/batches/{batch_id}", "BatchReport")


def batch_items(
    batch_id: str, *, limit: int, cursor: str | None = "", status: str = ""
) -> Call[schemas.BatchItems]:
    """Return a page of a batch's items, in index order."""
    params = {"limit": limit, "cursor": cursor, "status": status}
    return Call("GET", f"/batches/{batch_id}/items", "BatchItems", params=params)


def batch_quota() -> Call[schemas.QuotaOut]:
    """Return this person's quota window for batch items."""
    return Call("GET", "/quota/batches", "QuotaOut")


def stop_batch(batch_id: str) -> Call[schemas.BatchOut]:
    """Stop a batch, including its waiting and live runs."""
    return Call("POST", f"/batches/{batch_id}/stop", "BatchOut", body={})


def order_bulk(action: str, key: str, **filters: Any) -> Call[schemas.BulkOut]:
    """Stop or retry every run that matches the filters now; idempotent under `key`."""
    body = {"action": action, "filter": filters}
    return Call("POST", "/bulk", "BulkOut", body=body, key=key)


def bulk(bulk_id: str) -> Call[schemas.BulkOut]:
    """Return the progress of a bulk action."""
    return Call("GET", f"/bulk/{bulk_id}", "BulkOut")


def abort_bulk(bulk_id: str) -> Call[schemas.BulkOut]:
    """Abort a bulk action; runs not reached yet stay as they are."""
    return Call("POST", f"/bulk/{bulk_id}/abort", "BulkOut")
