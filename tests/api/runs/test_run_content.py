"""A run's content over HTTP: timeline, log, diff and delivery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.builders.repositories import run_git
from tests.drivers.servers.workshop import Workshop, open_workshop, problem

LOG = b"begun\n" + bytes(range(256)) + "ü€😀".encode() * 1000 + b"done\n"
DELIVERY = ("kind", "number", "url", "state", "commits", "files_changed", "additions", "deletions")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("content")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def run(shop: Workshop) -> dict[str, Any]:
    """A run that wrote a log and delivered a hostile HTML page."""
    project_id = str(shop.projects["shop"]["id"])
    number = shop.issue(project_id, "Make a page")
    return dict(shop.delivered(project_id, "please log\nplease mark up", issue=number))


def quarantined(answer: httpx.Response) -> httpx.Response:
    """Check that no browser renders the response as a page of Runyard; return it."""
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    return answer


def test_the_timeline_is_told_oldest_first(shop: Workshop, run: dict[str, Any]) -> None:
    told = shop.api.get(f"/runs/{run['id']}/timeline").json()
    events = told["items"]
    assert list(told) == ["items"]
    assert [set(event) for event in events] == [{"id", "at", "kind", "sentence", "data"}] * len(
        events
    )
    kinds = [event["kind"] for event in events]
    expected = ["accepted", "taken", "claimed", "prepared", "spawned", "delivered"]
    assert [kind for kind in kinds if kind in expected] == expected
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert all(re.fullmatch(r"[\dT:.-]+Z", event["at"]) for event in events)


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ({}, 0, None),
        ({"offset": 0, "limit": 1}, 0, 1),
        ({"offset": 5, "limit": 7}, 5, 12),
        ({"offset": len(LOG) - 1}, len(LOG) - 1, None),
        ({"offset": len(LOG)}, len(LOG), None),
        ({"offset": len(LOG) + 100}, len(LOG), None),
        ({"offset": -5}, len(LOG) - 5, None),
        ({"offset": -5, "limit": 2}, len(LOG) - 5, len(LOG) - 3),
        ({"offset": -(10**6)}, 0, None),
        ({"offset": 2**62}, len(LOG), None),
        ({"offset": -(2**62)}, 0, None),
        ({"limit": 2**62}, 0, None),
    ],
    ids=str,
)
def test_bytes_of_a_log_are_read_from_either_end(
    shop: Workshop, run: dict[str, Any], asked: dict[str, int], begin: int, end: int | None
) -> None:
    answer = quarantined(shop.api.get(f"/runs/{run['id']}/log", params=asked))
    assert answer.status_code == 200
    assert answer.content == LOG[begin:end]
    assert answer.headers["x-log-size"] == str(len(LOG))
    assert answer.headers["x-log-truncated"] == "false"


@pytest.mark.parametrize(
    "query",
    ["offset=x", "limit=0", "limit=-1", "limit=x", "offset=" + "9" * 30, "limit=" + "9" * 30],
)
def test_a_log_is_not_read_from_nowhere(shop: Workshop, run: dict[str, Any], query: str) -> None:
    told = problem(shop.api.get(f"/runs/{run['id']}/log?{query}"))
    assert (told["status"], told["error"]) == (422, "invalid")


def test_words_of_a_log_are_found_with_their_positions(shop: Workshop, run: dict[str, Any]) -> None:
    path = f"/runs/{run['id']}/log"
    whole = shop.api.get(f"{path}/search", params={"q": "E", "limit": 1}).json()
    hits = shop.api.get(f"{path}/search", params={"q": "E"}).json()
    lines = LOG.split(b"\n")
    expected = [number for number, line in enumerate(lines, 1) if b"e" in line.lower()]
    assert [hit["line"] for hit in hits["items"]] == expected
    assert (hits["total"], hits["next_cursor"]) == (len(expected), None)
    for hit in hits["items"]:
        at = {"offset": hit["offset"], "limit": 1}
        assert shop.api.get(path, params=at).content.lower() == b"e"
    assert whole["items"] == hits["items"][:1]
    assert whole["total"] == hits["total"]
    rest = {"q": "E", "cursor": whole["next_cursor"]}
    assert shop.api.get(f"{path}/search", params=rest).json()["items"] == hits["items"][1:]


@pytest.mark.parametrize(
    "query",
    ["", "q=", "q=a%0Ab", "q=" + "x" * 201, "q=a&limit=0", "q=a&limit=1001", "q=a&cursor=x"],
)
def test_a_log_is_not_searched_for_nothing(shop: Workshop, run: dict[str, Any], query: str) -> None:
    told = problem(shop.api.get(f"/runs/{run['id']}/log/search?{query}"))
    assert (told["status"], told["error"]) == (422, "invalid")


def test_the_log_of_a_run_that_has_not_begun_holds_no_words(shop: Workshop) -> None:
    waiting = shop.start(str(shop.projects["shop"]["id"]), "not yet", delay=3600)
    found = shop.api.get(f"/runs/{waiting['id']}/log/search", params={"q": "a"})
    assert found.json() == {"total": 0, "items": [], "next_cursor": None}
    told = problem(shop.api.get("/runs/none/log/search", params={"q": "a"}))
    assert told["status"] == 404


def test_a_run_that_has_not_begun_has_an_empty_log_and_diff(shop: Workshop) -> None:
    waiting = shop.start(str(shop.projects["shop"]["id"]), "later", delay=3600)
    log = quarantined(shop.api.get(f"/runs/{waiting['id']}/log"))
    assert (log.status_code, log.content, log.headers["x-log-size"]) == (200, b"", "0")
    assert quarantined(shop.api.get(f"/runs/{waiting['id']}/diff")).text == ""
    told = problem(shop.api.get(f"/runs/{waiting['id']}/pull_request"))
    assert (told["status"], told["error"]) == (404, "not_found")


def test_the_diff_is_text_against_the_recorded_base(shop: Workshop, run: dict[str, Any]) -> None:
    change = f"/projects/{run['project_id']}/changes/{run['delivery']['number']}"
    for path in (f"/runs/{run['id']}/diff", f"{change}/diff"):
        diff = quarantined(shop.api.get(path)).text
        assert diff.startswith("diff --git a/page.txt b/page.txt")
        assert "+<script>alert(1)</script>" in diff
        assert "\u202e" in diff


def test_a_delivery_is_a_change_that_is_merged_once(shop: Workshop, run: dict[str, Any]) -> None:
    delivery = shop.api.get(f"/runs/{run['id']}/pull_request").json()
    assert set(DELIVERY) <= set(delivery)
    assert {name: run["delivery"][name] for name in DELIVERY} == {
        name: delivery[name] for name in DELIVERY
    }
    assert (delivery["kind"], delivery["state"]) == ("change", "open")
    assert (delivery["commits"], delivery["files_changed"], delivery["deletions"]) == (1, 1, 0)
    path = f"/projects/{run['project_id']}/changes"
    listed = shop.api.get(path).json()
    assert list(listed) == ["items"]
    change = shop.api.get(f"{path}/{delivery['number']}").json()
    assert change in listed["items"]
    assert (change["run_id"], change["closes"], change["base"]) == (run["id"], run["issue"], "main")
    merged = shop.api.post(f"{path}/{delivery['number']}/merge")
    assert (merged.status_code, merged.json()["state"]) == (200, "merged")
    origin = shop.folder / "shop"
    assert run_git(origin, "show", "main:page.txt").startswith("<script>")
    issues = shop.api.get(f"/projects/{run['project_id']}/issues").json()["items"]
    assert [one["state"] for one in issues if one["number"] == run["issue"]] == ["closed"]
    assert shop.api.get(f"/runs/{run['id']}").json()["delivery"]["state"] == "merged"
    told = problem(shop.api.post(f"{path}/{delivery['number']}/merge"))
    assert (told["status"], told["error"]) == (409, "already_ended")


def test_a_live_run_is_stopped_with_its_reason(shop: Workshop) -> None:
    run = shop.live(shop.start(str(shop.projects["shop"]["id"]), "please wait")["id"])
    assert (run["phase"], run["deadline"] is not None) == ("live", True)
    answer = shop.api.post(f"/runs/{run['id']}/stop", json={"because": "seen enough"})
    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
    ended = shop.ended(run["id"])
    assert (ended["status"], ended["because"], ended["exit_code"]) == (
        *("stopped", "seen enough", None),
    )
    kinds = [event["kind"] for event in shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]]
    assert "kill_verified" in kinds


def test_a_report_succeeds_without_a_delivery(shop: Workshop) -> None:
    project_id = str(shop.projects["shop"]["id"])
    run = shop.ended(shop.start(project_id, "look around", delivers="report")["id"])
    assert (run["status"], run["delivery"], run["because"] is not None) == ("succeeded", None, True)
    run = shop.ended(shop.start(project_id, "look around", delivers="change")["id"])
    assert (run["status"], run["label"], run["cause"]) == ("died", "No delivery", "no_delivery")
