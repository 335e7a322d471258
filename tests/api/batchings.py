"""Batches as a script sends them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx

from tests.api.workshop import Workshop

NDJSON = {"Content-Type": "application/x-ndjson"}


def make(shop: Workshop, project: str, count: Any, key: str | None = None, **body: Any) -> Any:
    """Announce a batch; the answer."""
    headers = {"x-idempotency-key": key} if key else {}
    body = {"project_id": project, "run_count": count, **body}
    return shop.api.post("/batches", json=body, headers=headers)


def made(shop: Workshop, project: str, count: int, key: str | None = None) -> str:
    """Announce a batch; its id."""
    answer = make(shop, project, count, key)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def line(index: Any, task: str = "please commit", **more: Any) -> bytes:
    """A line of a batch."""
    return json.dumps({"index": index, "depth_level": "quick", "task": task, **more}).encode()


def send(shop: Workshop, batch: str, lines: Iterable[bytes]) -> httpx.Response:
    """Send lines."""
    content = b"\n".join(lines)
    return shop.api.post(f"/batches/{batch}/items", content=content, headers=NDJSON)


def sent(shop: Workshop, batch: str, lines: Iterable[bytes]) -> dict[str, Any]:
    """Send lines that are taken; the receipt."""
    answer = send(shop, batch, lines)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(shop: Workshop, batch: str) -> dict[str, Any]:
    """The batch, once it is over."""
    return dict(shop.wait(f"/batches/{batch}", lambda told: told["ended_at"] is not None))


def runs_of(shop: Workshop, batch: str) -> list[dict[str, Any]]:
    """Its runs, in the order of their index."""
    items = shop.api.get(f"/batches/{batch}/items?limit=100").json()["items"]
    return [{**item["run"], "index": item["index"]} for item in items]
