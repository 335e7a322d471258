"""The inbox and the report over HTTP, and the event that says that the inbox changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.runs.test_events import Told, listening, take
from tests.drivers.servers.workshop import Workshop, open_workshop

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("inbox")) as shop:
        yield shop


def announces(event: Told, *, review: int) -> bool:
    """Return True if this event says that so many changes wait for a review."""
    return event.kind == "inbox.changed" and event.data["counts"]["review"] == review


def inbox(shop: Workshop) -> dict[str, Any]:
    answer = shop.api.get("/inbox")
    assert answer.status_code == 200
    return dict(answer.json())


def test_what_a_run_delivered_waits_in_the_inbox_until_it_is_merged(
    shop: Workshop, project: str
) -> None:
    assert inbox(shop) == {"items": [], "counts": {"attention": 0, "review": 0, "parked": 0}}
    with listening(shop.api, "/events") as events:
        number = shop.issue(project, "Refuse expired coupons")
        run = shop.ended(shop.start(project, "please commit", issue=number)["id"])
        told = take(events, lambda one: announces(one, review=1))
        [item] = inbox(shop)["items"]
        assert told[-1].data == {"counts": inbox(shop)["counts"]}
        assert (item["kind"], item["group"], item["action"]) == ("change", "review", "Merge")
        assert (item["title"], item["issue"]) == ("Refuse expired coupons", number)
        assert (item["run_id"], item["project_id"]) == (run["id"], project)
        assert item["url"] == f"/projects/{project}/changes/{item['change']}"
        shop.api.post(f"/projects/{project}/changes/{item['change']}/merge").raise_for_status()
        take(events, lambda one: announces(one, review=0))
    assert inbox(shop)["items"] == []


def test_a_report_counts_since_a_moment_or_since_the_last_visit(
    shop: Workshop, project: str
) -> None:
    begun = shop.api.get("/system").json()["now"]
    shop.ended(shop.start(project, "please commit")["id"])
    shop.ended(shop.start(project, "please fail")["id"])
    told = shop.api.get("/report", params={"since": begun}).json()
    assert (told["delivered"], told["failed"], told["waiting_for_limit"]) == (1, 1, 0)
    assert (told["cost_usd"], told["cost_unknown"]) == (None, 2)
    [part] = told["projects"]
    assert (part["project_id"], part["delivered"], part["failed"]) == (project, 1, 1)
    # a token has no visits: its report counts from the first start
    assert shop.api.get("/report").json()["delivered"] >= 1


@pytest.mark.parametrize("since", ["yesterday", "", "2026-13-01T00:00:00Z"])
def test_a_report_since_no_moment_is_refused(shop: Workshop, since: str) -> None:
    answer = shop.api.get("/report", params={"since": since})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid")
