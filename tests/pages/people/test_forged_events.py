"""Forged events of a page's socket do nothing that the role of their sender may not do.

What a socket may name at all, an element and a listener of its own session's page, is shown by
tests/attacks/web/test_sockets.py; that a role's pages have no control of another role, by
tests/pages/people/test_controls.py. Here are the rest: words that a control of everybody takes, and
controls of a page that was opened with a higher role.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nicegui import Client, background_tasks, ui
from nicegui.testing.user import User

from app.api.schemas import NewIssue
from app.domain.people.roles import Role
from app.domain.words import READY_LABEL, Status
from app.records.tables import Run
from app.services.rows import AuditFilter
from app.state.projects.card_words import Act
from tests.builders.run_scenes import WAITS, add_project, start, until_status
from tests.drivers.page_controls import is_rendered, name_of, settled
from tests.pages.conftest import House, until
from tests.pages.people.test_controls import DEEDS, join, rows

MAY = {row["deed"]: row for row in rows(DEEDS)}


def named(client: Client, control: str) -> ui.element:
    """Return the element of a control, the shown one if there are several."""
    found = [one for one in list(client.elements.values()) if name_of(one) == control]
    return next((one for one in found if is_rendered(one)), found[0])


async def send(house: House, client: Client, control: str, kind: str, *args: Any) -> None:
    """Send an event as a page's socket does, and wait until nothing that it began goes on."""
    element, before = named(client, control), set(background_tasks.running_tasks)
    for listener in list(element._event_listeners.values()):
        if listener.type == kind:
            message = {"id": element.id, "listener_id": listener.id}
            client.handle_event({**message, "args": [json.dumps(one) for one in args]})
    begun = background_tasks.running_tasks - before
    await until(lambda: all(one.done() for one in begun))
    assert await asyncio.to_thread(house.plane.workers.finish, 20)


async def id_of(person: User) -> str:
    me = await person.http_client.get("/api/v1/people/me")
    return str(me.json()["id"])


def done_by(house: House, person_id: str) -> set[str]:
    """Return the deeds in the audit of a person."""
    wanted = AuditFilter(person=person_id)
    found, _ = house.plane.services.audit.page(wanted, limit=500, cursor=None)
    return {row.deed for row in found}


def runs_of(house: House, project_id: str) -> list[Run]:
    return list(house.plane.ledgers.runs.newest_of(project_id, limit=10))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.OPERATOR])
async def test_words_that_a_control_does_not_offer_do_only_what_the_role_may_do(
    house: House, user: User, tmp_path: Path, role: Role
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, name="shop")
    issue = NewIssue(title="Wait", labels=[READY_LABEL])
    await house.api_of(user).add_issue(project.id, issue)
    person = await join(house, user, role)
    me = await id_of(person)
    for path, control in (
        ("/projects", "project-card"),
        (f"/projects/{project.id}", "project-controls"),
    ):
        await person.open(path)
        client = await settled(person)
        for act in (*Act, "archive", "delete", "", 7, None, {"act": "start"}):
            await send(house, client, control, "press", act)
        client.delete()
    await person.open("/issues")
    client = await settled(person)
    key = f"{project.id}:1"
    for table in ("issues-table", "issues-board"):
        for said in (key, {"id": key}, ["run", key], None):
            await send(house, client, table, "click", said)
    client.delete()
    deeds = done_by(house, me) - {"sign_in"}
    assert {deed for deed in deeds if MAY[deed][role] != "yes"} == set()
    if role is Role.VIEWER:
        assert runs_of(house, project.id) == []
    else:
        # the same words of somebody who may
        assert "start" in deeds
    assert ("auto" in deeds) == (role is Role.OPERATOR)
    assert house.plane.ledgers.projects.find(project.id).archived_at is None


async def stop(house: House, client: Client) -> None:
    # it asks once more before it acts
    await send(house, client, "stop-run", "click", {})
    await send(house, client, "stop-run", "click", {})


async def switch(house: House, client: Client) -> None:
    await send(house, client, "project-controls", "press", Act.AUTO)


async def rename(house: House, client: Client) -> None:
    await send(house, client, "organisation-name", "update:value", "Taken over")
    await send(house, client, "organisation-rename", "click", {})


Press = Callable[[House, Client], Awaitable[None]]


@pytest.mark.parametrize(
    ("role", "path", "press"),
    [
        (Role.VIEWER, "/runs/{run}", stop),
        (Role.USER, "/projects/{project}", switch),
        (Role.OPERATOR, "/settings?tab=organisation", rename),
    ],
)
async def test_a_page_opened_with_a_higher_role_does_nothing_once_the_role_is_taken(
    house: House,
    user: User,
    tmp_path: Path,
    role: Role,
    path: str,
    press: Press,
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, name="shop")
    run = await start(house, user, project, "k1", task="Wait")
    await until_status(house, run.id, Status.RUNNING)
    person = await join(house, user, Role.ADMIN)
    me = await id_of(person)
    await person.open(path.format(run=run.id, project=project.id))
    client = await settled(person)
    own = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    lowered = await user.http_client.patch(f"/api/v1/people/{me}", json={"role": role}, headers=own)
    assert lowered.status_code == 200, lowered.text
    await press(house, client)
    client.delete()
    assert not done_by(house, me) & {"stop", "auto", "change_organisation"}
    assert house.plane.ledgers.runs.find(run.id).status == Status.RUNNING
    assert not house.plane.ledgers.projects.find(project.id).auto_enabled
    places = (await user.http_client.get("/api/v1/organisations")).json()["items"]
    assert "Taken over" not in [one["name"] for one in places]


async def test_the_same_events_of_a_page_whose_role_still_holds_do_what_they_say(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, name="shop")
    run = await start(house, user, project, "k1", task="Wait")
    await until_status(house, run.id, Status.RUNNING)
    person = await join(house, user, Role.ADMIN)
    me = await id_of(person)
    for path, press in (
        (f"/runs/{run.id}", stop),
        (f"/projects/{project.id}", switch),
        ("/settings?tab=organisation", rename),
    ):
        await person.open(path)
        client = await settled(person)
        await press(house, client)
        client.delete()
    assert done_by(house, me) >= {"stop", "auto", "change_organisation"}
