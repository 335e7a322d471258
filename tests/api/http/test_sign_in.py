"""Signing in by link, cookie and token, and how each expires."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from starlette.types import Message

from app.records.people.account_ledger import AccountLedger
from app.records.people.people_ledger import PeopleLedger
from app.records.people.session_ledger import SessionLedger
from app.records.stores.routing import Stores
from app.records.tables import SignIn
from app.services.people.accounts import LINK_LIFETIME, MAX_RECALLED, POSTED_LIFETIME, Accounts
from tests.drivers.web.web_doors import START, Door, build_door, open_accounts


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = build_door(tmp_path)
    yield door
    door.database.close()


async def test_a_link_signs_in_once_and_leads_to_the_start_page(door: Door) -> None:
    token = door.accounts.make_link_token(door.clock())
    async with door.caller() as caller:
        answer = await caller.get("/login", params={"token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert (await caller.get("/")).text == "<h1>Runs</h1>"
        again = await caller.get("/login", params={"token": token})
    assert again.status_code == 401
    assert "runyard login-link" in again.text


async def test_the_cookie_is_for_this_port_and_out_of_reach_of_scripts(door: Door) -> None:
    token = door.accounts.make_link_token(door.clock())
    async with door.caller() as caller:
        cookie = (await caller.get(f"/login?token={token}")).headers["set-cookie"]
    words = cookie.lower().split("; ")
    assert cookie.startswith(f"runyard_{door.port}=")
    assert {"httponly", "samesite=lax", "path=/", f"max-age={30 * 86400}"} <= set(words)
    assert "secure" not in words


async def test_on_https_the_cookie_is_secure(door: Door) -> None:
    token = door.accounts.make_link_token(door.clock())
    async with door.caller() as caller:
        answer = await caller.get(f"{door.address.replace('http', 'https')}/login?token={token}")
    assert "; secure" in answer.headers["set-cookie"].lower()


async def test_looking_at_a_link_without_following_it_does_not_use_it_up(door: Door) -> None:
    token = door.accounts.make_link_token(door.clock())
    async with door.caller() as caller:
        await caller.head(f"/login?token={token}")
        assert (await caller.get(f"/login?token={token}")).status_code == 303


@pytest.mark.parametrize(("minutes", "status"), [(4.9, 303), (5, 401), (60, 401)])
async def test_a_link_is_good_for_five_minutes(door: Door, minutes: float, status: int) -> None:
    token = door.accounts.make_link_token(door.clock())
    door.clock.pass_by(minutes=minutes)
    async with door.caller() as caller:
        assert (await caller.get(f"/login?token={token}")).status_code == status


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "ü" * 43, "x" * 5000, "%00"])
async def test_an_unknown_link_says_how_to_get_a_new_one(door: Door, token: str) -> None:
    async with door.caller() as caller:
        answer = await caller.get("/login", params={"token": token})
    assert answer.status_code == 401
    assert "runyard login-link" in answer.text
    assert "set-cookie" not in answer.headers


async def test_every_sign_in_makes_a_new_session(door: Door) -> None:
    assert door.sign_in() != door.sign_in()


async def test_a_session_ends_after_thirty_days_however_busy_it_was(door: Door) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        for _ in range(29):
            door.clock.pass_by(days=1)
            assert (await caller.get("/api/v1/me")).status_code == 200
        door.clock.pass_by(days=1)
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a_session_just_seen_ends_on_time(door: Door) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        for _ in range(5):
            door.clock.pass_by(days=6, seconds=-2)
            assert (await caller.get("/api/v1/me")).status_code == 200
        door.clock.pass_by(seconds=10)
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_a_session_that_is_not_used_ends_after_seven_days(door: Door) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        door.clock.pass_by(days=7, seconds=-10)
        assert (await caller.get("/api/v1/me")).status_code == 200
        door.clock.pass_by(days=7, seconds=10)
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_signing_out_ends_the_session_at_once(door: Door) -> None:
    async with door.caller(cookie=door.sign_in(), origin=door.address) as caller:
        assert (await caller.get("/api/v1/me")).json() == {"name": "operator"}
        answer = await caller.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert (await caller.get("/api/v1/me")).status_code == 401


def test_a_session_that_ends_while_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    class SlowLedger(SessionLedger):
        def find(self, cookie_hash: str, now: datetime) -> SignIn | None:
            found = super().find(cookie_hash, now)
            accounts.sign_out(cookie)
            return found

    first, database = open_accounts(tmp_path)
    new = first.sign_in(first.make_link_token(START), START)
    assert new is not None
    cookie = new.cookie
    stores = Stores(database, None, os.urandom)
    ledgers = AccountLedger(stores), SlowLedger(stores), PeopleLedger(stores)
    accounts = Accounts(ledgers, entropy=os.urandom, data_dir=tmp_path)
    accounts.who(cookie, None, START)
    assert accounts.recall(cookie, None, START) is None
    assert accounts.who(cookie, None, START) is None
    database.close()


async def test_signing_out_is_no_link(door: Door) -> None:
    async with door.caller(cookie=door.sign_in()) as caller:
        assert (await caller.get("/logout")).status_code == 405
        assert (await caller.get("/api/v1/me")).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_new_link_has_the_address_that_was_asked(door: Door, host: str) -> None:
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        base = f"http://{host}:{door.port}"
        answer = await caller.post(f"{base}/api/v1/login-links")
        assert answer.status_code == 201
        assert answer.json()["url"].startswith(f"{base}/login?token=")
        assert (await caller.get(answer.json()["url"])).status_code == 303


async def test_a_session_survives_a_restart(door: Door) -> None:
    cookie = door.sign_in().partition("=")[2]
    accounts, database = open_accounts(door.data_dir)
    visitor = accounts.who(cookie, None, START)
    assert visitor is not None
    assert visitor.name == "operator"
    assert visitor.csrf
    database.close()


async def test_a_known_session_costs_no_read_of_the_database(door: Door) -> None:
    cookie = door.sign_in().partition("=")[2]
    assert door.accounts.recall(cookie, None, door.clock()) is None
    assert door.accounts.who(cookie, None, door.clock()) is not None
    assert door.accounts.recall(cookie, None, door.clock()) is not None


async def test_another_servers_sign_out_is_seen_within_half_a_minute(door: Door) -> None:
    cookie = door.sign_in().partition("=")[2]
    beside, database = open_accounts(door.data_dir)
    assert beside.who(cookie, None, door.clock()) is not None
    door.accounts.sign_out(cookie)
    door.clock.pass_by(seconds=30)
    assert beside.who(cookie, None, door.clock()) is None
    database.close()


def test_what_is_remembered_of_sessions_is_bounded(door: Door) -> None:
    visitor = door.accounts.who(None, door.token, START)
    assert visitor is not None
    first = door.sign_in().partition("=")[2]
    door.accounts.who(first, None, START)
    remembered = door.accounts._recalled
    kept = next(iter(remembered.values()))
    remembered.update({str(n): kept for n in range(MAX_RECALLED - 1)})
    door.accounts.who(door.sign_in().partition("=")[2], None, START)
    assert len(remembered) == MAX_RECALLED
    assert door.accounts.recall(first, None, START) is None


def test_the_token_is_made_once_and_private(door: Door) -> None:
    file = door.data_dir / "token"
    before = file.read_text()
    assert len(before.strip()) == 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    open_accounts(door.data_dir)[1].close()
    assert file.read_text() == before
    assert [entry.name for entry in door.data_dir.glob("*token*")] == ["token"]


def test_a_token_others_may_read_is_made_private(door: Door) -> None:
    file = door.data_dir / "token"
    file.chmod(0o644)
    open_accounts(door.data_dir)[1].close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("left", ["", "\n", "half", "ü" * 43])
def test_a_damaged_token_is_replaced_not_believed(tmp_path: Path, left: str) -> None:
    (tmp_path / "token").write_text(left)
    accounts, database = open_accounts(tmp_path)
    assert accounts.who(None, left.strip(), START) is None
    assert accounts.who(None, (tmp_path / "token").read_text().strip(), START) is not None
    database.close()


def test_a_token_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x" * 43)
    os.symlink(tmp_path / "elsewhere", tmp_path / "token")
    with pytest.raises(OSError, match="token"):
        open_accounts(tmp_path)


FROM_A_FILE = {"origin": "null", "sec_fetch_site": "cross-site"}


async def test_a_page_on_this_disk_signs_in_by_posting_its_secret_once(door: Door) -> None:
    secret = door.accounts.make_link_token(door.clock(), POSTED_LIFETIME)
    async with door.caller(**FROM_A_FILE) as caller:
        answer = await caller.post("/login", data={"token": secret, "next": "/runs?status=died"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=died")
        again = await caller.post("/login", data={"token": secret})
        assert (again.status_code, "set-cookie" in again.headers) == (401, False)
        cookie = answer.headers["set-cookie"].partition(";")[0]
    async with door.caller(cookie=cookie) as browser:
        assert (await browser.get("/")).text == "<h1>Runs</h1>"


@pytest.mark.parametrize(("seconds", "status"), [(59, 303), (60, 401)])
@pytest.mark.parametrize("lifetime", [LINK_LIFETIME, POSTED_LIFETIME])
async def test_a_posted_secret_is_good_for_a_minute(
    door: Door, seconds: int, status: int, lifetime: timedelta
) -> None:
    secret = door.accounts.make_link_token(door.clock(), lifetime)
    door.clock.pass_by(seconds=seconds)
    async with door.caller(**FROM_A_FILE) as caller:
        assert (await caller.post("/login", data={"token": secret})).status_code == status


async def test_a_secret_that_is_posted_at_another_name_is_posted_again(door: Door) -> None:
    secret = door.accounts.make_link_token(door.clock())
    async with door.caller(**FROM_A_FILE) as caller:
        answer = await caller.post(f"http://127.0.0.1:{door.port}/login", data={"token": secret})
        assert (answer.status_code, answer.headers["location"]) == (307, f"{door.address}/login")
        assert (await caller.post("/login", data={"token": secret})).status_code == 303


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8080", "file://"])
async def test_a_web_page_of_another_address_posts_no_secret(door: Door, origin: str) -> None:
    secret = door.accounts.make_link_token(door.clock())
    async with door.caller(origin=origin) as caller:
        assert (await caller.post("/login", data={"token": secret})).status_code == 403
    async with door.caller() as caller:
        assert (await caller.post("/login", data={"token": secret})).status_code == 303


BROWSER = {"accept": "text/html,*/*;q=0.8"}


async def test_after_signing_in_the_page_opens_that_was_asked_for(door: Door) -> None:
    async with door.caller(**BROWSER) as caller:
        assert (await caller.get("/runs/run_1?tab=diff")).status_code == 401
        link = f"/login?token={door.accounts.make_link_token(door.clock())}"
        answer = await caller.get(f"http://127.0.0.1:{door.port}{link}")
        answer = await caller.get(answer.headers["location"])
        assert answer.headers["location"] == "/runs/run_1?tab=diff"
        link = f"/login?token={door.accounts.make_link_token(door.clock())}"
        assert (await caller.get(link)).headers["location"] == "/"


async def test_signing_out_everywhere_ends_every_session_at_once(door: Door) -> None:
    one, other = door.sign_in(), door.sign_in()
    async with door.caller(cookie=one, origin=door.address) as caller:
        answer = await caller.post("/api/v1/logout", json={"everywhere": True})
        assert (answer.status_code, answer.json()) == (200, {"ended": 2})
    for cookie in (one, other):
        async with door.caller(cookie=cookie) as caller:
            assert (await caller.get("/api/v1/me")).status_code == 401
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200


async def test_a_form_signs_out_everywhere_too(door: Door) -> None:
    other = door.sign_in()
    async with door.caller(cookie=door.sign_in(), origin=door.address) as caller:
        answer = await caller.post("/logout", data={"everywhere": "true"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    async with door.caller(cookie=other) as caller:
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_an_old_token_opens_nothing_once_there_is_a_new_one(door: Door) -> None:
    old = door.token
    async with door.caller(authorization=f"Bearer {old}") as caller:
        assert (await caller.post("/api/v1/token/rotate")).status_code == 204
        assert (await caller.get("/api/v1/me")).status_code == 401
    assert stat.S_IMODE((door.data_dir / "token").stat().st_mode) == 0o600
    async with door.caller(authorization=f"Bearer {door.token}") as caller:
        assert (await caller.get("/api/v1/me")).status_code == 200


@pytest.mark.parametrize("end", ["sign out everywhere", "rotate the token"])
async def test_an_open_stream_ends_with_what_it_was_opened_with(door: Door, end: str) -> None:
    is_token = end == "rotate the token"
    own = {"authorization": f"Bearer {door.token}"} if is_token else {"cookie": door.sign_in()}
    begun, sent = asyncio.Event(), []

    async def send(message: Message) -> None:
        sent.append(message)
        if message.get("body"):
            begun.set()

    async def receive() -> Message:
        return await asyncio.Future()

    host = door.address.removeprefix("http://")
    heard = {"host": host, **own}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in heard.items()],
    }
    stream = asyncio.create_task(door.gate(scope, receive, send))
    await asyncio.wait_for(begun.wait(), 20)
    act = door.accounts.rotate_token if is_token else door.accounts.sign_out_everywhere
    await asyncio.to_thread(act)
    await asyncio.wait_for(stream, 20)
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
