"""The gate for authenticated requests: correlation ids, faults, size limits, streaming."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.http.gate import Gate
from app.api.http.request_info import MAX_BODY
from app.api.http.site import Site
from tests.drivers.web.web_doors import Door, build_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = build_door(tmp_path)
    yield door
    door.database.close()


@pytest.mark.parametrize("given", ["a", "A-b_9", "x" * 64])
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/me", "/a//b", "/none"])
async def test_an_answer_carries_the_correlation_id_it_was_asked_with(
    door: Door, given: str, path: str
) -> None:
    async with door.caller(x_correlation_id=given) as caller:
        assert (await caller.get(path)).headers["x-correlation-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ü", "a;b", "<b>"])
async def test_what_is_no_correlation_id_is_replaced(door: Door, given: str) -> None:
    async with door.caller() as caller:
        headers = {b"x-correlation-id": given.encode("latin-1")}
        answers = [await caller.get("/api/v1/me", headers=headers) for _ in range(2)]
    ids = {answer.headers["x-correlation-id"] for answer in answers}
    assert len(ids) == 2
    assert given not in ids
    assert {answer.json()["correlation_id"] for answer in answers} == ids


async def test_a_caller_who_left_before_the_answer_is_no_fault(door: Door) -> None:
    async def fails_alone(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        raise RuntimeError("No response returned.")

    gate = Gate(fails_alone, accounts=door.accounts, site=Site(80), now=door.clock)
    left, said = iter([{"type": "http.disconnect"}]), []

    async def receive() -> Message:
        return next(left)

    async def send(message: Message) -> None:
        said.append(message)

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": headers}
    await gate(scope, receive, send)
    assert said == []


@pytest.mark.expects_error_log
@pytest.mark.parametrize(("accept", "path"), [("*/*", "/api/v1/broken"), ("text/html", "/broken")])
async def test_a_fault_is_traced_once_and_named_by_its_id_only(
    door: Door, accept: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with door.caller(cookie=door.sign_in(), accept=accept) as caller:
        answer = await caller.get(path, headers={"x-correlation-id": "click-1"})
    assert answer.status_code == 500
    assert "click-1" in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    traced = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert len(traced) == 1
    assert traced[0].exc_info


async def test_an_answer_500_that_is_meant_is_passed_on(door: Door) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        answer = await caller.get("/api/v1/meant")
    assert (answer.status_code, answer.text) == (500, "meant")


async def test_content_over_the_cap_is_refused(door: Door) -> None:
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        answer = await caller.post("/api/v1/things", json={"name": "x" * MAX_BODY})
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert door.changes == []


async def test_content_over_the_cap_is_refused_while_it_streams(door: Door) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        given = {"content-type": "application/json"}
        answer = await caller.post("/api/v1/things", content=endless(), headers=given)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert read <= MAX_BODY + 2 * 65536
    assert door.changes == []


async def test_items_of_a_batch_may_be_many_and_one_a_line(door: Door) -> None:
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        given = {"content-type": "application/x-ndjson"}
        lines = b'{"issue":1}\n' * (2 * MAX_BODY // 12)
        answer = await caller.post("/api/v1/batches/b/items", content=lines, headers=given)
        assert answer.json() == {"size": len(lines)}
        elsewhere = await caller.post("/api/v1/things", content=b"{}", headers=given)
        assert elsewhere.status_code == 415


async def test_an_event_stream_is_passed_on_piece_by_piece(door: Door) -> None:
    arrived, sent = asyncio.Event(), []

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            arrived.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": b"",
        "headers": [
            (b"host", f"127.0.0.1:{door.port}".encode()),
            (b"authorization", f"Bearer {door.token}".encode()),
        ],
    }
    stream = asyncio.create_task(door.gate(scope, receive, send))
    await asyncio.wait_for(arrived.wait(), 20)
    assert not stream.done()
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    assert sent[0]["status"] == 200


def take_database_away(door: Door) -> None:
    (door.data_dir / "runyard.db").rename(door.data_dir / "away.db")
    (door.data_dir / "runyard.db").mkdir()
    door.database.close()


async def test_a_silent_database_is_said_to_be_silent(door: Door) -> None:
    cookie = door.sign_in()
    take_database_away(door)
    async with door.caller(cookie=cookie) as caller:
        answer = await caller.get("/api/v1/me")
    assert (answer.status_code, answer.json()["error"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"]


async def test_a_page_that_is_opened_while_the_database_is_silent_says_so_and_looks_again(
    door: Door,
) -> None:
    cookie = door.sign_in()
    take_database_away(door)
    async with door.caller(cookie=cookie) as caller:
        answer = await caller.get("/projects/p", headers=BROWSER)
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert int(answer.headers["retry-after"]) >= 1
    assert "The database did not answer." in answer.text
    assert '<meta http-equiv="refresh"' in answer.text


FORM = {"content-type": "application/x-www-form-urlencoded"}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_a_form_of_somebody_signed_out_is_answered_by_a_page(door: Door) -> None:
    async with door.caller() as caller:
        answer = await caller.post("/afk/reset/p", content="a=b", headers={**FORM, **BROWSER})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"].startswith("text/html")
    assert "Nothing was changed by what you sent." in answer.text
    assert "runyard login-link" in answer.text


async def test_a_form_of_another_page_is_answered_by_a_page(door: Door) -> None:
    async with door.caller(cookie=door.sign_in(), origin="http://evil.example") as caller:
        answer = await caller.post("/afk/reset/p", content="a=b", headers={**FORM, **BROWSER})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.text
    assert "not from that page" in answer.text


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/afk/reset/p", FORM),
        ("/api/v1/things", {**FORM, **BROWSER}),
        ("/afk/reset/p", {"content-type": "application/json", **BROWSER}),
    ],
)
async def test_a_program_is_refused_in_its_own_words(
    door: Door, path: str, headers: dict[str, str]
) -> None:
    async with door.caller() as caller:
        answer = await caller.post(path, content="{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "not_signed_in")
