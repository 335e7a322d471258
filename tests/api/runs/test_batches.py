"""Batches over HTTP: announced, filled line by line, sealed, run to their end (stores.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem
from tests.drivers.web.batches import ended, line, made, make, runs_of, send, sent

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("batches")
    with open_workshop(folder, RUNYARD_BATCH_QUOTA="5000") as shop:
        shop.add_project("yard", max_concurrency=2)
        yield shop


@pytest.fixture(scope="module")
def yard(shop: Workshop) -> str:
    return str(shop.projects["yard"]["id"])


def test_a_batch_is_announced_filled_sealed_and_comes_to_its_end(shop: Workshop, yard: str) -> None:
    answer = make(shop, yard, 3)
    assert answer.status_code == 202
    assert answer.headers["x-correlation-id"]
    batch = answer.json()["id"]
    assert answer.json() == {"id": batch, "run_count": 3, "replayed": False}
    half = sent(shop, batch, [line(2, delivers="report"), line(0)])
    assert (half["sealed"], half["expected"], half["received"]) == (False, 3, 2)
    assert [(item["index"], item["status"]) for item in half["items"]] == [
        (2, "accepted"),
        (0, "accepted"),
    ]
    told = shop.api.get(f"/batches/{batch}").json()
    assert (told["status"], told["missing"]) == ("pending", [1])
    for run in runs_of(shop, batch):
        assert (run["status"], run["trigger"], run["batch_id"]) == ("queued", "batch", batch)
        assert run["hold"] == "waits until the batch is complete"
    whole = sent(shop, batch, [line(1, "please fail")])
    assert (whole["sealed"], whole["received"]) == (True, 3)
    done = ended(shop, batch)
    assert done["status"] == "partly_failed"
    assert done["counts"] == {"succeeded": 2, "died": 1}
    assert (done["delivered"], done["failed"], done["waiting"], done["live"]) == (2, 1, 0, 0)
    assert [run["index"] for run in runs_of(shop, batch)] == [0, 1, 2]


def test_a_batch_all_of_whose_runs_succeed_is_completed(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 3)
    assert sent(shop, batch, [line(index) for index in range(3)])["sealed"]
    done = ended(shop, batch)
    assert (done["status"], done["counts"]) == ("completed", {"succeeded": 3})


def test_items_begin_in_the_order_of_their_index_whatever_order_they_came_in(
    shop: Workshop, yard: str
) -> None:
    batch = made(shop, yard, 4)
    sent(shop, batch, [line(index) for index in (3, 1, 2, 0)])
    ended(shop, batch)
    runs = runs_of(shop, batch)
    taken = [
        next(
            event["at"]
            for event in shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]
            if event["kind"] == "taken"
        )
        for run in runs
    ]
    assert taken == sorted(taken)


def test_a_bad_line_is_a_run_that_says_why_and_spoils_nothing(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 7)
    huge = b'{"index": 3, "task": "' + b"x" * (3 * 1024 * 1024) + b'"}'
    late = b'{"task": "' + b"x" * (3 * 1024 * 1024) + b'", "index": 4}'
    receipt = sent(
        shop,
        batch,
        [
            line(0, delivers="report"),
            line(1, colour="red"),
            line(2, issue=999),
            huge,
            late,
            line(5, agent="   "),
            line(6, branch="nowhere"),
        ],
    )
    told = {item["index"]: (item["status"], item["because"]) for item in receipt["items"]}
    assert told[0] == ("accepted", None)
    assert told[1] == ("not_started", "colour: There is no such field.")
    assert told[2] == ("not_started", "There is no issue #999.")
    assert told[3] == told[4] == ("not_started", "its line has 3.1 MB, more than 3 MB")
    assert told[5][0] == told[6][0] == "not_started"
    assert told[6][1] == "The repository has no branch nowhere."
    assert receipt["sealed"]
    assert ended(shop, batch)["counts"] == {"succeeded": 1, "not_started": 6}
    seen = [(run["status"], run["because"]) for run in runs_of(shop, batch)]
    assert seen[2] == ("not_started", "There is no issue #999.")
    causes = [run["cause"] for run in runs_of(shop, batch)]
    assert causes[2:5] == ["launch_failed", "item_too_large", "item_too_large"]


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        (b"{", 400, "bad_line"),
        (b"\xff\xfe", 400, "bad_line"),
        (b"[" * 100_000, 400, "bad_line"),
        (b'{"index": NaN', 400, "bad_line"),
        (b"[]", 422, "invalid"),
        (b'{"task": "x"}', 422, "invalid"),
        (b'{"index": "1"}', 422, "invalid"),
        (b'{"index": true}', 422, "invalid"),
        (b'{"index": -1}', 422, "invalid"),
        (b'{"index": 1.0}', 422, "invalid"),
        (b'{"index": 3}', 422, "invalid"),
        (b'{"task": "\\"index\\": 1' + b"x" * 3_200_000 + b'"}', 422, "invalid"),
    ],
    ids=lambda given: given[:12].hex() if isinstance(given, bytes) else str(given),
)
def test_what_is_no_item_names_its_line_and_what_came_before_is_kept(
    shop: Workshop, yard: str, bad: bytes, status: int, code: str
) -> None:
    batch = made(shop, yard, 3)
    answer = send(shop, batch, [line(0), b"", bad, line(2)])
    assert (answer.status_code, problem(answer)["error"]) == (status, code)
    if bad != b'{"index": 3}':
        assert problem(answer)["line"] == 3
    assert shop.api.get(f"/batches/{batch}").json()["missing"] == [1, 2]
    shop.api.post(f"/batches/{batch}/stop")


def test_a_line_that_cannot_be_decided_keeps_no_other_out_and_is_sent_again(
    shop: Workshop, yard: str
) -> None:
    batch = made(shop, yard, 3)
    origin = Path(shop.projects["yard"]["origin"])
    away = origin.rename(origin.with_name("away"))
    lines = [line(0, branch="nowhere"), line(1, delivers="report"), line(2, delivers="report")]
    answer = send(shop, batch, lines)
    away.rename(origin)
    assert (answer.status_code, problem(answer)["error"]) == (502, "forge_unavailable")
    assert problem(answer)["indexes"] == [0]
    receipt = sent(shop, batch, lines)
    assert [item["status"] for item in receipt["items"]] == ["not_started", *["deduplicated"] * 2]
    assert receipt["sealed"]
    ended(shop, batch)


@pytest.mark.parametrize("count", [0, 1001, -1, "3", 1.5, None])
def test_a_count_out_of_bounds_is_refused_before_any_row(
    shop: Workshop, yard: str, count: Any
) -> None:
    before = len(shop.api.get("/batches?limit=100").json()["items"])
    assert problem(make(shop, yard, count))["status"] == 422
    assert len(shop.api.get("/batches?limit=100").json()["items"]) == before


def test_a_key_answers_the_batch_it_has_made(shop: Workshop, yard: str) -> None:
    first = made(shop, yard, 2, "night-1")
    again = make(shop, yard, 2, "night-1")
    assert again.status_code == 202
    assert again.json() == {"id": first, "run_count": 2, "replayed": True}
    other = make(shop, yard, 3, "night-1")
    assert (other.status_code, problem(other)["error"]) == (422, "key_reused")
    sent(shop, first, [line(0), line(1)])
    once_more = sent(shop, first, [line(0), line(1)])
    assert [item["status"] for item in once_more["items"]] == ["deduplicated"] * 2
    assert once_more["sealed"]
    assert len(runs_of(shop, first)) == 2
    ended(shop, first)


def test_equal_announcements_at_once_make_one_batch(shop: Workshop, yard: str) -> None:
    answers = at_once(6, lambda _: make(shop, yard, 2, "at-once"))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(not answer.json()["replayed"] for answer in answers) == 1


def test_two_streams_at_once_make_each_item_once_and_seal_once(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 20)
    lines = [line(index, delivers="report") for index in range(20)]
    answers = at_once(2, lambda _: send(shop, batch, lines))
    taken = [item for answer in answers for item in answer.json()["items"]]
    assert sum(item["status"] == "accepted" for item in taken) == 20
    assert sum(item["status"] == "deduplicated" for item in taken) == 20
    assert len({item["run_id"] for item in taken}) == 20
    events = [json.loads(line) for line in shop.server.log.splitlines()]
    sealed = [one for one in events if one["event"] == "batch_sealed"]
    assert [one["batch_id"] for one in sealed].count(batch) == 1
    shop.api.post(f"/batches/{batch}/stop")


def test_an_issue_is_claimed_once_and_its_second_item_says_who_has_it(
    shop: Workshop, yard: str
) -> None:
    number = shop.issue(yard)
    batch = made(shop, yard, 2)
    receipt = sent(shop, batch, [line(0, issue=number), line(1, issue=number)])
    assert [item["status"] for item in receipt["items"]] == ["accepted", "not_started"]
    assert runs_of(shop, batch)[0]["work_branch"] == f"afk/{number}"
    assert ended(shop, batch)["counts"] == {"succeeded": 1, "not_started": 1}


def test_a_batch_is_stopped_as_a_whole(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 5)
    sent(shop, batch, [line(index, "please wait") for index in range(5)])
    shop.wait(f"/batches/{batch}", lambda told: told["counts"].get("running") == 2)
    answer = shop.api.post(f"/batches/{batch}/stop", json={"because": "enough"})
    assert (answer.status_code, answer.json()["status"]) == (200, "aborted")
    done = shop.wait(f"/batches/{batch}", lambda told: told["counts"] == {"stopped": 5})
    assert (done["status"], done["because"]) == ("aborted", "enough")
    assert {run["because"] for run in runs_of(shop, batch)} == {"enough"}
    again = shop.api.post(f"/batches/{batch}/stop")
    assert (again.status_code, problem(again)["error"]) == (409, "already_ended")


def test_a_batch_that_is_stopped_while_it_is_sent_takes_nothing_more(
    shop: Workshop, yard: str
) -> None:
    batch = made(shop, yard, 3)
    sent(shop, batch, [line(0)])
    assert shop.api.post(f"/batches/{batch}/stop").json()["status"] == "aborted"
    late = send(shop, batch, [line(1)])
    assert (late.status_code, problem(late)["error"]) == (409, "already_ended")
    done = shop.wait(f"/batches/{batch}", lambda told: told["counts"] == {"not_started": 1})
    assert done["received"] == 1


def test_items_of_a_waiting_batch_refuse_nobody(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 9)
    sent(shop, batch, [line(index) for index in range(8)])
    # runs that were stopped before this test may still be ending
    shop.wait(f"/quota/concurrency?project_id={yard}", lambda told: told["active"] < told["max"])
    assert shop.delivered(yard)["status"] == "succeeded"
    assert {run["status"] for run in runs_of(shop, batch)} == {"queued"}
    shop.api.post(f"/batches/{batch}/stop")


def pages_of(shop: Workshop, path: str, limit: int) -> list[Any]:
    """Return the items of every page, after checking that paging backwards gives the same pages."""
    pages: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        pages.append(shop.api.get(path, params=asked).json())
        cursor = pages[-1]["next_cursor"]
    assert pages[0]["prev_cursor"] is None
    for earlier, later in reversed(list(pairwise(pages))):
        params = {"limit": limit, "cursor": later["prev_cursor"]}
        back = shop.api.get(path, params=params).json()
        assert [one.get("id", one.get("index")) for one in back["items"]] == [
            one.get("id", one.get("index")) for one in earlier["items"]
        ]
        assert back["next_cursor"] == earlier["next_cursor"]
    return [page["items"] for page in pages]


def test_pages_of_batches_and_of_items_hold_everything_once(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 7)
    sent(shop, batch, [line(index, colour="red") for index in range(7)])
    items = pages_of(shop, f"/batches/{batch}/items", 3)
    assert [[one["index"] for one in page] for page in items] == [[0, 1, 2], [3, 4, 5], [6]]
    made(shop, yard, 1)
    batches = [one["id"] for page in pages_of(shop, "/batches", 2) for one in page]
    assert len(batches) == len(set(batches)) > 1
    assert batches[1] == batch
    assert shop.api.get(f"/batches/{batch}/items?cursor=x").status_code == 422
    for bad in ("x", "20260101T000000.000000~run_c", "-1"):
        assert shop.api.get(f"/batches?cursor={bad}").status_code == 422


def test_unknown_batches_projects_and_parents_are_named(shop: Workshop, yard: str) -> None:
    assert send(shop, "batch_nothing", [line(0)]).status_code == 404
    assert shop.api.get("/batches/batch_nothing").status_code == 404
    assert make(shop, "proj_nothing", 1).status_code == 404
    assert make(shop, yard, 1, parent_run_id="run_nothing").status_code == 422
    wrong = shop.api.post(
        "/batches/batch_nothing/items",
        content=b"{}",
        headers={"Content-Type": "text/plain"},
    )
    assert wrong.status_code == 415


def test_the_window_of_batches_is_told_by_its_items(shop: Workshop, yard: str) -> None:
    before = shop.api.get("/quota/batches").json()
    runs = shop.api.get("/quota/runs").json()
    assert (before["limit"], before["retry_after"]) == (5000, None)
    made(shop, yard, 40)
    after = shop.api.get("/quota/batches").json()
    assert after["used"] == before["used"] + 40
    assert after["remaining"] == 5000 - after["used"]
    assert after["reset_at"] is not None
    assert set(after) == set(runs)
    assert shop.api.get("/quota/runs").json() == runs, "a batch takes no place of a run"


def test_a_flood_of_empty_lines_is_refused_and_what_came_before_is_kept(
    shop: Workshop, yard: str
) -> None:
    batch = made(shop, yard, 2)
    answer = send(shop, batch, [line(0), b"\n" * 14 * 1024 * 1024])
    refused = problem(answer)
    assert (refused["status"], refused["error"]) == (400, "bad_line")
    assert "lines are empty" in refused["detail"]
    assert shop.api.get(f"/batches/{batch}").json()["missing"] == [1]


def test_a_line_with_a_name_twice_is_an_error_of_its_own(shop: Workshop, yard: str) -> None:
    batch = made(shop, yard, 2)
    twice = b'{"index": 1, "depth_level": "quick", "depth_level": "deep"}'
    told = sent(shop, batch, [line(0), twice])
    statuses = {item["index"]: item["status"] for item in told["items"]}
    assert statuses == {0: "accepted", 1: "not_started"}
    because = {run["index"]: run["because"] for run in runs_of(shop, batch)}[1]
    assert "depth_level: This is given twice." in because
    answer = send(shop, made(shop, yard, 1), [b'{"index": 0, "index": 1}'])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "index"
