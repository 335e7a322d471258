"""A2, A3, A4, A14: attacks by a page of another origin on a browser that is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.web.web_doors import PAGE_NAME, Door, build_door

OWN = f"http://{PAGE_NAME}:8080"
FOREIGN_ORIGINS = [
    "http://evil.example",
    "null",
    "",
    "http://127.0.0.1:3000",
    "http://127.0.0.1",
    "http://127.0.0.1:8080",
    f"http://{PAGE_NAME}",
    f"http://{PAGE_NAME}:8081",
    f"https://{PAGE_NAME}:8080",
    "http://localhost:8080",
    "https://127.0.0.1:8080",
    "http://127.0.0.1:8080.evil.example",
    "http://127.0.0.1:8080/",
    "http://127.0.0.1:8080 http://evil.example",
    "HTTP://127.0.0.1:8080",
]
FORM_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = build_door(tmp_path)
    yield door
    door.database.close()


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a03_a_form_of_another_page_changes_nothing(door: Door, origin: str) -> None:
    async with door.caller(cookie=door.sign_in(), origin=origin) as caller:
        for path in ("/afk/reset/p", "/logout", "/api/v1/things", "/_nicegui_ws/x"):
            answer = await caller.post(path, json={"name": "x"})
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        del caller.headers["origin"]
        assert (await caller.get("/api/v1/me")).status_code == 200
    assert door.changes == []


@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "none", "odd"])
async def test_a03_the_cookie_alone_changes_nothing(door: Door, site: str | None) -> None:
    headers = {"sec_fetch_site": site} if site else {}
    async with door.caller(cookie=door.sign_in(), **headers) as caller:
        for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND"):
            assert (await caller.request(method, "/afk/reset/p")).status_code == 403
    assert door.changes == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a03_the_browsers_word_on_the_site_wins_over_the_origin(
    door: Door, site: str
) -> None:
    headers = {"cookie": door.sign_in(), "origin": door.address, "sec_fetch_site": site}
    async with door.caller(**headers) as caller:
        assert (await caller.post("/afk/reset/p")).status_code == 403
    assert door.changes == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": OWN},
        {"sec_fetch_site": "same-origin"},
        {"origin": OWN, "sec_fetch_site": "same-origin"},
        # a plain form on a page served with `Referrer-Policy: no-referrer`
        {"origin": "null", "sec_fetch_site": "same-origin"},
    ],
)
async def test_a03_a_form_of_our_own_page_works(door: Door, headers: dict[str, str]) -> None:
    async with door.caller(cookie=door.sign_in(), **headers) as caller:
        assert (await caller.post("/afk/reset/p", data={"x": "1"})).status_code == 303
    assert door.changes == ["p"]


@pytest.mark.parametrize("media_type", [*FORM_TYPES, "", "application/jsonx", "text/json"])
async def test_a03_the_api_takes_nothing_that_a_plain_form_can_send(
    door: Door, media_type: str
) -> None:
    async with door.caller(cookie=door.sign_in(), origin=door.address) as caller:
        given = {"content-type": media_type} if media_type else {}
        answer = await caller.post("/api/v1/things", content=b'{"name":"x"}', headers=given)
        assert (answer.status_code, answer.json()["error"]) == (415, "wrong_media_type")
    assert door.changes == []


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8"])
async def test_a03_the_api_takes_json(door: Door, media_type: str) -> None:
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        given = {"content-type": media_type}
        answer = await caller.post("/api/v1/things", content=b'{"name":"x"}', headers=given)
    assert (answer.status_code, door.changes) == (200, ["x"])


@pytest.mark.parametrize("dest", ["image", "script", "iframe", "empty", "object", "video"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a03_nothing_of_ours_is_embedded_by_another_page(
    door: Door, dest: str, site: str
) -> None:
    mode = "navigate" if dest in {"iframe", "object"} else "no-cors"
    fetched = {"sec_fetch_site": site, "sec_fetch_dest": dest, "sec_fetch_mode": mode}
    async with door.caller(cookie=door.sign_in(), **fetched) as caller:
        for path in ("/", "/api/v1/me", "/healthz", "/login?token=x", "/assets/theme.css"):
            assert (await caller.get(path)).status_code == 403


async def test_a03_a_link_from_elsewhere_may_be_followed(door: Door) -> None:
    fetched = {
        "sec_fetch_site": "cross-site",
        "sec_fetch_dest": "document",
        "sec_fetch_mode": "navigate",
    }
    async with door.caller(cookie=door.sign_in(), **fetched) as caller:
        assert (await caller.get("/")).status_code == 200
        assert (await caller.post("/afk/reset/p")).status_code == 403


async def test_a03_the_token_needs_no_page_but_a_foreign_page_is_refused(door: Door) -> None:
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        assert (await caller.post("/afk/reset/script")).status_code == 303
        answer = await caller.post("/afk/reset/p", headers={"origin": "http://evil.example"})
        assert answer.status_code == 403
    assert door.changes == ["script"]


@pytest.mark.parametrize("origin", [*FOREIGN_ORIGINS, OWN])
async def test_a04_no_answer_allows_another_page_to_read_it(door: Door, origin: str) -> None:
    asked = {"access_control_request_method": "POST", "origin": origin}
    async with door.caller(cookie=door.sign_in(), **asked) as caller:
        for path in ("/api/v1/generous", "/api/v1/me", "/healthz", "/none"):
            for method in ("GET", "POST", "OPTIONS", "HEAD"):
                answer = await caller.request(method, path)
                names = [name.lower() for name in answer.headers]
                assert not [name for name in names if name.startswith("access-control")]
                assert origin == door.address or answer.status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/login", "/api/v1/me", "/healthz", "/none", "/a//b", "/assets/theme.css"]
)
@pytest.mark.parametrize("is_signed_in", [True, False])
async def test_a14_no_answer_can_be_framed_or_taken_for_something_else(
    door: Door, path: str, is_signed_in: bool
) -> None:
    headers = {"cookie": door.sign_in()} if is_signed_in else {}
    async with door.caller(**headers) as caller:
        given = (await caller.get(path)).headers
    policy = given["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert f"connect-src 'self' ws://{PAGE_NAME}:{door.port};" in policy
    assert given["x-frame-options"] == "DENY"
    assert given["x-content-type-options"] == "nosniff"
    assert given["referrer-policy"] == "no-referrer"
    assert given["cross-origin-opener-policy"] == "same-origin"
    assert given["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in given["permissions-policy"]


async def test_a14_what_a_person_reads_is_not_kept_on_disk(door: Door) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        assert (await caller.get("/api/v1/me")).headers["cache-control"] == "no-store"
        assert (await caller.get("/login?token=x")).headers["cache-control"] == "no-store"
        assert "cache-control" not in (await caller.get("/assets/theme.css")).headers
