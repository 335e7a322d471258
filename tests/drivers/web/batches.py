"""Helpers that announce, fill and read batches over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx

from tests.drivers.servers.workshop import Workshop

NDJSON = {"Content-Type": "application/x-ndjson"}


def make(shop: Workshop, project: str, count: Any, key: str | None = None, **body: Any) -> Any:
    """Announce a batch and return the response."""
    headers = {"x-idempotency-key": key} if key else {}
    body = {"project_id": project, "run_count": count, **body}
    return shop.api.post("/batches", json=body, headers=headers)


def made(shop: Workshop, project: str, count: int, key: str | None = None) -> str:
    """Announce a batch and return its id."""
    answer = make(shop, project, count, key)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def line(index: Any, task: str = "please commit", **more: Any) -> bytes:
    """Return one item as an NDJSON line."""
    return json.dumps({"index": index, "depth_level": "quick", "task": task, **more}).encode()


def send(shop: Workshop, batch: str, lines: Iterable[bytes]) -> httpx.Response:
    """Send item lines and return the response."""
    content = b"\n".join(lines)
    return shop.api.post(f"/batches/{batch}/items", content=content, headers=NDJSON)


def sent(shop: Workshop, batch: str, lines: Iterable[bytes]) -> dict[str, Any]:
    """Send item lines that must be accepted; return the receipt."""
    answer = send(shop, batch, lines)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(shop: Workshop, batch: str) -> dict[str, Any]:
    """Wait until the batch has ended and return it."""
    return dict(shop.wait(f"/batches/{batch}", lambda told: told["ended_at"] is not None))


def runs_of(shop: Workshop, batch: str) -> list[dict[str, Any]]:
    """Return the batch's runs with their `index`, in index order."""
    items = shop.api.get(f"/batches/{batch}/items?limit=100").json()["items"]
    return [{**item["run"], "index": item["index"]} for item in items]
