"""Batch refusals: no room left in the quota, unsupported content types."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem
from tests.drivers.web.batches import NDJSON, line, make

LIMIT = 10


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    settings = {"RUNYARD_BATCH_QUOTA": str(LIMIT)}
    with open_workshop(tmp_path_factory.mktemp("refusals"), **settings) as shop:
        shop.add_project("shop")
        yield shop


def test_a_batch_that_finds_too_little_room_hears_how_much_is_left(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    first = make(shop, project, 8)
    assert first.status_code == 202
    standing = shop.api.get("/quota/batches").json()
    reset = str(math.ceil(datetime.fromisoformat(standing["reset_at"]).timestamp()))
    told = {name: first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")}
    assert told == {"limit": str(LIMIT), "remaining": "2", "reset": reset}
    refused = make(shop, project, 3)
    assert refused.status_code == 429
    assert (problem(refused)["limit"], problem(refused)["remaining"]) == (LIMIT, 2)
    told = {name: refused.headers[f"x-ratelimit-{name}"] for name in told}
    assert told == {"limit": str(LIMIT), "remaining": "2", "reset": reset}
    assert int(refused.headers["retry-after"]) >= 1
    # a batch that fits the remaining room is accepted
    assert make(shop, project, 2).headers["x-ratelimit-remaining"] == "0"


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/x-ndjson; charset=utf-8", 404),
        ("application/x-ndjson", 404),
        ("application/json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        (None, 415),
    ],
)
def test_items_come_as_lines_and_as_nothing_else(
    shop: Workshop, media_type: str | None, status: int
) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = shop.api.post("/batches/batch_none/items", content=line(0), headers=headers)
    assert answer.status_code == status
    if status == 415:
        assert "application/x-ndjson" in problem(answer)["detail"]


def test_a_receipt_tells_how_much_room_is_left(shop: Workshop) -> None:
    [batch] = [one["id"] for one in shop.api.get("/batches").json()["items"]][-1:]
    answer = shop.api.post(f"/batches/{batch}/items", content=line(0), headers=NDJSON)
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-limit"] == str(LIMIT)
