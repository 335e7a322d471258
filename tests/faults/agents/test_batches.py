"""F14: a crash in the middle of a batch or a bulk order duplicates nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import PLENTY, Workshop, open_workshop
from tests.drivers.web.batches import line, made, make, runs_of, send, sent

CRASH = "RUNYARD_FAILPOINT"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with open_workshop(tmp_path, RUNYARD_TEST="1") as shop:
        shop.add_project("yard", max_concurrency=2)
        yield shop


def yard_of(shop: Workshop) -> str:
    return str(shop.projects["yard"]["id"])


def restart(shop: Workshop, **settings: str) -> None:
    """Kill the server and restart it with these settings, such as a failpoint."""
    shop.server.kill()
    shop.server.settings = {**PLENTY, "RUNYARD_TEST": "1", **settings}
    shop.server.start()


def test_f14_a_batch_of_100_that_crashed_at_37_gets_only_the_missing_63(shop: Workshop) -> None:
    restart(shop, **{CRASH: "batch_item.37:kill9"})
    batch = made(shop, yard_of(shop), 100, "night")
    lines = [line(index, "please wait") for index in range(100)]
    with pytest.raises(httpx.TransportError):
        send(shop, batch, lines)
    restart(shop)
    again = make(shop, yard_of(shop), 100, "night").json()
    assert again == {"id": batch, "run_count": 100, "replayed": True}
    assert shop.api.get(f"/batches/{batch}").json()["missing"] == list(range(37, 100))
    before = {run["id"] for run in runs_of(shop, batch)}
    receipt = sent(shop, batch, lines)
    assert receipt["sealed"]
    states = [item["status"] for item in receipt["items"]]
    assert states == ["deduplicated"] * 37 + ["accepted"] * 63
    ids = {item["run_id"] for item in receipt["items"]}
    assert len(ids) == 100
    assert before == {item["run_id"] for item in receipt["items"][:37]}
    shop.api.post(f"/batches/{batch}/stop")
    shop.wait(f"/batches/{batch}", lambda told: told["counts"] == {"stopped": 100})


def test_many_retries_that_crashed_go_on_and_none_is_made_twice(shop: Workshop) -> None:
    batch = made(shop, yard_of(shop), 4)
    sent(shop, batch, [line(index, "please fail") for index in range(4)])
    shop.wait(f"/batches/{batch}", lambda told: told["counts"] == {"died": 4})
    restart(shop, **{CRASH: "bulk_done:kill9"})
    order = {"action": "retry", "filter": {"batch_id": batch, "status": ["died"]}}
    bulk = _bulk(shop, order)
    restart(shop)
    done = shop.wait(f"/bulk/{bulk}", lambda told: told["ended_at"] is not None)
    assert (done["total"], done["done"], done["pending"]) == (4, 4, 0)
    first = [run["id"] for run in runs_of(shop, batch)]
    heirs = shop.api.get("/runs?trigger=retry&limit=100").json()["items"]
    assert sorted(run["retry_of"] for run in heirs) == sorted(first)


def _bulk(shop: Workshop, order: dict[str, Any]) -> str:
    try:
        return str(shop.api.post("/bulk", json=order).json()["id"])
    except httpx.TransportError:  # the server died before it could answer
        restart(shop)
        return str(shop.api.get("/bulk").json()["items"][0]["id"])
