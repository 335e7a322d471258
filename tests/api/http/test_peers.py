"""The cap on what one address may have open at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from app.api.http.gate import Gate
from app.api.http.proxies import MOST_OPEN, Peers
from tests.drivers.web.web_doors import Door, build_door

OTHER = "198.51.100.8"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return build_door(tmp_path, public_url="https://runyard.example.org")


def caller_from(door: Door, gate: Gate, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(gate, client=(address, 5000))
    bearer = {"Authorization": f"Bearer {door.token}"}
    return httpx.AsyncClient(transport=transport, base_url=door.address, headers=bearer)


@pytest.mark.parametrize(
    ("crowd", "refused"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
    ],
)
async def test_an_address_with_too_much_open_is_refused_and_others_are_served(
    door: Door, crowd: str, refused: str
) -> None:
    go, begun = asyncio.Event(), asyncio.Queue[None]()

    async def hang() -> None:
        begun.put_nowait(None)
        await go.wait()

    door.app.add_api_route("/api/v1/hang", hang)
    gate = door.gate
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(caller_from(door, gate, crowd))
        same = await stack.enter_async_context(caller_from(door, gate, refused))
        others = [
            await stack.enter_async_context(caller_from(door, gate, one))
            for one in (OTHER, "127.0.0.1")
        ]
        hanging = [asyncio.create_task(here.get("/api/v1/hang")) for _ in range(MOST_OPEN)]
        for _ in range(MOST_OPEN):
            await begun.get()
        told = await same.get("/api/v1/me")
        assert (told.status_code, told.json()["error"]) == (429, "rate_limited")
        assert told.headers["retry-after"] == "1"
        assert [(await one.get("/api/v1/me")).status_code for one in others] == [200, 200]
        go.set()
        assert {one.status_code for one in await asyncio.gather(*hanging)} == {200}
        assert (await same.get("/api/v1/me")).status_code == 200


async def test_programs_of_this_machine_are_not_counted() -> None:
    peers = Peers(most=0)
    for address in ("127.0.0.1", "127.8.8.8", "::1"):
        with peers.one_more({"type": "http", "client": (address, 1)}) as is_too_many:
            assert not is_too_many
    with peers.one_more({"type": "http", "client": None}) as is_too_many:
        assert not is_too_many


async def test_what_a_proxy_of_this_machine_cannot_name_is_counted(tmp_path: Path) -> None:
    trusted = (ip_network("127.0.0.1"),)
    door = build_door(tmp_path, public_url="https://runyard.example.org", trusted=trusted)
    peers = Peers(most=1)
    unnamed = {
        "type": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"runyard.example.org"), (b"x-forwarded-for", b"somebody")],
    }
    with peers.one_more(door.site.placed(unnamed)) as is_too_many:
        assert not is_too_many
        with peers.one_more(door.site.placed(unnamed)) as is_too_many:
            assert is_too_many
