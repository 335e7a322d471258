"""Bulk stop and retry over HTTP: the set of runs is fixed at once, each gets a result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.servers.workshop import Workshop, open_workshop, problem
from tests.drivers.web.batches import line, made, runs_of, sent
from tests.fakes.agents.runs import until

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("bulk"), RUNYARD_BATCH_QUOTA="5000") as shop:
        yield shop


def order(shop: Workshop, action: str, **wanted: Any) -> dict[str, Any]:
    answer = shop.api.post("/bulk", json={"action": action, "filter": wanted})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def over(shop: Workshop, bulk: dict[str, Any]) -> dict[str, Any]:
    # polled, not by feed: it announces runs, and the last may end before the order does
    def told() -> dict[str, Any] | None:
        answer = dict(shop.api.get(f"/bulk/{bulk['id']}").json())
        return answer if answer["ended_at"] else None

    return dict(until(told, "the order is over", WAIT_SECONDS))


def test_every_run_that_the_filter_finds_is_stopped(shop: Workshop, project: str) -> None:
    runs = [shop.start(project, f"please wait {n}")["id"] for n in range(3)]
    other = shop.start(shop.add_project("beside"), "please wait")["id"]
    shop.live(runs[0])
    bulk = order(shop, "stop", project_id=project, phase="live")
    more = order(shop, "stop", project_id=project)
    assert over(shop, bulk)["refused"] == 0
    over(shop, more)
    assert {shop.ended(run)["status"] for run in runs} == {"stopped"}
    told = shop.api.get(f"/bulk/{more['id']}/items?limit=100").json()["items"]
    assert {item["state"] for item in told} <= {"done", "refused"}
    assert shop.api.get(f"/runs/{other}").json()["ended_at"] is None
    shop.stop(other)


def test_what_has_not_failed_is_not_run_again_and_nothing_is_run_again_twice(
    shop: Workshop, project: str
) -> None:
    batch = made(shop, project, 3)
    sent(shop, batch, [line(0), line(1, "please fail"), line(2, "please fail")])
    shop.wait(f"/batches/{batch}", lambda told: told["ended_at"] is not None)
    for run in runs_of(shop, batch):
        shop.ended(run["id"])
    first = over(shop, order(shop, "retry", batch_id=batch))
    assert (first["total"], first["done"], first["refused"]) == (2, 2, 0)
    assert order(shop, "retry", batch_id=batch)["total"] == 0
    heirs = shop.api.get(f"/bulk/{first['id']}/items").json()["items"]
    assert all(shop.ended(item["new_run_id"])["retry_of"] == item["run_id"] for item in heirs)
    assert shop.api.get("/bulk").json()["items"][1]["id"] == first["id"]


def test_an_order_about_everything_an_unknown_one_and_one_that_is_over_are_refused(
    shop: Workshop, project: str
) -> None:
    nothing = shop.api.post("/bulk", json={"action": "stop", "filter": {}})
    assert (nothing.status_code, problem(nothing)["error"]) == (422, "invalid")
    assert shop.api.post("/bulk", json={"action": "merge", "filter": {}}).status_code == 422
    assert shop.api.get("/bulk/bulk_nothing").status_code == 404
    empty = over(shop, order(shop, "stop", project_id=project))
    assert (empty["status"], empty["total"]) == ("completed", 0)
    again = shop.api.post(f"/bulk/{empty['id']}/abort")
    assert (again.status_code, problem(again)["error"]) == (409, "already_ended")


@pytest.mark.parametrize(
    "cursor", ["1" + 30 * "0", "-1", "3", "x", "%FF", "bnw5OTk5OTk5OTk5OQ", "é"]
)
def test_a_cursor_that_is_not_from_here_is_refused(
    shop: Workshop, project: str, cursor: str
) -> None:
    bulk = order(shop, "stop", project_id=project)
    answer = shop.api.get(f"/bulk/{bulk['id']}/items?cursor={cursor}")
    assert (answer.status_code, problem(answer)["error"]) == (422, "invalid")
    assert shop.api.get("/bulk/bulk_nothing/items").status_code == 404


def test_an_order_sent_again_under_its_key_is_the_one_that_it_made(
    shop: Workshop, project: str
) -> None:
    body = {"action": "stop", "filter": {"project_id": project}}
    key = {"x-idempotency-key": "night-1"}
    first = shop.api.post("/bulk", json=body, headers=key)
    again = shop.api.post("/bulk", json=body | {"x_idempotency_key": "night-1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"] == first.headers["Location"].split("/")[-1]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = shop.api.post("/bulk", json=body | {"action": "retry"}, headers=key)
    assert (other.status_code, problem(other)["error"]) == (422, "key_reused")
    assert problem(other)["bulk_id"] == first.json()["id"]
    both = shop.api.post("/bulk", json=body | {"x_idempotency_key": "night-2"}, headers=key)
    assert (both.status_code, problem(both)["error"]) == (400, "key_mismatch")
    assert shop.api.post("/bulk", json=body).json()["id"] != first.json()["id"]


def test_an_order_without_a_reason_says_who_gave_it_and_what_was_done(
    shop: Workshop, project: str
) -> None:
    name = shop.api.get("/system").json()["person"]
    for action, done in (("stop", "stopped"), ("retry", "retried")):
        body = {"action": action, "filter": {"project_id": project}}
        key = {"x-idempotency-key": f"why-{action}"}
        first = shop.api.post("/bulk", json=body, headers=key)
        # the same order under the same key: with another reason it would be refused
        again = shop.api.post("/bulk", json=body | {"because": f"{done} by {name}"}, headers=key)
        assert (first.status_code, again.status_code) == (202, 202), again.text
        assert again.json()["id"] == first.json()["id"]
