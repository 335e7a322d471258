"""A1, A2, A9: requests and handshakes no browser library would send, to a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.drivers.web.web_doors import PAGE_NAME, Door, listening, raw_answer


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with listening(Path(tmp_path_factory.mktemp("door"))) as door:
        yield door


def ask(door: Door, target: str, *lines: str, method: str = "GET") -> tuple[int, bytes]:
    head = [f"{method} {target} HTTP/1.1", *lines, "Connection: close", "", ""]
    return raw_answer(door.port, "\r\n".join(head).encode("latin-1"))


def with_token(door: Door, host: str | None = None) -> list[str]:
    name = f"127.0.0.1:{door.port}" if host is None else host
    return [f"Host: {name}", f"Authorization: Bearer {door.token}"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", PAGE_NAME, f"{PAGE_NAME}:9000"]
)
def test_a01_our_own_addresses_are_answered(door: Door, host: str) -> None:
    assert ask(door, "/api/v1/me", *with_token(door, host.format(port=door.port)))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.:{port}",
        "localhost.evil.example:{port}",
        "",
        " ",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:1",
        "127.0.0.1:{port}0",
        "127.0.0.1:0{port}",
        "127.1:{port}",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "[::1]",
        "::1:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "evil@127.0.0.1:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.1:{port}/?x=",
        "127.0.0.1:{port}, evil.example",
        "a/?x=",
        "ba9876543210.localhost:{port}",
        f"x.{PAGE_NAME}:{{port}}",
        f"{PAGE_NAME}.:{{port}}",
        f"{PAGE_NAME}:0",
        f"{PAGE_NAME}:{{port}}@evil.example",
    ],
)
@pytest.mark.parametrize("target", ["/healthz", "/api/v1/me", "/login?token=x"])
def test_a01_another_name_is_answered_by_nothing(door: Door, host: str, target: str) -> None:
    status, answer = ask(door, target, *with_token(door, host.format(port=door.port)))
    assert status == 400
    assert b"operator" not in answer
    assert b"set-cookie" not in answer.lower()


@pytest.mark.parametrize("second", ["evil.example", "127.0.0.1:{port}"])
def test_a01_two_host_headers_are_one_too_many(door: Door, second: str) -> None:
    hosts = [*with_token(door), f"Host: {second.format(port=door.port)}"]
    assert ask(door, "/api/v1/me", *hosts)[0] == 400
    assert ask(door, "/api/v1/me", *reversed(hosts))[0] == 400


def test_a01_a_request_without_a_host_is_refused(door: Door) -> None:
    lines = [f"Authorization: Bearer {door.token}"]
    assert ask(door, "/api/v1/me", *lines)[0] == 400
    old = f"GET /api/v1/me HTTP/1.0\r\n{lines[0]}\r\n\r\n"
    assert raw_answer(door.port, old.encode())[0] == 400


def test_a01_the_address_in_the_request_line_stands_for_nothing(door: Door) -> None:
    host = f"Host: 127.0.0.1:{door.port}"
    assert ask(door, "http://evil.example/api/v1/me", host)[0] in {400, 401}
    own = f"http://127.0.0.1:{door.port}/api/v1/me"
    assert ask(door, own, "Host: evil.example", *with_token(door)[1:])[0] == 400


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Host"])
def test_a01_what_a_proxy_header_says_opens_nothing(door: Door, name: str) -> None:
    own = f"127.0.0.1:{door.port}"
    assert ask(door, "/healthz", "Host: evil.example", f"{name}: {own}")[0] == 400
    assert ask(door, "/api/v1/me", f"Host: {own}", f"{name}: /healthz")[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/me",
        "/healthz//",
        "/assets/../api/v1/me",
        "/assets/%2e%2e/api/v1/me",
        "/assets/..%2fapi/v1/me",
        "/assets/%2E%2E%2Fapi/v1/me",
        "/assets/.%2e/api/v1/me",
        "/assets/./theme.css",
        "/assets/..",
        "/assets/..\\api",
        "/assets/%5c..%5capi",
        "/healthz;/api/v1/me",
        "/api/v1/me;x=/assets/",
        "/assets/%3b/x",
        "/healthz%00",
        "/assets/%0d%0aSet-Cookie:x",
        "/assets%2ftheme.css",
        "/%2fassets/theme.css",
        "*",
    ],
)
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_a09_a_path_that_can_be_read_in_two_ways_is_refused(
    door: Door, path: str, is_signed_in: bool
) -> None:
    lines = with_token(door)[: 2 if is_signed_in else 1]
    status, answer = ask(door, path, *lines)
    assert status == 400
    assert b"operator" not in answer


@pytest.mark.parametrize(
    "path",
    ["/api/v1/me?/assets/", "/api/v1/me%3f/assets/x", "/api/v1/me%23/healthz", "/api/v1/me?x=//"],
)
def test_a09_an_open_path_elsewhere_in_the_address_opens_nothing(door: Door, path: str) -> None:
    assert ask(door, path, with_token(door)[0])[0] == 401


# --- websockets --------------------------------------------------------------------------------


def link(door: Door, headers: dict[str, str], name: str = PAGE_NAME) -> connect:
    """Open a websocket to the server under any host name."""
    address = f"ws://{name}:{door.port}/_nicegui_ws/live"
    where = {"host": "127.0.0.1", "port": door.port, "proxy": None}
    return connect(address, additional_headers=headers, **where)


async def is_refused(door: Door, headers: dict[str, str], name: str = PAGE_NAME) -> bool:
    """Return True if the handshake is answered with 403."""
    try:
        async with link(door, headers, name):
            return False
    except InvalidStatus as refusal:
        return refusal.response.status_code == 403


async def test_a02_our_own_page_gets_its_websocket(door: Door) -> None:
    headers = {"Cookie": door.sign_in(), "Origin": door.address}
    async with link(door, headers) as line:
        assert line.response is not None
        assert line.response.headers["x-correlation-id"]
        await line.send("hello")
        assert await line.recv() == "you said hello"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1:1",
        "http://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://localhost:1",
        f"https://{PAGE_NAME}:{{port}}",
        f"ws://{PAGE_NAME}:{{port}}",
        f"http://{PAGE_NAME}:{{port}}.evil.example",
        None,
    ],
)
async def test_a02_a_page_of_another_origin_gets_no_websocket(
    door: Door, origin: str | None
) -> None:
    headers = {"Cookie": door.sign_in(), "Sec-Fetch-Site": "same-origin"}
    if origin is not None:
        headers["Origin"] = origin.format(port=door.port)
    assert await is_refused(door, headers)


async def test_a02_a_websocket_needs_the_cookie_and_takes_no_token(door: Door) -> None:
    headers = {"Origin": door.address}
    assert await is_refused(door, headers)
    assert await is_refused(door, {**headers, "Authorization": f"Bearer {door.token}"})


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "evil.example", "localhost.", "ba9876543210.localhost"]
)
async def test_a01_a_websocket_under_another_name_is_refused(door: Door, name: str) -> None:
    headers = {"Cookie": door.sign_in(), "Origin": f"http://{name}:{door.port}"}
    assert await is_refused(door, headers, name)


async def ends_with(line: ClientConnection) -> int | None:
    """Return the server's close code; fail if a message arrives instead."""
    with pytest.raises(ConnectionClosed) as closed:
        await line.recv()
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_a12_an_open_websocket_is_not_heard_once_its_session_is_over(door: Door) -> None:
    cookie = door.sign_in()
    headers = {"Cookie": cookie, "Origin": door.address}
    async with link(door, headers) as line:
        await line.send("one")
        assert await line.recv() == "you said one"
        await asyncio.to_thread(door.accounts.sign_out, cookie.partition("=")[2])
        # the server may close before the message is sent
        with suppress(ConnectionClosed):
            await line.send("two")
        assert await ends_with(line) == 1008
    assert "two" not in door.changes


async def test_a12_an_open_websocket_hears_nothing_once_its_session_is_over(door: Door) -> None:
    headers = {"Cookie": door.sign_in(), "Origin": door.address}
    async with link(door, headers) as line:
        await line.send("sign me out")
        assert await ends_with(line) == 1008


async def test_a12_signing_out_everywhere_closes_every_open_websocket_at_once(door: Door) -> None:
    first, second = ({"Cookie": door.sign_in(), "Origin": door.address} for _ in range(2))
    async with link(door, first) as one, link(door, second) as other:
        await one.send("hello")
        await one.recv()
        await asyncio.to_thread(door.accounts.sign_out_everywhere)
        assert await ends_with(one) == 1008
        assert await ends_with(other) == 1008
