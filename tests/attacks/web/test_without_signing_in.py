"""A5, A7, A8, A10, A11, A12: access with no secret, an expired one or a forged one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from itsdangerous import TimestampSigner

from tests.drivers.web.web_doors import Door, build_door

CLOSED = [
    "/",
    "/metrics",
    "/api/v1/me",
    "/api/v1/docs",
    "/api/v1/openapi.json",
    "/docs",
    "/openapi.json",
    "/favicon.ico",
    "/_nicegui/3.18.0/static/nicegui.js",
    "/_nicegui_ws/socket.io/?EIO=4&transport=polling",
    "/none",
    "/healthz/",
    "/HEALTHZ",
    "/healthz.json",
    "/login/",
    "/loginx",
    "/assets",
    "/assetsx/theme.css",
    "/api/v1/healthz",
]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = build_door(tmp_path)
    yield door
    door.database.close()


@pytest.mark.parametrize("path", CLOSED)
async def test_a08_everything_is_closed_without_a_secret(door: Door, path: str) -> None:
    async with door.caller() as caller:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = await caller.request(method, path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert method == "HEAD" or answer.json()["error"] == "not_signed_in"


async def test_a08_only_these_are_open_and_only_for_reading(door: Door) -> None:
    async with door.caller() as caller:
        assert (await caller.get("/healthz")).status_code == 200
        assert (await caller.get("/assets/theme.css")).status_code == 200
        for path in ("/healthz", "/readyz", "/login", "/assets/theme.css"):
            assert (await caller.post(path)).status_code == 401


async def test_a08_a_page_says_how_to_sign_in_and_links_nowhere_else(door: Door) -> None:
    async with door.caller(accept="text/html,*/*") as caller:
        answer = await caller.get("/projects")
        assert (await caller.get("/api/v1/me")).json()["error"] == "not_signed_in"
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "runyard login-link" in answer.text
    assert "//" not in answer.text.replace("<!doctype", "")
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Bearer null",
        "Bearer undefined",
        "Bearer {token}x",
        "Bearer {token}, Bearer {token}",
        "Bearer {upper}",
        "Basic {token}",
        "Token {token}",
        "{token}",
        "Bearer ü",
    ],
)
async def test_a05_what_is_not_the_token_opens_nothing(door: Door, given: str) -> None:
    value = given.format(token=door.token, upper=door.token.swapcase()).encode("latin-1")
    async with door.caller() as caller:
        answer = await caller.get("/api/v1/me", headers={b"authorization": value})
        assert answer.status_code == 401


async def test_a05_a_wrong_token_is_not_made_good_by_a_cookie(door: Door) -> None:
    async with door.caller(cookie=door.sign_in(), authorization="Bearer x") as caller:
        assert (await caller.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
async def test_a05_the_token_opens_the_api(door: Door, word: str) -> None:
    async with door.caller(authorization=f"{word} {door.token}") as caller:
        assert (await caller.get("/api/v1/me")).json() == {"name": "operator"}


async def test_a05_the_token_is_taken_from_nowhere_but_its_header(door: Door) -> None:
    name = f"runyard_{door.port}"
    async with door.caller(cookie=f"{name}={door.token}; token={door.token}") as caller:
        for query in ("token", "access_token", "authorization"):
            answer = await caller.get("/api/v1/me", params={query: door.token})
            assert answer.status_code == 401


async def test_a07_every_data_folder_has_a_token_of_its_own(tmp_path: Path) -> None:
    tokens = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        door = build_door(tmp_path / name)
        tokens.add(door.token)
        door.database.close()
    assert len(tokens) == 3


async def test_a10_the_token_of_a_link_stays_in_no_log_page_or_answer(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = door.accounts.make_link_token(door.clock())
    async with door.caller() as caller:
        answers = [await caller.get("/login", params={"token": token}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 401]
    for answer in answers:
        assert token not in answer.text + str(answer.headers)
        assert answer.headers["referrer-policy"] == "no-referrer"
    ours = [line for line in caplog.records if not line.name.startswith(("httpx", "httpcore"))]
    assert not [line for line in ours if token in f"{line.getMessage()} {vars(line)}"]


async def test_a10_secrets_are_stored_as_hashes_only(door: Door) -> None:
    link = door.accounts.make_link_token(door.clock())
    cookie = door.sign_in().partition("=")[2]
    stored = b"".join(file.read_bytes() for file in door.data_dir.glob("runyard.db*"))
    assert stored.count(hashlib.sha256(cookie.encode()).hexdigest().encode()) > 0
    for secret in (link, cookie, door.token):
        assert secret.encode() not in stored


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https:evil.example"])
async def test_a11_signing_in_leads_nowhere_but_to_the_start_page(door: Door, target: str) -> None:
    token = door.accounts.make_link_token(door.clock())
    async with door.caller() as caller:
        answer = await caller.get("/login", params={"token": token, "next": target, "url": target})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("secret", ["", "s", "secret", "changeme", "runyard", "nicegui"])
async def test_a12_a_session_cannot_be_signed_by_guessing_a_secret(door: Door, secret: str) -> None:
    door.sign_in()
    claims = base64.b64encode(json.dumps({"person_id": "1", "name": "operator"}).encode())
    forged = [
        TimestampSigner(secret or " ").sign(claims).decode(),
        hmac.new(secret.encode(), claims, "sha256").hexdigest(),
        hashlib.sha256(secret.encode()).hexdigest(),
        secret,
    ]
    for cookie in forged:
        async with door.caller(cookie=f"runyard_{door.port}={cookie}") as caller:
            assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a12_the_stored_hash_is_no_cookie(door: Door) -> None:
    name, _, cookie = door.sign_in().partition("=")
    hashed = hashlib.sha256(cookie.encode()).hexdigest()
    async with door.caller(cookie=f"{name}={hashed}") as caller:
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a12_a_cookie_set_beforehand_does_not_become_a_session(door: Door) -> None:
    name, planted = f"runyard_{door.port}", "p" * 43
    token = door.accounts.make_link_token(door.clock())
    async with door.caller(cookie=f"{name}={planted}") as caller:
        answer = await caller.get("/login", params={"token": token})
        assert planted not in answer.headers["set-cookie"]
    async with door.caller(cookie=f"{name}={planted}") as caller:
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a12_a_signed_out_cookie_cannot_be_used_again(door: Door) -> None:
    cookie = door.sign_in()
    async with door.caller(cookie=cookie, origin=door.address) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200
        await caller.post("/logout")
    async with door.caller(cookie=cookie) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a12_the_cookie_of_another_port_opens_nothing(door: Door) -> None:
    value = door.sign_in().partition("=")[2]
    for name in ("runyard", "runyard_8081", "Runyard_8080", "session", "id"):
        async with door.caller(cookie=f"{name}={value}") as caller:
            assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a12_a_cookie_planted_beside_ours_does_not_lock_anybody_out(door: Door) -> None:
    ours = door.sign_in()
    async with door.caller(cookie=f"runyard_8080=planted; {ours}; other=x") as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200
