"""Limits that an admin sets for roles and people, and the quota of everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.records.tables.people import DEFAULT_ORGANISATION
from tests.drivers.people import Town, open_town
from tests.drivers.query_plans import statements_of

MORE = {"depth_level": "quick", "target_framework": "auto", "delay": 7200}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with nobody but the local operator."""
    with open_town(tmp_path / "data") as town:
        yield town


class Shop:
    """A project, its admin, and people who start runs in it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.admin = town.token()
        self.project_id = town.add_project().id
        self._started = 0

    async def start(self, person: httpx.AsyncClient) -> httpx.Response:
        """Start another run for later."""
        self._started += 1
        body = {"project_id": self.project_id, "task": f"part {self._started}", **MORE}
        return await person.post("/api/v1/runs", json=body)

    async def started(self, person: httpx.AsyncClient, times: int) -> list[int]:
        """Start runs; return the status of each answer."""
        return [(await self.start(person)).status_code for _ in range(times)]

    async def limit(self, person: httpx.AsyncClient, **limits: object) -> httpx.Response:
        """Set limits of a person."""
        return await self.admin.patch(f"/api/v1/people/{await id_of(person)}", json=limits)

    async def limit_roles(self, **limits: object) -> httpx.Response:
        """Set limits of roles."""
        mine = (await self.admin.get("/api/v1/people/me")).json()["organisation"]
        return await self.admin.patch(f"/api/v1/organisations/{mine}", json=limits)

    async def audited(self, object_: str) -> list[dict[str, Any]]:
        """Return the audit of an object, the newest first."""
        answer = await self.admin.get("/api/v1/audit", params={"object": object_})
        return list(answer.json()["items"])


async def id_of(person: httpx.AsyncClient) -> str:
    """Return a person's id."""
    return str((await person.get("/api/v1/people/me")).json()["id"])


async def quota_of(person: httpx.AsyncClient) -> dict[str, Any]:
    """Return a person's own quota."""
    return dict((await person.get("/api/v1/quota/runs")).json())


async def test_two_people_have_different_limits_and_see_their_own(town: Town) -> None:
    shop = Shop(town)
    anna = await town.join(shop.admin, "anna@x.org", role="user")
    bo = await town.join(shop.admin, "bo@x.org", role="user")
    changed = await shop.limit(anna, run_quota=2)
    assert (changed.status_code, changed.json()["run_quota"]) == (200, 2)
    await shop.limit(bo, run_quota=1)
    assert (await shop.started(anna, 3), await shop.started(bo, 2)) == ([201, 201, 429], [201, 429])
    seen = await quota_of(anna)
    assert (seen["limit"], seen["used"], seen["remaining"], seen["limit_of"]) == (2, 2, 0, "person")
    assert seen["free_at"] == seen["reset_at"]
    assert (await quota_of(bo))["limit"] == 1
    refused = (await shop.start(bo)).json()
    assert refused["error"] == "rate_limited"
    assert refused["own_limit"] == "Your limit: 1 run an hour (Settings → People)"


async def test_a_roles_limit_holds_for_its_people_and_a_persons_own_wins(town: Town) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    other = await town.join(shop.admin, "w@x.org", role="user")
    operator = await town.join(shop.admin, "o@x.org", role="operator")
    answer = await shop.limit_roles(run_quotas={"user": 1})
    assert (answer.status_code, answer.json()["run_quotas"]) == (200, {"user": 1})
    await shop.limit(other, run_quota=3)
    assert await shop.started(user, 2) == [201, 429]
    assert await shop.started(other, 4) == [201, 201, 201, 429]
    assert (await quota_of(operator))["limit_of"] == "server"
    refused = (await shop.start(user)).json()
    assert refused["own_limit"] == "The limit of your role: 1 run an hour (Settings → Organisation)"


async def test_a_change_holds_from_the_next_request_and_ends_no_session(town: Town) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    await shop.limit(user, run_quota=1)
    assert await shop.started(user, 2) == [201, 429]
    await shop.limit(user, run_quota=2)
    assert await shop.started(user, 2) == [201, 429]
    await shop.limit_roles(run_quotas={"user": 3})
    assert await shop.started(user, 1) == [429], "the person's own limit still holds"
    await shop.limit(user, run_quota=None)
    assert await shop.started(user, 2) == [201, 429]
    await shop.limit_roles(run_quotas={"user": None})
    assert (await quota_of(user))["limit_of"] == "server"
    assert await shop.started(user, 1) == [201]


