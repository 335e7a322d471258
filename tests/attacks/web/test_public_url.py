"""A1, A2, A3, A12: a server behind a proxy answers under its public URL alone."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from tests.drivers.web.web_doors import Door, build_door

URL = "https://runyard.example.org"
PROXY = "10.0.0.9"
BROWSER = {"accept": "text/html", "sec-fetch-site": "same-origin"}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    trusted = (ip_network(PROXY), ip_network("127.0.0.1"))
    return build_door(tmp_path, public_url=URL, trusted=trusted)


def asking(door: Door, peer: str = PROXY, url: str = URL, **headers: str) -> httpx.AsyncClient:
    """Return a client whose connection comes from `peer`; the proxy says that it was sent https."""
    own = {"x-forwarded-proto": "https"} if peer == PROXY else {}
    given = own | {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx.ASGITransport(door.gate, client=(peer, 4321))
    return httpx.AsyncClient(transport=transport, base_url=url, headers=given)


async def test_a_page_is_served_under_the_public_url_with_headers_for_https(door: Door) -> None:
    async with asking(door, cookie=door.sign_in(), **BROWSER) as caller:
        answer = await caller.get("/")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert f"connect-src 'self' wss://{URL[8:]};" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "https://runyard.example.org.evil.example",
        "https://runyard.example.org:8443",
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "http://0123456789ab.localhost:8080",
    ],
)
async def test_a01_no_other_host_is_answered_but_for_its_health(door: Door, url: str) -> None:
    async with asking(door, url=url, cookie=door.sign_in(), **BROWSER) as caller:
        for path in ("/", "/login", "/api/v1/me", "/assets/theme.css"):
            answer = await caller.get(path)
            assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert (await caller.get("/healthz")).status_code == 200


async def test_a03_another_origin_changes_nothing(door: Door) -> None:
    cookie = door.sign_in()
    for origin in ("http://runyard.example.org", "https://evil.example", "http://127.0.0.1:8080"):
        async with asking(door, cookie=cookie, origin=origin) as caller:
            assert (await caller.post("/api/v1/things", json={"name": "a"})).status_code == 403
    async with asking(door, cookie=cookie, origin=URL) as caller:
        assert (await caller.post("/api/v1/things", json={"name": "b"})).status_code == 200
    assert door.changes == ["b"]


async def test_a12_cookies_are_bound_to_the_host_and_to_https(door: Door) -> None:
    async with asking(door, accept="text/html") as caller:
        wanted = (await caller.get("/runs")).headers["set-cookie"].lower()
        link = door.accounts.make_link_token(door.clock())
        session = (await caller.get(f"/login?token={link}")).headers.get_list("set-cookie")
    assert wanted.startswith("__host-runyard_wanted=")
    assert session[0].startswith("__Host-runyard=")
    for cookie in (wanted, *(one.lower() for one in session)):
        words = set(cookie.split("; "))
        assert {"secure", "path=/", "httponly"} <= words
        assert not any(word.startswith("domain") for word in words)


async def test_signing_out_deletes_the_cookie_in_a_way_that_browsers_take(door: Door) -> None:
    async with asking(door, cookie=door.sign_in(), origin=URL, **BROWSER) as caller:
        told = await caller.post("/logout", data={"x": "y"})
    given = told.headers["set-cookie"].lower()
    assert given.startswith("__host-runyard=")
    assert {"secure", "path=/", "max-age=0"} <= set(given.split("; "))


async def test_a_call_with_a_bearer_from_this_machine_may_name_a_loopback_address(
    tmp_path: Path,
) -> None:
    door = build_door(tmp_path, public_url=URL)
    bearer = f"Bearer {door.token}"
    for url in ("http://127.0.0.1:8080", "http://localhost:8080"):
        async with asking(door, "127.0.0.1", url, authorization=bearer) as caller:
            assert (await caller.get("/api/v1/me")).status_code == 200
            # what it is told of is for people
            link = (await caller.post("/api/v1/login-links")).json()["url"]
            assert link.startswith(f"{URL}/login?token=")
        async with asking(door, "10.1.1.1", url, authorization=bearer) as caller:
            assert (await caller.get("/api/v1/me")).status_code == 400
        async with asking(door, "127.0.0.1", url, cookie=door.sign_in()) as caller:
            assert (await caller.get("/api/v1/me")).status_code == 400


async def test_a_proxy_that_says_plain_http_gets_nothing_but_the_health(door: Door) -> None:
    plainly = {"x-forwarded-proto": "http", "cookie": door.sign_in(), **BROWSER}
    async with asking(door, **plainly) as caller:
        assert (await caller.get("/")).status_code == 400
        assert (await caller.get("/healthz")).status_code == 200


@pytest.mark.parametrize("proto", ["", "http", "http, https", "https"])
async def test_a_machine_that_goes_around_the_proxy_gets_nothing_but_the_health(
    door: Door, proto: str
) -> None:
    # it came in the clear, whatever it says
    told = {"x-forwarded-proto": proto, "cookie": door.sign_in(), **BROWSER}
    bearer = {"authorization": f"Bearer {door.token}"}
    for peer in ("10.1.1.1", "::ffff:10.1.1.1", "2001:db8::1"):
        async with asking(door, peer, **told) as caller:
            for path in ("/", "/login", "/api/v1/me", "/assets/theme.css"):
                answer = await caller.get(path)
                assert (answer.status_code, "location" in answer.headers) == (400, False)
            thing = await caller.post("/api/v1/things", json={"name": "a"}, headers={"origin": URL})
            assert thing.status_code == 400
            assert (await caller.get("/healthz")).status_code == 200
        async with asking(door, peer, **bearer) as caller:
            assert (await caller.get("/api/v1/me")).status_code == 400
    assert door.changes == []


async def test_a_proxy_on_another_machine_has_to_say_that_it_was_sent_https(door: Door) -> None:
    cookie = door.sign_in()
    for proto, status in {"": 400, "http": 400, "ws": 400, "no": 400, "https": 200}.items():
        async with asking(door, x_forwarded_proto=proto, cookie=cookie) as caller:
            assert (await caller.get("/api/v1/me")).status_code == status, proto
    # those of this machine say nothing: the command line, curl, a proxy that adds no header
    async with asking(door, "127.0.0.1", cookie=cookie) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200


@pytest.mark.parametrize(
    ("peer", "proto", "scheme"),
    [
        (PROXY, "wss", "wss"),
        (PROXY, "https", "wss"),
        (PROXY, "ws", "ws"),
        (PROXY, "", "ws"),
        ("10.1.1.1", "wss", "ws"),
        ("127.0.0.1", "", "wss"),
    ],
)
def test_a_web_socket_is_held_to_the_same(door: Door, peer: str, proto: str, scheme: str) -> None:
    headers = [(b"host", URL[8:].encode()), (b"x-forwarded-proto", proto.encode())]
    scope = {"type": "websocket", "scheme": "ws", "client": (peer, 1), "headers": headers}
    assert door.site.placed(scope)["scheme"] == scheme


async def test_without_trusted_proxies_nobody_is_told_from_a_proxy(tmp_path: Path) -> None:
    door = build_door(tmp_path, public_url=URL)
    async with asking(door, "10.1.1.1", cookie=door.sign_in()) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200


async def test_a_proxy_that_is_trusted_may_say_which_host_was_asked_for(door: Door) -> None:
    told = {"x-forwarded-host": "runyard.example.org", "cookie": door.sign_in()}
    inside = "http://10.0.0.1:8080"
    async with asking(door, url=inside, **told) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200
    async with asking(door, "10.1.1.1", inside, **told) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 400


def seen(door: Door, peer: str, *forwarded: str) -> str:
    """Return the address that a request counts as coming from."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    return str(door.site.placed(scope)["client"][0])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (PROXY, ["203.0.113.7"], "203.0.113.7"),
        (PROXY, ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (PROXY, ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (PROXY, ["203.0.113.7, 127.0.0.1"], "203.0.113.7"),
        (PROXY, ["203.0.113.7, evil"], PROXY),
        # nothing is known of it, so it is not what this machine's own programs are
        (PROXY, ["evil, 127.0.0.1"], "unknown"),
        ("127.0.0.1", ["evil"], "unknown"),
        ("127.0.0.1", ["203.0.113.7, unknown"], "unknown"),
        ("127.0.0.1", ["127.0.0.1:evil"], "unknown"),
        ("127.0.0.1", ["[127.0.0.1"], "unknown"),
        (PROXY, ["203.0.113.7:5555"], "203.0.113.7"),
        (PROXY, ["198.51.100.1, 203.0.113.7:5555, 127.0.0.1:1"], "203.0.113.7"),
        (PROXY, ["[2001:db8::1]:443"], "2001:db8::1"),
        (PROXY, ["[2001:db8::1]"], "2001:db8::1"),
        (PROXY, ["[::ffff:203.0.113.7]:443"], "203.0.113.7"),
        (PROXY, ["203.0.113.7,"], "203.0.113.7"),
        ("127.0.0.1", [""], "127.0.0.1"),
        (PROXY, [], PROXY),
        ("10.1.1.1", ["203.0.113.7"], "10.1.1.1"),
        (f"::ffff:{PROXY}", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.1.1.1", ["203.0.113.7"], "10.1.1.1"),
        (PROXY, ["2001:db8::7"], "2001:db8::7"),
    ],
)
def test_an_address_is_believed_of_trusted_proxies_only(
    door: Door, peer: str, forwarded: list[str], address: str
) -> None:
    assert seen(door, peer, *forwarded) == address


def test_without_trusted_proxies_nobody_is_believed(tmp_path: Path) -> None:
    for url in (None, URL):
        (folder := tmp_path / os.urandom(4).hex()).mkdir()
        plain = build_door(folder, public_url=url)
        assert seen(plain, "127.0.0.1", "203.0.113.7") == "127.0.0.1"


async def test_who_goes_around_the_proxy_in_the_clear_gets_nothing_but_the_health(
    door: Door,
) -> None:
    bearer = f"Bearer {door.token}"
    for peer, headers in (
        ("203.0.113.5", {}),
        ("203.0.113.5", {"x-forwarded-proto": "https"}),
        (PROXY, {"x-forwarded-proto": ""}),
    ):
        async with asking(door, peer, authorization=bearer, **headers) as caller:
            assert (await caller.get("/api/v1/me")).status_code == 400
            assert (await caller.get("/healthz")).status_code == 200
