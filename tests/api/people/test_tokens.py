"""Tokens for programs: what they open, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.formatting import iso
from tests.drivers.people import Town, open_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with nobody but the local operator."""
    with open_town(tmp_path / "data") as town:
        yield town


async def made(town: Town, by: httpx.AsyncClient, **body: Any) -> tuple[httpx.AsyncClient, str]:
    """Make a token; return a client that sends it, and the token's id."""
    answer = await by.post("/api/v1/tokens", json={"name": "ci", "scopes": ["read"]} | body)
    assert answer.status_code == 201, answer.text
    token = answer.json()
    assert token["token"].startswith("ry_")
    return town.caller(Authorization=f"Bearer {token['token']}"), token["id"]


async def test_a_token_is_shown_once_and_says_when_it_was_used(town: Town) -> None:
    person = await town.join(town.token(), "a@x.org", role="operator", name="Anna")
    program, token_id = await made(town, person)
    listed = (await person.get("/api/v1/tokens")).json()["items"]
    assert [(one["id"], one["person"], one["last_used_at"]) for one in listed] == [
        (token_id, "Anna", None)
    ]
    assert "token" not in listed[0]
    assert (await program.get("/api/v1/projects")).status_code == 200
    [listed] = (await person.get("/api/v1/tokens")).json()["items"]
    assert listed["last_used_at"] == iso(town.plane.clock())


async def test_a_token_ends_when_it_is_revoked_or_expired(town: Town) -> None:
    person = await town.join(town.token(), "a@x.org", role="user")
    soon = iso(town.plane.clock() + timedelta(days=1))
    first, first_id = await made(town, person)
    second, _ = await made(town, person, name="other", expires_at=soon)
    assert (await first.get("/api/v1/projects")).status_code == 200
    assert (await person.delete(f"/api/v1/tokens/{first_id}")).status_code == 204
    assert (await first.get("/api/v1/projects")).status_code == 401
    assert (await second.get("/api/v1/projects")).status_code == 200
    town.plane.clock.advance(86400)
    assert (await second.get("/api/v1/projects")).status_code == 401


async def test_a_token_can_be_ended_by_itself_whatever_it_opens(town: Town) -> None:
    person, project = await town.join(town.token(), "a@x.org", role="viewer"), town.add_project()
    reads, _ = await made(town, person)
    narrow, _ = await made(town, person, name="narrow", projects=[project.id])
    for program in (reads, narrow):
        assert (await program.delete("/api/v1/tokens/current")).status_code == 204
        assert (await program.get("/api/v1/projects")).status_code == 401
    assert (await person.get("/api/v1/tokens")).json()["items"] == []
    # a browser, and the token of the data folder, have none to end
    for other in (person, town.token()):
        assert (await other.delete("/api/v1/tokens/current")).status_code == 404


async def test_a_token_opens_its_scopes_only(town: Town) -> None:
    project = town.add_project()
    person = await town.join(town.token(), "a@x.org", role="operator")
    reads, _ = await made(town, person)
    runs, _ = await made(town, person, name="runs", scopes=["read", "runs"])
    path = f"/api/v1/projects/{project.id}/afk/auto"
    assert (await reads.put(path, json={"enabled": True})).status_code == 403
    assert (await runs.put(path, json={"enabled": True})).status_code == 200
    budget = {"budget_seconds": 60}
    assert (await runs.patch(f"/api/v1/projects/{project.id}", json=budget)).status_code == 403


async def test_a_token_of_one_project_sees_no_other(town: Town) -> None:
    mine, other = town.add_project(), town.add_project()
    person = await town.join(town.token(), "a@x.org", role="operator")
    program, _ = await made(town, person, scopes=["read", "runs"], projects=[mine.id])
    [seen] = (await program.get("/api/v1/projects")).json()["items"]
    assert seen["id"] == mine.id
    assert (await program.get(f"/api/v1/projects/{other.id}")).status_code == 404
    on = {"enabled": True}
    assert (await program.put(f"/api/v1/projects/{mine.id}/afk/auto", json=on)).is_success
    refused = await program.put(f"/api/v1/projects/{other.id}/afk/auto", json=on)
    assert refused.status_code == 403
    order = {"project_id": other.id, "depth_level": "quick", "target_framework": "auto"}
    assert (await program.post("/api/v1/runs", json=order | {"task": "x"})).status_code == 403


