"""Organisations: what belongs to another one answers as if it did not exist."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pyotp.totp import TOTP

from app.records.tables import Project
from tests.drivers.people import Town, open_town


@dataclass
class Two:
    """Two organisations: `here` has a project with everything in it, `there` another."""

    town: Town
    local: httpx.AsyncClient
    here: httpx.AsyncClient
    there: httpx.AsyncClient
    project: Project
    ids: dict[str, str]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    """Two organisations, each with an admin in a browser."""
    with open_town(tmp_path / "data") as town:
        local = town.token()
        made = await local.post("/api/v1/organisations", json={"name": "acme"})
        acme = made.json()["id"]
        here = await town.join(local, "h@x.org", role="admin")
        there = await town.join(local, "t@x.org", role="admin", organisation="acme")
        project, other = town.add_project(), town.add_project(acme)
        plane = town.plane
        order = {"project_id": project.id, "depth_level": "quick", "target_framework": "auto"}
        order |= {"issue": plane.add_issue(project), "delay": 600}
        run = (await here.post("/api/v1/runs", json=order)).json()
        batch = await here.post("/api/v1/batches", json={"project_id": project.id, "run_count": 2})
        bulk = await here.post(
            "/api/v1/bulk", json={"action": "stop", "filter": {"project_id": project.id}}
        )
        me = (await here.get("/api/v1/people/me")).json()["id"]
        token = await here.post("/api/v1/tokens", json={"name": "t", "scopes": ["read"]})
        plane.add_issue(other)
        ids = {
            "project_id": project.id,
            "run_id": run["id"],
            "batch_id": batch.json()["id"],
            "bulk_id": bulk.json()["id"],
            "person_id": me,
            "token_id": token.json()["id"],
            "organisation_id": (await local.get("/api/v1/people/me")).json()["organisation"],
        }
        yield Two(town, local, here, there, project, ids)


def _unknown(real: str) -> str:
    """Return an id of the same form that nothing has."""
    return f"{real[:-6]}{'0' * 6 if real[-6:] != '0' * 6 else '1' * 6}"


def _bare(answer: httpx.Response) -> tuple[int, str]:
    text = re.sub(r'"correlation_id":"[^"]*"', "", answer.text)
    return answer.status_code, text


def _calls() -> list[tuple[str, str]]:
    described = json.loads(Path("tests/interface/files/openapi.json").read_text())
    return [
        (method.upper(), path)
        for path, calls in described["paths"].items()
        for method in calls
        if "{" in path and "hooks" not in path and not path.endswith("/events")
    ]


async def test_an_id_of_another_organisation_answers_like_an_unknown_one(two: Two) -> None:
    wrong: list[str] = []
    tried = 0
    for method, path in _calls():
        names = re.findall(r"\{(\w+)\}", path)
        if not any(name in two.ids for name in names):
            continue
        real = {name: two.ids.get(name, "1") for name in names}
        fake = {name: _unknown(two.ids[name]) if name in two.ids else "1" for name in names}
        body = {} if method != "GET" else None
        tried += 1
        found = await two.there.request(method, f"/api/v1{path.format(**real)}", json=body)
        unknown = await two.there.request(method, f"/api/v1{path.format(**fake)}", json=body)
        told = _bare(found)[1]
        for name, value in real.items():
            told = told.replace(value, fake[name]) if name in two.ids else told
        if (found.status_code, told) != _bare(unknown):
            wrong.append(f"{method} {path}: {_bare(found)} is not {_bare(unknown)}")
    assert tried > 50
    assert not wrong, "\n".join(wrong)


async def test_lists_and_counts_hold_nothing_of_another_organisation(two: Two) -> None:
    described = json.loads(Path("tests/interface/files/openapi.json").read_text())
    paths = [one for one, calls in described["paths"].items() if "get" in calls and "{" not in one]
    traces = [*two.ids.values(), two.project.name, "h@x.org"]
    wrong: list[str] = []
    for path in paths:
        if path in ("/events", "/origins", "/origins/forge", "/quota/concurrency", "/push/key"):
            continue
        answer = await two.there.get(f"/api/v1{path}")
        is_machines = path in ("/doctor", "/retention")
        assert answer.status_code == 403 if is_machines else answer.status_code in (200, 422), path
        wrong += [f"{path} tells {one}" for one in traces if one in answer.text]
    assert not wrong, "\n".join(wrong)
    assert (await two.there.get("/api/v1/runs")).json()["items"] == []
    assert len((await two.there.get("/api/v1/projects")).json()["items"]) == 1
    assert len((await two.here.get("/api/v1/projects")).json()["items"]) == 1
    counts = (await two.there.get("/api/v1/system")).json()
    assert counts["ended_7d"] == 0


@pytest.mark.parametrize("path", ["runs", "runs/preview", "batches"])
async def test_a_body_cannot_name_a_project_of_another_organisation(two: Two, path: str) -> None:
    answers: list[tuple[int, str]] = []
    for project_id in (two.project.id, _unknown(two.project.id)):
        body = {
            "project_id": project_id,
            "depth_level": "quick",
            "target_framework": "auto",
            "task": "x",
            "run_count": 1,
        }
        if path == "batches":
            body = {"project_id": project_id, "run_count": 1}
        answer = await two.there.post(f"/api/v1/{path}", json=body)
        answers.append(_bare(answer))
    assert answers[0] == answers[1]
    assert answers[0][0] in (404, 422)


async def test_a_new_project_belongs_to_the_organisation_of_its_person(two: Two) -> None:
    origin = two.town.world.add_origin("/fresh")
    body = {"name": "fresh", "origin": origin, "agent_command": ["/bin/true"]}
    added = await two.there.post("/api/v1/projects", json=body)
    assert added.status_code == 201, added.text
    path = f"/api/v1/projects/{added.json()['id']}"
    assert (await two.there.get(path)).status_code == 200
    assert (await two.here.get(path)).status_code == 404
    assert (await two.local.get(path)).status_code == 404


async def test_only_admins_of_the_first_organisation_make_others(two: Two) -> None:
    refused = await two.there.post("/api/v1/organisations", json={"name": "more"})
    assert refused.status_code == 403
    listed = (await two.there.get("/api/v1/organisations")).json()["items"]
    assert [one["name"] for one in listed] == ["acme"]


async def test_the_machine_belongs_to_the_first_organisation(two: Two) -> None:
    for path in ("token/rotate", "secrets/rotate", "login-links", "notifications/test"):
        refused = await two.there.post(f"/api/v1/{path}")
        assert refused.status_code == 403, path
    body = {"agent": "claude", "family": ""}
    assert (await two.there.post("/api/v1/quota/accounts/lift", json=body)).status_code == 403


async def test_secrets_of_all_organisations_are_encrypted_anew_together(two: Two) -> None:
    secret = (await two.there.post("/api/v1/people/me/codes")).json()["secret"]
    assert (await two.here.post("/api/v1/secrets/rotate")).status_code == 200
    code = TOTP(secret).at(two.town.plane.clock())
    confirmed = await two.there.put("/api/v1/people/me/codes", json={"code": code})
    assert confirmed.status_code == 200, confirmed.text
