"""Event streams: live events, resuming with Last-Event-ID, and when a stream ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.drivers.servers.processes import running_server
from tests.drivers.servers.workshop import Workshop, open_workshop

# real agents or long waits
pytestmark = pytest.mark.slow

LOG = "begun\n" + bytes(range(256)).decode(errors="replace") + "ü€😀" * 1000 + "done\n"


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    kind: str
    data: Any
    id: str | None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("events")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def project_id(shop: Workshop) -> str:
    return str(shop.projects["shop"]["id"])


@contextmanager
def listening(api: httpx.Client, path: str, seen: str | None = None) -> Iterator[Iterator[Told]]:
    """Open a stream and yield its events; the client's timeout bounds each read."""
    headers = {"Last-Event-ID": seen} if seen is not None else {}
    with api.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-correlation-id"]
        yield _events(answer)


def _events(answer: httpx.Response) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for line in _lines(answer):
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Told(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


def _lines(answer: httpx.Response) -> Iterator[str]:
    # only \n ends a line, whatever other line breaks the text contains
    rest = ""
    for piece in answer.iter_text():
        *lines, rest = (rest + piece).split("\n")
        yield from lines


def take(events: Iterator[Told], is_last: Callable[[Told], bool]) -> list[Told]:
    """Return events up to and including the first for which `is_last` is true."""
    taken = []
    for event in events:
        taken.append(event)
        if is_last(event):
            return taken
    raise AssertionError(f"the stream ended after {[one.kind for one in taken]}")


def begin(events: Iterator[Told], shop: Workshop, project_id: str) -> list[Told]:
    """Start and stop a run; return its events."""
    run = shop.start(project_id, f"told {id(events)}", delay=3600)
    shop.api.post(f"/runs/{run['id']}/stop")
    return take(events, lambda one: one.data.get("status") == "stopped")


def test_everything_that_changes_is_told(shop: Workshop, project_id: str) -> None:
    with listening(shop.api, "/events") as events:
        run = shop.start(project_id, "told", delay=3600)
        waited = {"run.changed", "project.changed", "quota.changed"}
        # a project that has just changed is told of again a moment later
        told = take(events, lambda told: waited.discard(told.kind) or not waited)
        kinds = {one.kind: one for one in told}
        assert kinds["run.changed"].data == run
        assert kinds["project.changed"].data["id"] == project_id
        assert kinds["quota.changed"].data["person_id"] == run["created_by"]
        assert all(one.id for one in told)
        shop.api.patch(f"/projects/{project_id}", json={"budget_seconds": 77})
        changed = take(events, lambda told: told.data.get("budget_seconds") == 77)[-1]
        assert changed.kind == "project.changed"


def test_a_stream_is_resumed_where_it_was_left(shop: Workshop, project_id: str) -> None:
    with listening(shop.api, "/events") as events:
        before = begin(events, shop, project_id)
    missed = shop.start(project_id, "missed", delay=3600)
    shop.api.post(f"/runs/{missed['id']}/stop")
    with listening(shop.api, "/events", before[-1].id) as events:
        told = take(events, lambda one: one.data.get("id") == missed["id"])
    assert "snapshot" not in {one.kind for one in told}
    assert before[-1].id not in {one.id for one in told}


def test_a_burst_of_changes_is_told_a_few_times_and_can_be_resumed_anywhere(
    shop: Workshop, project: str
) -> None:
    def is_last(one: Told) -> bool:
        return bool(one.data.get("id") == project and one.data["budget_seconds"] == 59)

    with listening(shop.api, "/events") as events:
        begun = monotonic()
        for seconds in range(20, 60):
            shop.api.patch(f"/projects/{project}", json={"budget_seconds": seconds})
        told = take(events, is_last)
        took = monotonic() - begun
    assert len([one for one in told if one.kind == "project.changed"]) <= 10 * took + 2
    for seen in dict.fromkeys(one.id for one in told[:-1]):
        with listening(shop.api, "/events", seen) as events:
            assert "snapshot" not in {one.kind for one in take(events, is_last)}


@pytest.mark.parametrize(
    "seen", ["1", "0-0", "another-12", "x", "-1", "{epoch}-999999", "{epoch}-" + "9" * 40, "%00"]
)
def test_what_cannot_be_resumed_begins_with_one_snapshot(
    shop: Workshop, project_id: str, seen: str
) -> None:
    with listening(shop.api, "/events") as events:
        epoch = str(begin(events, shop, project_id)[-1].id).rpartition("-")[0]
    with listening(shop.api, "/events", seen.format(epoch=epoch)) as events:
        first = next(events)
        assert first.kind == "snapshot"
        assert set(first.data) == {"projects", "runs"}
        assert first.data["projects"] == shop.api.get("/projects").json()["items"]
        assert first.data["runs"] == shop.api.get("/runs").json()["items"]
        assert {one.kind for one in begin(events, shop, project_id)}.isdisjoint({"snapshot"})
    # a stream can also be resumed from the snapshot's id
    with listening(shop.api, "/events", first.id) as events:
        assert next(events).kind != "snapshot"


def test_another_start_of_the_server_begins_with_a_snapshot(tmp_path: Any) -> None:
    with open_workshop(tmp_path) as shop:
        project_id = shop.add_project("shop")
        with listening(shop.api, "/events") as events:
            seen = begin(events, shop, project_id)[-1].id
        shop.server.kill()
        shop.server.start()
        with shop.server.client() as api, listening(api, "/events", seen) as events:
            assert next(events).kind == "snapshot"


def text_of(events: list[Told]) -> str:
    return "".join(event.data["text"] for event in events if event.kind == "log")


def test_one_run_is_told_from_its_first_line_to_its_end(shop: Workshop, project_id: str) -> None:
    run = shop.start(project_id, "please log\nplease commit")
    with listening(shop.api, f"/runs/{run['id']}/events") as events:
        told = list(events)
    stages = [event for event in told if event.kind == "stage_update"]
    timeline = shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]
    assert [stage.data["id"] for stage in stages] == [
        event["id"] for event in timeline[: len(stages)]
    ]
    assert stages[0].data["kind"] == "accepted"
    assert {"status", "sentence", "at"} <= set(stages[0].data)
    assert told[-1].kind == "run_succeeded"
    assert told[-1].data["id"] == run["id"]
    assert text_of(told) == LOG
    # the end is sent once: a client that reconnects with its id gets 204
    again = shop.api.get(f"/runs/{run['id']}/events", headers={"Last-Event-ID": str(told[-1].id)})
    assert (again.status_code, again.content) == (204, b"")


