"""What `/system` says that a person may do, names beside ids, and the audit's export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.people import Town, open_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with nobody but the local operator."""
    with open_town(tmp_path / "data") as town:
        yield town


async def test_the_server_says_what_a_person_may_do_in_the_organisation(town: Town) -> None:
    project = town.add_project()
    admin = town.token()
    user = await town.join(admin, "u@x.org", role="user", projects={project.id: "operator"})
    told = (await user.get("/api/v1/system")).json()
    assert (told["role"], told["organisation"]) == ("user", "default")
    assert "start" in told["may"]
    assert "merge" not in told["may"]
    assert "merge" in told["may_in"][project.id]
    # what is about the whole server needs the role in the organisation
    assert not {"retry_stuck", "lift", "add_project"} & set(told["may_in"][project.id])
    own = (await admin.get("/api/v1/system")).json()
    assert {"merge", "add_person", "add_organisation"} <= set(own["may"])


async def test_admins_of_other_organisations_are_offered_no_new_ones(town: Town) -> None:
    local = town.token()
    assert (await local.post("/api/v1/organisations", json={"name": "north"})).is_success
    admin = await town.join(local, "n@x.org", role="admin", organisation="north")
    told = (await admin.get("/api/v1/system")).json()
    assert told["organisation"] == "north"
    assert "add_person" in told["may"]
    assert "add_organisation" not in told["may"]


async def test_a_renamed_organisation_shows_its_new_name_at_once(town: Town) -> None:
    local = town.token()
    own = (await local.get("/api/v1/system")).json()["organisation_id"]
    renamed = await local.patch(f"/api/v1/organisations/{own}", json={"name": "Acme"})
    assert renamed.status_code == 200
    assert (await local.get("/api/v1/system")).json()["organisation"] == "Acme"


async def test_the_export_has_one_line_for_each_row_with_the_names_of_people(town: Town) -> None:
    admin = town.token()
    person = await town.join(admin, "o@x.org", role="admin", name="Olga")
    assert (await person.patch("/api/v1/people/me", json={"name": "Olga O."})).is_success
    answer = await person.get("/api/v1/audit/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert any(row["person_name"] == "Olga O." for row in rows)
    listed = (await person.get("/api/v1/audit")).json()["items"]
    everything = (await person.get("/api/v1/audit/export")).text.splitlines()
    assert [json.loads(line)["id"] for line in everything] == [row["id"] for row in listed]


async def test_a_role_in_one_project_opens_the_audit_of_that_project_only(town: Town) -> None:
    project = town.add_project()
    admin = town.token()
    user = await town.join(admin, "u@x.org", role="user", projects={project.id: "operator"})
    other = town.add_project()
    for one in (project, other):
        path = f"/api/v1/projects/{one.id}/afk/auto"
        assert (await admin.put(path, json={"enabled": True})).is_success
    seen = (await user.get("/api/v1/audit")).json()["items"]
    assert {row["object"] for row in seen} == {project.id}
    lines = (await user.get("/api/v1/audit/export")).text.splitlines()
    assert {json.loads(line)["object"] for line in lines} == {project.id}


async def test_viewers_read_no_audit(town: Town) -> None:
    viewer = await town.join(town.token(), "v@x.org", role="viewer")
    for path in ("audit", "audit/export"):
        assert (await viewer.get(f"/api/v1/{path}")).status_code == 403
