"""Signing in at a provider of OpenID Connect: who gets in, with which role, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.people.openid_provider import OpenIdProvider
from app.domain.people.roles import Role
from app.records.people import openid_ledger
from tests.drivers.people import PASSWORD, Town, open_town
from tests.fakes.identity_provider import CLIENT, SECRET, IdentityTwin, identity_twin

GROUPS = {"engineers": Role.USER, "leads": Role.ADMIN}
# a browser that follows a link or a redirect from elsewhere
LINK = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FROM_THERE = LINK | {"Sec-Fetch-Site": "cross-site"}


@dataclass
class Place:
    """A town, and the provider that its people sign in at."""

    town: Town
    twin: IdentityTwin

    def browser(self) -> httpx.AsyncClient:
        """Return a new browser."""
        return self.town.caller()

    def signed_in_there(self, **person: Any) -> None:
        """Let somebody else be signed in at the provider from now on."""
        self.twin.person = {"groups": [], "email_verified": True} | person

    async def begin(self, browser: httpx.AsyncClient, query: str = "") -> str:
        """Press the button; return where the provider sends the browser back to."""
        begun = await browser.get(f"/login/oidc{query}", headers=LINK)
        assert begun.status_code == 303, begun.text
        return self.twin.sign_in(begun.headers["location"])

    async def end(self, browser: httpx.AsyncClient, back: str) -> httpx.Response:
        """Follow the provider's redirect."""
        return await browser.get(back, headers=FROM_THERE)

    async def sign_in(self, browser: httpx.AsyncClient, query: str = "") -> httpx.Response:
        """Sign in there, from the button to the answer."""
        return await self.end(browser, await self.begin(browser, query))


async def me(browser: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await browser.get("/api/v1/people/me")).raise_for_status().json())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    moment: list[Town] = []

    def now() -> datetime:
        return moment[0].plane.clock() if moment else datetime.now(UTC)

    with identity_twin(now) as twin:
        provider = OpenIdProvider(twin.issuer, CLIENT, SECRET, now)
        with open_town(tmp_path / "data", provider, oidc_groups=GROUPS) as town:
            moment.append(town)
            yield Place(town, twin)


async def test_an_invited_person_signs_in_there_without_a_password(place: Place) -> None:
    await place.town.invite(place.town.token(), "ada@example.org", role="operator")
    place.signed_in_there(email="Ada@Example.org", name="Ada")
    browser = place.browser()
    shown = await browser.get("/runs?status=died", headers=LINK)
    assert "Sign in at\n127.0.0.1" in shown.text
    answer = await place.sign_in(browser)
    # to the page that was asked for
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=died")
    assert (await me(browser))["role"] == "operator"
    # from now on it is the subject that counts, whatever the address becomes
    place.signed_in_there(email="lovelace@example.org")
    again = place.browser()
    assert (await place.sign_in(again)).status_code == 303
    assert (await me(again))["email"] == "ada@example.org"
    rows = (await place.town.token().get("/api/v1/audit")).json()["items"]
    assert [row["deed"] for row in rows][:2] == ["sign_in", "sign_in"]
    assert rows[0]["person_name"] == "ada@example.org"


async def test_who_is_not_invited_gets_in_by_a_group_alone(place: Place) -> None:
    place.signed_in_there(email="eve@example.org")
    refused = await place.sign_in(place.browser())
    assert refused.status_code == 403
    assert "nobody has invited you" in refused.text
    place.signed_in_there(email="eve@example.org", groups=["engineers", "chess"])
    browser = place.browser()
    assert (await place.sign_in(browser)).status_code == 303
    known = await me(browser)
    assert (known["email"], known["role"]) == ("eve@example.org", "user")
    rows = (await place.town.token().get("/api/v1/audit")).json()["items"]
    assert "sign_in_failed" in [row["deed"] for row in rows]


async def test_the_role_follows_the_groups_at_each_sign_in(place: Place) -> None:
    place.signed_in_there(email="eve@example.org", groups=["leads"])
    first = place.browser()
    await place.sign_in(first)
    assert (await me(first))["role"] == "admin"
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    second = place.browser()
    await place.sign_in(second)
    assert (await me(second))["role"] == "user"
    # the session with the other role has ended
    assert (await first.get("/api/v1/people/me")).status_code == 401
    place.signed_in_there(email="eve@example.org", groups=[])
    refused = await place.sign_in(place.browser())
    assert (refused.status_code, "None of your groups" in refused.text) == (403, True)
    assert (await second.get("/api/v1/people/me")).status_code == 401


async def test_an_invited_person_keeps_the_role_given_here(place: Place) -> None:
    await place.town.invite(place.town.token(), "ada@example.org", role="viewer")
    place.signed_in_there(email="ada@example.org", groups=["leads"])
    browser = place.browser()
    await place.sign_in(browser)
    assert (await me(browser))["role"] == "viewer"


@pytest.mark.parametrize("verified", [False, None])
async def test_an_address_that_was_not_verified_opens_nobody_s_account(
    place: Place, verified: object
) -> None:
    await place.town.join(place.town.token(), "ada@example.org", role="admin")
    place.signed_in_there(email="ada@example.org", email_verified=verified, groups=["engineers"])
    assert (await place.sign_in(place.browser())).status_code == 403


