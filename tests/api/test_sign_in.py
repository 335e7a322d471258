"""Signing in: the link, the cookie, the token, and how each of them ends."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.records.account_ledger import AccountLedger
from app.records.routing import Stores
from app.records.tables import SignIn
from app.services.accounts import MAX_RECALLED, Accounts
from tests.attacks.web_doors import START, Door, build_door, open_accounts


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
        door.clock.pass_by(days=30, seconds=-10)
        assert (await caller.get("/api/v1/me")).status_code == 200
        door.clock.pass_by(seconds=10)
        assert (await caller.get("/api/v1/me")).status_code == 401


async def test_signing_out_ends_the_session_at_once(door: Door) -> None:
    async with door.caller(cookie=door.sign_in(), origin=door.address) as caller:
        assert (await caller.get("/api/v1/me")).json() == {"name": "operator"}
        answer = await caller.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert (await caller.get("/api/v1/me")).status_code == 401


def test_a_session_that_ends_while_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    class SlowLedger(AccountLedger):
        def session(self, cookie_hash: str) -> SignIn | None:
            found = super().session(cookie_hash)
            accounts.sign_out(cookie)
            return found

    first, database = open_accounts(tmp_path)
    new = first.sign_in(first.make_link_token(START), START)
    assert new is not None
    cookie = new.cookie
    ledger = SlowLedger(Stores(database, None, os.urandom))
    accounts = Accounts(ledger, entropy=os.urandom, data_dir=tmp_path)
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
