"""The agents that may run in a project, and those that a person may start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drivers.people import Town, open_town

MORE = {"depth_level": "quick", "target_framework": "auto", "delay": 7200}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with nobody but the local operator."""
    with open_town(tmp_path / "data") as town:
        yield town


async def start(person: httpx.AsyncClient, project_id: str, **wishes: str) -> httpx.Response:
    """Start a run for later."""
    body = {"project_id": project_id, "task": str(wishes), **MORE, **wishes}
    return await person.post("/api/v1/runs", json=body)


async def test_a_project_runs_only_the_agents_that_it_allows(town: Town) -> None:
    admin, project_id = town.token(), town.add_project().id
    path = f"/api/v1/projects/{project_id}"
    changed = await admin.patch(path, json={"allowed_agents": ["script"]})
    assert (changed.status_code, changed.json()["allowed_agents"]) == (200, ["script"])
    refused = await start(admin, project_id, agent="claude")
    assert (refused.status_code, refused.json()["error"]) == (403, "agent_not_allowed")
    assert refused.json()["detail"] == "claude may not run in this project. Allowed: script."
    run = await start(admin, project_id)
    assert run.status_code == 201
    await admin.post(f"/api/v1/runs/{run.json()['id']}/stop")
    town.plane.rest()
    again = await admin.post(f"/api/v1/runs/{run.json()['id']}/retry", json={"agent": "claude"})
    assert again.json()["error"] == "agent_not_allowed"
    assert (await admin.patch(path, json={"allowed_agents": []})).json()["allowed_agents"] == []
    other = await start(admin, project_id, agent="claude")
    assert other.json().get("error") != "agent_not_allowed"


async def test_the_projects_own_agent_is_always_among_the_allowed_ones(town: Town) -> None:
    admin, project_id = town.token(), town.add_project().id
    path = f"/api/v1/projects/{project_id}"
    for body, field in (
        ({"allowed_agents": ["claude"]}, "allowed_agents"),
        ({"allowed_agents": ["script", "nobody"]}, "allowed_agents"),
        ({"allowed_agents": ["script"], "agent": "claude"}, "allowed_agents"),
    ):
        refused = await admin.patch(path, json=body)
        assert refused.status_code == 422, body
        assert [one["field"] for one in refused.json()["errors"]] == [field]
    await admin.patch(path, json={"allowed_agents": ["script"]})
    refused = await admin.patch(path, json={"agent": "claude"})
    assert [one["field"] for one in refused.json()["errors"]] == ["agent"]


async def test_a_new_project_has_to_allow_the_agent_that_it_gets(town: Town) -> None:
    admin, origin = town.token(), town.world.add_origin("/shop")
    body = {
        "name": "shop",
        "origin": origin,
        "agent_command": ["/bin/true"],
        "allowed_agents": ["claude"],
    }
    refused = await admin.post("/api/v1/projects", json=body)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["field"] == "allowed_agents"
    assert error["message"] == "The project's own agent script must be among them."
    allowed = {**body, "allowed_agents": ["script", "claude"]}
    assert (await admin.post("/api/v1/projects", json=allowed)).is_success


async def test_only_admins_say_which_agents_a_project_allows(town: Town) -> None:
    project_id = town.add_project().id
    operator = await town.join(town.token(), "o@x.org", role="operator")
    path = f"/api/v1/projects/{project_id}"
    refused = await operator.patch(path, json={"allowed_agents": ["script"]})
    assert refused.status_code == 403


async def test_a_person_starts_only_the_agents_that_they_may(town: Town) -> None:
    admin, project_id = town.token(), town.add_project().id
    user = await town.join(admin, "u@x.org", role="user")
    other = await town.join(admin, "w@x.org", role="user")
    me = (await user.get("/api/v1/people/me")).json()["id"]
    changed = await admin.patch(f"/api/v1/people/{me}", json={"agents": ["claude"]})
    assert (changed.status_code, changed.json()["agents"]) == (200, ["claude"])
    refused = await start(user, project_id)
    assert (refused.status_code, refused.json()["error"]) == (403, "agent_not_allowed")
    assert refused.json()["detail"] == "You may not start script. You may start: claude."
    assert (await user.get("/api/v1/system")).json()["agents"] == ["claude"]
    # an agent that somebody else started is not theirs to repeat either
    run = (await start(other, project_id)).json()
    await other.post(f"/api/v1/runs/{run['id']}/stop")
    town.plane.rest()
    again = await user.post(f"/api/v1/runs/{run['id']}/retry")
    assert again.json()["error"] == "agent_not_allowed"
    await admin.patch(f"/api/v1/people/{me}", json={"agents": None})
    assert (await start(user, project_id)).status_code == 201


async def test_unknown_agents_of_a_person_are_refused_by_name(town: Town) -> None:
    admin = town.token()
    user = await town.join(admin, "u@x.org", role="user")
    me = (await user.get("/api/v1/people/me")).json()["id"]
    refused = await admin.patch(f"/api/v1/people/{me}", json={"agents": ["nobody"]})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "No agent is called 'nobody'."
    assert (await user.patch("/api/v1/people/me", json={"agents": []})).status_code == 403


async def test_the_loop_is_limited_by_the_project_alone(town: Town) -> None:
    admin, project = town.token(), town.add_project()
    mine = (await admin.get("/api/v1/people/me")).json()["id"]
    await admin.patch(f"/api/v1/people/{mine}", json={"agents": ["claude"]})
    await admin.patch(f"/api/v1/projects/{project.id}", json={"allowed_agents": ["script"]})
    town.plane.add_issue(project)
    await admin.put(f"/api/v1/projects/{project.id}/afk/auto", json={"enabled": True})
    town.plane.tick()
    runs = (await admin.get("/api/v1/runs")).json()["items"]
    assert [(one["trigger"], one["agent"]) for one in runs] == [("auto", "script")]
