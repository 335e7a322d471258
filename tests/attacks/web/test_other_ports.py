"""Pages have a host name of their own, so that no other local port receives our cookies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api.http.gate import Gate
from app.api.http.site import Site
from tests.drivers.web.web_doors import PAGE_NAME, Door, build_door

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OTHERS = ("127.0.0.1", "localhost", "[::1]")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = build_door(tmp_path)
    yield door
    door.database.close()


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("path", ["/", "/runs?status=died&q=a%20b", "/none", "/login?token=x"])
async def test_a_browser_at_another_name_is_sent_to_the_pages(
    door: Door, name: str, path: str
) -> None:
    async with door.caller(**BROWSER) as caller:
        answer = await caller.get(f"http://{name}:{door.port}{path}")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{door.address}{path}"


@pytest.mark.parametrize("port", [":9000", ":80", ""])
async def test_a_browser_behind_a_forwarded_port_stays_at_that_port(door: Door, port: str) -> None:
    token = door.accounts.make_link_token(door.clock())
    async with door.caller(**BROWSER) as caller:
        sent_on = await caller.get(f"http://localhost{port}/login?token={token}")
        place = sent_on.headers["location"]
        assert place == f"http://{PAGE_NAME}{port}/login?token={token}".replace(":80/", "/", 1)
        assert (await caller.get(place)).status_code == 303
        assert (await caller.get(f"http://{PAGE_NAME}{port}/")).text == "<h1>Runs</h1>"


@pytest.mark.parametrize("name", OTHERS)
async def test_a_cookie_is_believed_at_the_pages_own_name_only(door: Door, name: str) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200
        answer = await caller.get(f"http://{name}:{door.port}/api/v1/me")
        assert (answer.status_code, answer.json()["error"]) == (401, "not_signed_in")
        own = {"origin": f"http://{name}:{door.port}", "sec-fetch-site": "same-origin"}
        form = f"http://{name}:{door.port}/afk/reset/p"
        assert (await caller.post(form, headers=own)).status_code == 401
    assert door.changes == []


@pytest.mark.parametrize("name", [*OTHERS, PAGE_NAME])
async def test_the_token_is_good_at_every_name_for_pages_too(door: Door, name: str) -> None:
    async with door.caller(authorization=f"Bearer {door.token}", **BROWSER) as caller:
        for path in ("/", "/api/v1/me"):
            assert (await caller.get(f"http://{name}:{door.port}{path}")).status_code == 200


@pytest.mark.parametrize("name", [*OTHERS, PAGE_NAME])
async def test_health_is_answered_at_every_name_of_ours(door: Door, name: str) -> None:
    async with door.caller(**BROWSER) as caller:
        assert (await caller.get(f"http://{name}:{door.port}/healthz")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "*/*"},
        {"accept": "image/avif,image/webp,*/*"},
        {**BROWSER, "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"},
        {**BROWSER, "sec-fetch-site": "same-site", "sec-fetch-dest": "empty"},
    ],
)
async def test_a_page_of_another_port_does_not_learn_the_name(
    door: Door, headers: dict[str, str]
) -> None:
    async with door.caller(**{n.replace("-", "_"): v for n, v in headers.items()}) as caller:
        answer = await caller.get(f"http://127.0.0.1:{door.port}/")
    assert answer.status_code == 401
    assert PAGE_NAME not in f"{answer.headers}{answer.text}"


async def test_the_host_can_be_set_back_for_browsers_that_do_not_find_it(door: Door) -> None:
    plain = Gate(
        door.app, accounts=door.accounts, site=Site(door.port, "127.0.0.1"), now=door.clock
    )
    async with door.caller_at(plain, cookie=door.sign_in(), **BROWSER) as caller:
        own = f"http://127.0.0.1:{door.port}"
        assert (await caller.get(f"{own}/")).status_code == 200
        answer = await caller.get(f"http://localhost:{door.port}/runs")
        assert answer.headers["location"] == f"{own}/runs"
        assert (await caller.get(f"{door.address}/")).status_code == 400


async def test_no_browser_is_sent_in_circles_where_the_host_was_set_back(door: Door) -> None:
    plain = Gate(
        door.app, accounts=door.accounts, site=Site(door.port, "127.0.0.1"), now=door.clock
    )
    async with door.caller_at(plain, **BROWSER) as caller:
        for host in ("127.0.0.1:9", "localhost:9"):
            for path in ("/", "/login?token=x"):
                answer = await caller.get(f"http://{host}{path}")
                assert (answer.status_code, answer.headers.get("location")) == (400, None)


async def test_a_secret_posted_by_a_foreign_page_is_not_sent_on_to_the_pages(door: Door) -> None:
    place, sent = f"http://127.0.0.1:{door.port}/login", {"token": "x" * 43}
    async with door.caller(**BROWSER) as caller:
        refused = await caller.post(place, data=sent, headers={"origin": "http://127.0.0.1:5173"})
        assert refused.status_code == 403
        assert PAGE_NAME not in f"{refused.headers}{refused.text}"
        sent_on = await caller.post(place, data=sent, headers={"origin": "null"})
    assert (sent_on.status_code, sent_on.headers["location"]) == (307, f"{door.address}/login")
