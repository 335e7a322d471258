"""Signing in at a provider of OpenID Connect: who gets in, with which role, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.people.openid_provider import OpenIdProvider
from app.domain.people.roles import Role
from app.records.people.openid_ledger import MOST_OF_ADDRESS
from tests.drivers.people import OWN, PASSWORD, Town, open_town
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


async def audit(place: Place) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await place.town.token().get("/api/v1/audit")).json()["items"]
    return rows


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
    assert "Sign in with\n127.0.0.1" in shown.text
    answer = await place.sign_in(browser)
    # to the page that was asked for
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=died")
    assert (await me(browser))["role"] == "operator"
    # from now on it is the subject that counts, whatever the address becomes
    place.signed_in_there(email="lovelace@example.org")
    again = place.browser()
    assert (await place.sign_in(again)).status_code == 303
    assert (await me(again))["email"] == "ada@example.org"
    rows = await audit(place)
    assert [row["deed"] for row in rows][:3] == ["sign_in", "sign_in", "bind_account"]
    assert {row["person_name"] for row in rows[:3]} == {"ada@example.org"}


async def test_who_is_not_invited_gets_in_by_a_group_alone(place: Place) -> None:
    place.signed_in_there(email="eve@example.org")
    refused = await place.sign_in(place.browser())
    assert refused.status_code == 403
    assert "no account here matches" in refused.text
    place.signed_in_there(email="eve@example.org", groups=["engineers", "chess"])
    browser = place.browser()
    assert (await place.sign_in(browser)).status_code == 303
    known = await me(browser)
    assert (known["email"], known["role"]) == ("eve@example.org", "user")
    rows = await audit(place)
    assert [row["deed"] for row in rows][:3] == ["sign_in", "add_person", "sign_in_failed"]
    assert {row["person_name"] for row in rows[:2]} == {"eve@example.org"}


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
    rows = await audit(place)
    assert [row["deed"] for row in rows][:2] == ["sign_in_failed", "change_person"]
    # and back in, once there is a group again
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    assert (await place.sign_in(place.browser())).status_code == 303


async def test_who_lost_every_group_has_no_other_way_in(place: Place) -> None:
    place.signed_in_there(email="eve@example.org", groups=["leads"])
    eve = place.browser()
    await place.sign_in(eve, "?next=/")
    await place.sign_in(eve, "?again=true")
    password = {"old_password": "", "password": PASSWORD}
    refused = await eve.put("/api/v1/people/me/password", json=password, headers=OWN)
    assert (refused.status_code, "identity provider" in refused.text) == (422, True)
    made = await eve.post("/api/v1/tokens", json={"name": "mine", "scopes": ["read"]}, headers=OWN)
    token = place.town.caller(Authorization=f"Bearer {made.json()['token']}")
    assert (await token.get("/api/v1/projects")).status_code == 200
    whom = (await me(eve))["id"]
    place.signed_in_there(email="eve@example.org", groups=[])
    assert (await place.sign_in(place.browser())).status_code == 403
    assert (await token.get("/api/v1/projects")).status_code == 401
    invited = await place.town.token().post(f"/api/v1/people/{whom}/invitation")
    assert invited.status_code == 422
    lowered = await place.town.token().patch(f"/api/v1/people/{whom}", json={"role": "viewer"})
    assert (lowered.status_code, "follows the groups" in lowered.text) == (422, True)


async def test_a_first_password_needs_a_fresh_sign_in(place: Place) -> None:
    await place.town.invite(place.town.token(), "ada@example.org", role="admin")
    place.signed_in_there(email="ada@example.org")
    browser = place.browser()
    await place.sign_in(browser)
    password = {"old_password": "", "password": PASSWORD}

    async def sets() -> int:
        told = await browser.put("/api/v1/people/me/password", json=password, headers=OWN)
        return told.status_code

    assert await sets() == 403
    await place.sign_in(browser, "?again=true")
    assert await sets() == 204


@pytest.mark.parametrize(
    ("invited", "told"),
    [
        ("anna@strasse.de", "anna@straße.de"),
        ("kim@corp.example", "\u212aim@corp.example"),
        ("sam@corp.example", "\u017fam@corp.example"),
        ("ada@example.org", " ada@example.org"),
    ],
)
async def test_an_address_that_only_looks_alike_opens_nobody_s_account(
    place: Place, invited: str, told: str
) -> None:
    await place.town.invite(place.town.token(), invited, role="admin")
    place.signed_in_there(email=told, groups=["engineers"])
    assert (await place.sign_in(place.browser())).status_code == 403


async def test_an_invitation_works_no_more_once_its_person_came_by_the_provider(
    place: Place,
) -> None:
    path = await place.town.invite(place.town.token(), "ada@example.org", role="admin")
    place.signed_in_there(email="ada@example.org")
    assert (await place.sign_in(place.browser())).status_code == 303
    assert (await place.browser().get(path, headers=LINK)).status_code == 401


async def test_two_tabs_sign_in_beside_each_other(place: Place) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    browser = place.browser()
    first, second = await place.begin(browser), await place.begin(browser)
    # what another site sends there in between takes nothing away
    for query in ("state=x&code=y", "error=access_denied&state=x"):
        assert (await place.end(browser, f"/login/oidc/callback?{query}")).status_code == 403
    assert (await place.end(browser, first)).status_code == 303
    old = browser.cookies.get("runyard_8080")
    assert (await place.end(browser, second)).status_code == 303
    # the session before it has ended
    replaced = place.town.caller(Cookie=f"runyard_8080={old}")
    assert (await replaced.get("/api/v1/people/me")).status_code == 401
    assert (await me(browser))["email"] == "eve@example.org"


async def test_first_sign_ins_at_once_all_get_in(place: Place) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    browsers = [place.browser() for _ in range(4)]
    backs = [await place.begin(one) for one in browsers]
    ended = await asyncio.gather(
        *(place.end(one, back) for one, back in zip(browsers, backs, strict=True))
    )
    assert [one.status_code for one in ended] == [303] * 4


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
    assert (again.status_code, "start again" in again.text) == (403, True)


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

    async def invites() -> int:
        email = {"email": f"{datetime.now(UTC).timestamp()}@example.org", "role": "viewer"}
        return (await browser.post("/api/v1/people", json=email, headers=OWN)).status_code

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
    assert "someone else" in refused.text
    assert await invites() == 403
    assert (await me(browser))["email"] == "ada@example.org"


async def test_a_provider_that_is_away_is_told_and_the_password_still_works(place: Place) -> None:
    await place.town.join(place.town.token(), "ada@example.org", role="user")
    place.twin.statuses = {"/.well-known/openid-configuration": 503}
    refused = await place.browser().get("/login/oidc", headers=LINK)
    assert (refused.status_code, "does not answer" in refused.text) == (502, True)
    assert (await place.town.sign_in("ada@example.org", PASSWORD)).status_code == 303
    # one that was away is asked again after ten seconds
    place.town.plane.clock.advance(10)
    place.twin.statuses = {"/token": 503}
    place.signed_in_there(email="ada@example.org")
    assert (await place.sign_in(place.browser())).status_code == 502


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_nobody_is_led_to_another_site_afterwards(place: Place, target: str) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    answer = await place.sign_in(place.browser(), f"?next={target}")
    assert answer.headers["location"] == "/"


async def test_sign_ins_that_are_never_ended_push_out_those_of_their_address_alone(
    place: Place,
) -> None:
    place.signed_in_there(email="eve@example.org", groups=["engineers"])
    elsewhere = place.town.caller_from("203.0.113.9")
    waiting = await place.begin(elsewhere)
    patient = place.browser()
    pushed_out = await place.begin(patient)
    for _ in range(MOST_OF_ADDRESS - 1):
        place.town.plane.clock.advance(1)
        await place.begin(place.browser())
    place.town.plane.clock.advance(1)
    last = place.browser()
    back = await place.begin(last)
    assert (await place.end(patient, pushed_out)).status_code == 403
    assert (await place.end(last, back)).status_code == 303
    assert (await place.end(elsewhere, waiting)).status_code == 303


async def test_an_answer_in_another_person_s_browser_changes_nobody(place: Place) -> None:
    await place.town.invite(place.town.token(), "ada@example.org", role="admin")
    place.signed_in_there(email="ada@example.org")
    browser = place.browser()
    await place.sign_in(browser)
    place.twin.subject = "another"
    place.signed_in_there(email="newcomer@example.org", groups=["leads"])
    refused = await place.sign_in(browser, "?again=true")
    assert refused.status_code == 403
    people = (await place.town.token().get("/api/v1/people")).json()["items"]
    assert "newcomer@example.org" not in {one["email"] for one in people}


async def test_what_the_provider_refuses_is_told_apart_from_what_the_person_does(
    place: Place,
) -> None:
    for error, words in (("access_denied", "you cancelled"), ("invalid_scope", "ask an admin")):
        told = await place.end(place.browser(), f"/login/oidc/callback?error={error}&state=x")
        assert (told.status_code, words in told.text) == (403, True)


async def test_without_a_provider_there_is_no_such_page(tmp_path: Path) -> None:
    with open_town(tmp_path / "data") as town:
        await town.join(town.token(), "ada@example.org", role="user")
        shown = await town.caller().get("/login", headers=LINK)
        assert "oidc" not in shown.text
        assert (await town.caller().get("/login/oidc", headers=LINK)).status_code == 404