async def test_a_person_with_the_limit_zero_starts_nothing(town: Town) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    await shop.limit(user, run_quota=0, batch_quota=0)
    refused = await shop.start(user)
    assert (refused.status_code, refused.json()["detail"]) == (
        *(429, "You may not start any runs: your limit is 0."),
    )
    assert "retry-after" not in refused.headers
    seen = await quota_of(user)
    assert (seen["limit"], seen["remaining"], seen["reset_at"], seen["free_at"]) == (
        *(0, 0, None, None),
    )
    batch = {"project_id": shop.project_id, "run_count": 1}
    assert (await user.post("/api/v1/batches", json=batch)).status_code == 429


async def test_the_limit_of_batch_items_is_set_in_the_same_way(town: Town) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    await shop.limit_roles(batch_quotas={"user": 9})
    await shop.limit(user, batch_quota=3)
    answers = [
        await user.post("/api/v1/batches", json={"project_id": shop.project_id, "run_count": count})
        for count in (4, 3, 1)
    ]
    assert [one.status_code for one in answers] == [422, 202, 429]
    too_many = answers[0].json()
    assert too_many["detail"] == "A batch may have at most 3 items; this one has 4."
    assert too_many["own_limit"] == "Your limit: 3 batch items an hour (Settings → People)"
    seen = (await user.get("/api/v1/quota/batches")).json()
    assert (seen["limit"], seen["used"], seen["limit_of"]) == (3, 3, "person")


async def test_tokens_of_single_projects_share_the_quota_of_their_person(town: Town) -> None:
    shop, other = Shop(town), town.add_project()
    user = await town.join(shop.admin, "u@x.org", role="user")
    await shop.limit(user, run_quota=1, batch_quota=2)
    answers: list[int] = []
    for project_id in (shop.project_id, other.id):
        wishes = {"name": project_id, "scopes": ["read", "runs"], "projects": [project_id]}
        made = (await user.post("/api/v1/tokens", json=wishes)).json()["token"]
        program = town.caller(Authorization=f"Bearer {made}")
        run = {"project_id": project_id, "task": "one", **MORE}
        answers.append((await program.post("/api/v1/runs", json=run)).status_code)
        batch = {"project_id": project_id, "run_count": 2}
        answers.append((await program.post("/api/v1/batches", json=batch)).status_code)
        assert (await quota_of(program))["used"] == 1
    assert answers == [201, 202, 429, 429]


async def test_an_admin_sees_everybodys_quota_and_nobody_else_does(town: Town) -> None:
    shop = Shop(town)
    anna = await town.join(shop.admin, "anna@x.org", name="Anna", role="user")
    zoe = await town.join(shop.admin, "zoe@x.org", name="Zoe", role="operator")
    await shop.limit(anna, run_quota=4)
    for _ in range(3):
        await shop.start(anna)
        town.plane.clock.advance(60)
    await shop.limit(anna, run_quota=2)
    answer = (await shop.admin.get("/api/v1/quota/people")).json()
    [annas, zoes] = [one for one in answer["items"] if one["name"] in ("Anna", "Zoe")]
    told = [annas[name] for name in ("role", "limit", "limit_of", "used", "remaining")]
    assert told == ["user", 2, "person", 3, 0]
    assert annas["free_at"] > annas["reset_at"], "two have to leave before one fits"
    assert (zoes["limit_of"], zoes["used"], zoes["free_at"]) == ("server", 0, None)
    assert answer["window_seconds"] == 3600
    for person in (anna, zoe):
        assert (await person.get("/api/v1/quota/people")).status_code == 403