async def test_another_subject_with_the_same_address_does_not_get_the_account(
    place: Place,
) -> None:
    await place.town.invite(place.town.token(), "ada@example.org", role="admin")
    place.signed_in_there(email="ada@example.org")
    assert (await place.sign_in(place.browser())).status_code == 303
    place.twin.subject = "somebody who got the address later"
    place.signed_in_there(email="ada@example.org", groups=["engineers"])
    assert (await place.sign_in(place.browser())).status_code == 403


async def test_a_disabled_person_does_not_get_in(place: Place) -> None:
    admin = place.town.token()
    await place.town.invite(admin, "ada@example.org", role="user")
    place.signed_in_there(email="ada@example.org")
    browser = place.browser()
    await place.sign_in(browser)
    whom = (await me(browser))["id"]
    disabled = await admin.patch(f"/api/v1/people/{whom}", json={"disabled": True})
    assert disabled.status_code == 200, disabled.text
    refused = await place.sign_in(place.browser())
    assert (refused.status_code, "disabled" in refused.text) == (403, True)


async def test_an_answer_counts_once_and_in_the_browser_that_began(place: Place) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    victim, attacker = place.browser(), place.browser()
    back = await place.begin(attacker)
    # the attacker's answer in the victim's browser, which began none, and then one of its own
    assert (await place.end(victim, back)).status_code == 403
    await place.begin(victim)
    assert (await place.end(victim, back)).status_code == 403
    assert (await victim.get("/api/v1/people/me")).status_code == 401
    assert (await place.end(attacker, back)).status_code == 303
    again = await place.end(attacker, back)
    assert (again.status_code, "begin again" in again.text) == (403, True)


async def test_a_sign_in_that_took_more_than_ten_minutes_begins_again(place: Place) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    browser = place.browser()
    back = await place.begin(browser)
    place.town.plane.clock.advance(600)
    assert (await place.end(browser, back)).status_code == 403
    assert (await place.sign_in(browser)).status_code == 303


async def test_what_needs_a_fresh_sign_in_sends_people_there_once_more(place: Place) -> None:
    await place.town.invite(place.town.token(), "ada@example.org", role="admin")
    place.signed_in_there(email="ada@example.org")
    browser = place.browser()
    await place.sign_in(browser)
    own = {"Origin": str(browser.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}

    async def invites() -> int:
        email = {"email": f"{datetime.now(UTC).timestamp()}@example.org", "role": "viewer"}
        return (await browser.post("/api/v1/people", json=email, headers=own)).status_code

    # the provider let them in without a word: that proves too little
    assert await invites() == 403
    proved = await place.sign_in(browser, "?again=true&next=/settings%3Ftab%3Dpeople")
    assert proved.headers["location"] == "/settings?tab=people"
    assert await invites() == 201
    place.town.plane.clock.advance(15 * 60)
    assert await invites() == 403
    # a provider that does not ask
    place.twin.claims = {
        "auth_time": int((place.town.plane.clock() - timedelta(hours=1)).timestamp())
    }
    refused = await place.sign_in(browser, "?again=true")
    assert "did not ask you" in refused.text
    assert await invites() == 403
    # and somebody else at the keyboard
    place.twin.claims, place.twin.subject = {}, "somebody else"
    place.signed_in_there(email="eve@example.org", groups=["leads"])
    refused = await place.sign_in(browser, "?again=true")
    assert "somebody else" in refused.text
    assert await invites() == 403
    assert (await me(browser))["email"] == "ada@example.org"


async def test_a_provider_that_is_away_is_told_and_the_password_still_works(place: Place) -> None:
    await place.town.join(place.town.token(), "ada@example.org", role="user")
    place.twin.statuses = {"/.well-known/openid-configuration": 503}
    refused = await place.browser().get("/login/oidc", headers=LINK)
    assert (refused.status_code, "does not answer" in refused.text) == (502, True)
    assert (await place.town.sign_in("ada@example.org", PASSWORD)).status_code == 303
    place.twin.statuses = {"/token": 503}
    place.signed_in_there(email="ada@example.org")
    assert (await place.sign_in(place.browser())).status_code == 502


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_nobody_is_led_to_another_site_afterwards(place: Place, target: str) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    answer = await place.sign_in(place.browser(), f"?next={target}")
    assert answer.headers["location"] == "/"


async def test_sign_ins_that_are_never_ended_do_not_fill_the_disk(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid_ledger, "MOST_BEGUN", 3)
    for _ in range(3):
        await place.begin(place.browser())
    full = await place.browser().get("/login/oidc", headers=LINK)
    assert (full.status_code, full.headers["retry-after"]) == (429, "600")
    place.town.plane.clock.advance(601)
    await place.begin(place.browser())


async def test_without_a_provider_there_is_no_such_page(tmp_path: Path) -> None:
    with open_town(tmp_path / "data") as town:
        await town.join(town.token(), "ada@example.org", role="user")
        shown = await town.caller().get("/login", headers=LINK)
        assert "oidc" not in shown.text
        assert (await town.caller().get("/login/oidc", headers=LINK)).status_code == 404
