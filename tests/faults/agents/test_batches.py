"""F14: a crash in the middle of a batch or a bulk order duplicates nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.drivers.servers.killed import set_points, taking_points
from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.web.batches import line, made, make, runs_of, send, sent


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("batches")
    with open_workshop(folder, **taking_points(folder)) as shop:
        shop.add_project("yard", max_concurrency=2)
        yield shop


def yard_of(shop: Workshop) -> str:
    return str(shop.projects["yard"]["id"])


def crash_at(shop: Workshop, point: str) -> None:
    """Let the server die at this failpoint."""
    set_points(shop.server, {"RUNYARD_FAILPOINT": f"{point}:kill9"})


def restart(shop: Workshop) -> None:
    """Start the server again once it has died."""
    assert shop.server.process is not None
    assert shop.server.process.wait(WAIT_SECONDS) == -9
    shop.server.kill()
    shop.server.start()


@pytest.mark.parametrize(
    ("count", "crash"), [(20, 7), pytest.param(100, 37, marks=pytest.mark.soak)]
)
def test_f14_a_batch_that_crashed_half_way_gets_only_the_missing_items(
    shop: Workshop, count: int, crash: int
) -> None:
    key = f"night-{count}"
    batch = made(shop, yard_of(shop), count, key)
    lines = [line(index, "please wait") for index in range(count)]
    crash_at(shop, f"batch_item.{crash}")
    with pytest.raises(httpx.TransportError):
        send(shop, batch, lines)
    restart(shop)
    again = make(shop, yard_of(shop), count, key).json()
    assert again == {"id": batch, "run_count": count, "replayed": True}
    assert shop.api.get(f"/batches/{batch}").json()["missing"] == list(range(crash, count))
    before = {run["id"] for run in runs_of(shop, batch)}
    receipt = sent(shop, batch, lines)
    assert receipt["sealed"]
    states = [item["status"] for item in receipt["items"]]
    assert states == ["deduplicated"] * crash + ["accepted"] * (count - crash)
    ids = {item["run_id"] for item in receipt["items"]}
    assert len(ids) == count
    assert before == {item["run_id"] for item in receipt["items"][:crash]}
    shop.api.post(f"/batches/{batch}/stop")
    shop.wait(f"/batches/{batch}", lambda batch: batch["counts"] == {"stopped": count})


def test_many_retries_that_crashed_are_continued_and_none_is_made_twice(shop: Workshop) -> None:
    batch = made(shop, yard_of(shop), 4)
    sent(shop, batch, [line(index, "please fail") for index in range(4)])
    shop.wait(f"/batches/{batch}", lambda batch: batch["counts"] == {"died": 4})
    crash_at(shop, "bulk_done")
    order = {"action": "retry", "filter": {"batch_id": batch, "status": ["died"]}}
    bulk = _bulk(shop, order)
    done = shop.wait(f"/bulk/{bulk}", lambda bulk: bulk["ended_at"] is not None)
    assert (done["total"], done["done"], done["pending"]) == (4, 4, 0)
    first = [run["id"] for run in runs_of(shop, batch)]
    heirs = shop.api.get("/runs?trigger=retry&limit=100").json()["items"]
    assert sorted(run["retry_of"] for run in heirs) == sorted(first)


def _bulk(shop: Workshop, order: dict[str, Any]) -> str:
    """Order it, restart the server that dies of it, and return the order's id."""
    with suppress(httpx.TransportError):  # the server may die before it can answer
        shop.api.post("/bulk", json=order)
    restart(shop)
    return str(shop.api.get("/bulk").json()["items"][0]["id"])