async def test_everybodys_quota_costs_as_much_for_many_people_as_for_two(town: Town) -> None:
    shop, desk = Shop(town), town.plane.services.people_quotas
    for number in range(2):
        await town.invite(shop.admin, f"p{number}@x.org", role="user")
    await shop.start(shop.admin)
    town.plane.services.directory.load()
    few = statements_of(lambda: desk.all(DEFAULT_ORGANISATION, town.plane.clock()))
    for number in range(2, 40):
        await town.invite(shop.admin, f"p{number}@x.org", role="user")
    town.plane.services.directory.load()
    many = statements_of(lambda: desk.all(DEFAULT_ORGANISATION, town.plane.clock()))
    assert len(few) == len(many) == 3
    counted = [one for one in desk.all(DEFAULT_ORGANISATION, town.plane.clock()) if one[1].used]
    assert len(counted) == 1


async def test_only_admins_set_limits_not_even_on_themselves(town: Town) -> None:
    shop = Shop(town)
    operator = await town.join(shop.admin, "o@x.org", role="operator")
    user = await town.join(shop.admin, "u@x.org", role="user")
    place = (await operator.get("/api/v1/people/me")).json()["organisation"]
    for path in ("people/me", f"people/{await id_of(operator)}", f"people/{await id_of(user)}"):
        refused = await operator.patch(f"/api/v1/{path}", json={"run_quota": 1000})
        assert refused.status_code == 403, path
    limits = {"run_quotas": {"operator": 1000}}
    refused = await operator.patch(f"/api/v1/organisations/{place}", json=limits)
    assert refused.status_code == 403
    # the local operator is an admin, and may be the only one
    mine = await shop.admin.patch("/api/v1/people/me", json={"run_quota": 7})
    assert (mine.status_code, (await quota_of(shop.admin))["limit"]) == (200, 7)


async def test_another_organisation_has_limits_and_people_of_its_own(town: Town) -> None:
    shop = Shop(town)
    acme = (await shop.admin.post("/api/v1/organisations", json={"name": "acme"})).json()["id"]
    boss = await town.join(shop.admin, "boss@x.org", role="admin", organisation="acme")
    user = await town.join(shop.admin, "u@x.org", role="user")
    done = await boss.patch(f"/api/v1/organisations/{acme}", json={"run_quotas": {"user": 1}})
    assert done.status_code == 200
    assert (await quota_of(user))["limit_of"] == "server"
    listed = (await boss.get("/api/v1/quota/people")).json()["items"]
    assert [one["name"] for one in listed] == ["boss@x.org"]
    refused = await boss.patch(f"/api/v1/people/{await id_of(user)}", json={"run_quota": 1})
    assert refused.status_code == 404


@pytest.mark.parametrize("wrong", [-1, 1.5, "12", True, 1_000_001, 2**70, [1]])
async def test_what_is_no_limit_is_refused_with_a_sentence(town: Town, wrong: object) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    sentence = "A limit is a whole number from 0 (none may be started) to 1,000,000"
    refused = await shop.limit(user, run_quota=wrong)
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid")
    assert sentence in refused.json()["detail"]
    refused = await shop.limit_roles(run_quotas={"user": wrong})
    assert refused.status_code == 422
    assert sentence in refused.json()["detail"]
    assert (await shop.limit_roles(run_quotas={"boss": 3})).status_code == 422


async def test_the_audit_has_the_limit_before_and_after(town: Town) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    await shop.limit(user, run_quota=5)
    await shop.limit(user, run_quota=None)
    newest, before = (await shop.audited(await id_of(user)))[:2]
    assert (before["deed"], before["after"]) == ("change_person", {"run_quota": 5})
    assert (newest["before"]["run_quota"], newest["after"]) == (5, {"run_quota": None})
    place = (await shop.limit_roles(run_quotas={"user": 9, "viewer": 0})).json()["id"]
    await shop.limit_roles(run_quotas={"viewer": None})
    newest = (await shop.audited(place))[0]
    assert newest["before"] == {"run_quotas": {"user": 9, "viewer": 0}}
    assert newest["after"] == {"run_quotas": {"user": 9}}


async def test_after_the_window_a_limited_person_may_start_again(town: Town) -> None:
    shop = Shop(town)
    user = await town.join(shop.admin, "u@x.org", role="user")
    await shop.limit(user, run_quota=1)
    assert await shop.started(user, 2) == [201, 429]
    town.plane.clock.advance(3601)
    assert await shop.started(user, 2) == [201, 429]