@pytest.mark.parametrize("task", ["please fail", "nothing done"])
def test_a_run_that_failed_says_so_last(shop: Workshop, project_id: str, task: str) -> None:
    run = shop.ended(shop.start(project_id, task)["id"])
    with listening(shop.api, f"/runs/{run['id']}/events") as events:
        told = list(events)
    assert (told[-1].kind, told[-1].data["status"]) == ("run_failed", "died")


def test_a_live_runs_stream_ends_with_its_stop(shop: Workshop, project_id: str) -> None:
    run = shop.start(project_id, "please wait")
    with listening(shop.api, f"/runs/{run['id']}/events") as events:
        take(events, lambda told: told.kind == "log")
        shop.api.post(f"/runs/{run['id']}/stop")
        assert list(events)[-1].kind == "run_stopped"


def test_a_run_is_resumed_at_every_place_without_a_gap(shop: Workshop, project_id: str) -> None:
    run = shop.ended(shop.start(project_id, "please log")["id"])
    path = f"/runs/{run['id']}/events"
    with listening(shop.api, path) as events:
        whole = list(events)
    assert all(event.id for event in whole)
    for number, event in enumerate(whole[:-1], 1):
        with listening(shop.api, path, event.id) as events:
            rest = list(events)
        assert [one.data for one in rest] == [one.data for one in whole[number:]]
    for foreign in ("x", "9" * 40, "-1", ""):
        with listening(shop.api, path, foreign) as events:
            assert [one.data for one in events] == [one.data for one in whole]


def test_streams_end_when_the_server_does(tmp_path: Any) -> None:
    with running_server(tmp_path / "data") as server, server.client() as api:
        with listening(api, "/events") as events:
            process = server.process
            assert process is not None
            process.terminate()
            assert list(events) == []
        assert process.wait(10) == 0
        assert '"level": "error"' not in server.log
