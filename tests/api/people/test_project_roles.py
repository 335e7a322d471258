"""A higher role in one project: batches and bulk actions of that project, and of no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.records.tables import Project
from tests.drivers.people import open_town

# an order that has been carried out cannot be aborted any more; who may not, is told that first
MAY_ABORT = (200, 409)


@dataclass
class Place:
    """Two projects with a batch and a run that waits each; `person` is a user in `mine`."""

    admin: httpx.AsyncClient
    person: httpx.AsyncClient
    mine: Project
    other: Project
    batches: dict[str, str]
    runs: dict[str, str]

    async def order(self, by: httpx.AsyncClient, **wanted: Any) -> httpx.Response:
        """Order that the runs of a filter are stopped."""
        return await by.post("/api/v1/bulk", json={"action": "stop", "filter": wanted})

    async def has_ended(self, project: Project) -> bool:
        """Return True if the run of a project has ended."""
        run = await self.admin.get(f"/api/v1/runs/{self.runs[project.id]}")
        return run.json()["ended_at"] is not None


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Two projects, and a viewer with the role `user` in one of them."""
    with open_town(tmp_path / "data") as town:
        admin = await town.join(town.token(), "a@x.org", role="admin")
        mine, other = town.add_project(), town.add_project()
        person = await town.join(town.token(), "p@x.org", role="viewer", projects={mine.id: "user"})
        batches: dict[str, str] = {}
        runs: dict[str, str] = {}
        for project in (mine, other):
            order = {"project_id": project.id, "task": "Wait", "delay": 600}
            run = await admin.post("/api/v1/runs", json=order)
            runs[project.id] = run.json()["id"]
            asked = {"project_id": project.id, "run_count": 2}
            batch = await admin.post("/api/v1/batches", json=asked)
            batches[project.id] = batch.json()["id"]
        yield Place(admin, person, mine, other, batches, runs)


async def test_a_batch_is_filled_and_stopped_by_those_with_the_role_in_its_project(
    place: Place,
) -> None:
    line = b'{"index": 0, "task": "One of two"}'
    headers = {"Content-Type": "application/x-ndjson"}
    for project, may in ((place.mine, True), (place.other, False)):
        path = f"/api/v1/batches/{place.batches[project.id]}"
        filled = await place.person.post(f"{path}/items", content=line, headers=headers)
        assert filled.status_code == (200 if may else 403), filled.text
        stopped = await place.person.post(f"{path}/stop")
        assert stopped.status_code == (200 if may else 403), stopped.text
        batch = (await place.admin.get(path)).json()
        assert (batch["status"] == "aborted", batch["received"]) == (may, int(may))
    nothing = await place.person.post("/api/v1/batches/batch_00000000000000000000000001/stop")
    assert nothing.status_code == 403


async def test_a_bulk_action_needs_the_role_in_the_projects_of_all_chosen_runs(
    place: Place,
) -> None:
    for wanted in (
        {"project_id": place.other.id},
        {"status": ["delayed"]},
        # that nothing there matches makes no difference
        {"project_id": place.other.id, "status": ["running"]},
    ):
        refused = await place.order(place.person, **wanted)
        assert refused.status_code == 403, wanted
    assert (await place.admin.get("/api/v1/bulk")).json()["items"] == []
    assert not await place.has_ended(place.mine)
    ordered = await place.order(place.person, project_id=place.mine.id)
    assert (ordered.status_code, ordered.json()["total"]) == (202, 1)
    of_all = await place.order(place.admin, status=["delayed"])
    assert of_all.status_code == 202, "a role in the organisation holds in every project"


async def test_a_bulk_action_is_aborted_by_those_with_the_role_in_all_its_projects(
    place: Place,
) -> None:
    of_both = (await place.order(place.admin, status=["delayed"])).json()
    assert of_both["total"] == 2
    path = f"/api/v1/bulk/{of_both['id']}/abort"
    assert (await place.person.post(path)).status_code == 403
    of_other = (await place.order(place.admin, project_id=place.other.id)).json()
    assert (await place.person.post(path)).status_code == 403, of_other
    assert (await place.admin.post(path)).status_code in MAY_ABORT
    of_mine = (await place.order(place.admin, project_id=place.mine.id)).json()
    aborted = await place.person.post(f"/api/v1/bulk/{of_mine['id']}/abort")
    assert aborted.status_code in MAY_ABORT


async def test_a_token_of_one_project_aborts_no_bulk_action_with_runs_of_another(
    place: Place,
) -> None:
    asked = {"name": "t", "scopes": ["read", "runs"], "projects": [place.mine.id]}
    made = await place.admin.post("/api/v1/tokens", json=asked)
    assert made.status_code == 201, made.text
    of_both = (await place.order(place.admin, status=["delayed"])).json()
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    path = f"/api/v1/bulk/{of_both['id']}/abort"
    async with httpx.AsyncClient(
        transport=place.admin._transport, base_url=place.admin.base_url, headers=bearer
    ) as holder:
        assert (await holder.post(path)).status_code == 403
        of_mine = await place.order(holder, project_id=place.mine.id)
        assert of_mine.status_code == 202, of_mine.text
        again = await holder.post(f"/api/v1/bulk/{of_mine.json()['id']}/abort")
        assert again.status_code in MAY_ABORT