@pytest.mark.parametrize(
    ("role", "body", "field"),
    [
        ("viewer", {"scopes": ["runs"]}, "scopes"),
        ("operator", {"scopes": ["admin"]}, "scopes"),
        ("operator", {"projects": ["proj_none"]}, "projects"),
        ("operator", {"expires_at": "2099-01-01T00:00:00Z"}, "expires_at"),
        ("operator", {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_a_token_beyond_its_person_is_refused(
    town: Town, role: str, body: dict[str, Any], field: str
) -> None:
    person = await town.join(town.token(), "a@x.org", role=role)
    refused = await person.post("/api/v1/tokens", json={"name": "ci", "scopes": ["read"]} | body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


async def test_a_token_makes_no_other_token(town: Town) -> None:
    person = await town.join(town.token(), "a@x.org", role="admin")
    program, _ = await made(town, person, scopes=["read", "runs", "review", "admin"])
    refused = await program.post("/api/v1/tokens", json={"name": "more", "scopes": ["read"]})
    assert refused.status_code == 403


async def test_the_audit_names_the_token_and_the_role(town: Town) -> None:
    project = town.add_project()
    local = town.token()
    person = await town.join(local, "a@x.org", role="operator")
    program, _ = await made(town, person, name="nightly", scopes=["runs"])
    await program.put(f"/api/v1/projects/{project.id}/afk/auto", json={"enabled": True})
    row = (await local.get("/api/v1/audit", params={"deed": "auto"})).json()["items"][0]
    assert (row["token"], row["role"], row["via"]) == ("nightly", "operator", "token")


async def test_many_wrong_passwords_are_slowed_down_alike(town: Town) -> None:
    await town.join(town.token(), "a@x.org", role="user")
    for email in ("a@x.org", "nobody@x.org"):
        answers = [await town.sign_in(email, "a wrong password") for _ in range(6)]
        assert [one.status_code for one in answers] == [401] * 5 + [429]
        assert answers[-1].headers["retry-after"] == "1"
        town.plane.clock.advance(3600)
    assert (await town.sign_in("a@x.org")).status_code == 303


async def test_tries_at_the_same_time_do_not_share_a_turn(town: Town) -> None:
    await town.join(town.token(), "a@x.org", role="user")
    tries = (town.sign_in("a@x.org", "a wrong password") for _ in range(12))
    answers = await asyncio.gather(*tries)
    assert sorted(one.status_code for one in answers) == [401] * 5 + [429] * 7


async def test_a_token_makes_no_sign_in_link_and_registers_no_device(town: Town) -> None:
    person = await town.join(town.token(), "a@x.org", role="admin")
    strong, _ = await made(town, person, scopes=["read", "runs", "review", "admin"])
    assert (await strong.post("/api/v1/login-links")).status_code == 403
    reads, _ = await made(town, person, name="reads")
    assert (await reads.post("/api/v1/push/subscriptions", json={})).status_code == 403
    assert (await reads.post("/api/v1/logout", json={"everywhere": True})).status_code == 403


async def test_a_token_of_a_project_reads_the_audit_of_that_project_only(town: Town) -> None:
    mine, other = town.add_project(), town.add_project()
    person = await town.join(town.token(), "a@x.org", role="admin")
    for project in (mine, other):
        path = f"/api/v1/projects/{project.id}/afk/auto"
        assert (await person.put(path, json={"enabled": True})).is_success
    program, _ = await made(town, person, projects=[mine.id])
    rows = (await program.get("/api/v1/audit")).json()["items"]
    assert {row["object"] for row in rows} == {mine.id}
