"""Held accounts on the quota page: Resume now is for who may resume in the project of the run."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui.testing.user import User

from app.domain.people.roles import Role
from app.records.tables import AccountHold
from tests.builders.run_scenes import DIES, add_project, start, until_status
from tests.pages.conftest import House
from tests.pages.people.test_controls import join, look


@pytest.mark.parametrize(
    ("role", "in_project", "may_resume"),
    [
        (Role.VIEWER, None, False),
        (Role.VIEWER, "other", False),
        (Role.VIEWER, "limited", True),
        (Role.USER, None, True),
    ],
)
async def test_a_run_is_resumed_from_the_quota_page_by_who_may_in_its_project(
    house: House,
    user: User,
    tmp_path: Path,
    role: Role,
    in_project: str | None,
    may_resume: bool,
) -> None:
    limited, other = [
        await add_project(house, user, tmp_path, DIES, name=name) for name in ("limited", "other")
    ]
    run = await start(house, user, limited, "k1", task="Meet the limit")
    await until_status(house, run.id, "died")
    account = house.plane.adapters.agents.account("claude")
    with house.plane.stores.control.transaction() as tx:
        hold = {"agent": "claude", "account": account, "family": "", "evidence": "429"}
        tx.add(AccountHold(**hold, since=house.plane.clock(), run_id=run.id))
    ids = {"limited": limited.id, "other": other.id}
    own = {ids[in_project]: Role.USER} if in_project else None
    person = await join(house, user, role, own)

    seen = (await person.http_client.get("/api/v1/quota/accounts")).json()["items"]
    assert [(one["run_id"], one["project_id"]) for one in seen] == [(run.id, limited.id)]
    assert ("resume-run" in await look(person, "/quota")) == may_resume
    # the server decides alike: it asks for the role before it looks at the run
    headers = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    path = f"/api/v1/runs/{run.id}/resume"
    answer = await person.http_client.post(path, headers=headers, json={})
    assert (answer.status_code != 403) == may_resume, answer.text
