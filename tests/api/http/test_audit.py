"""The audit log: one row per call that changes something, in a hash chain that shows tampering."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.web.people import Person

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("audit")) as shop:
        shop.add_project("always there")  # a page without projects has no forms
        yield shop


def rows(shop: Workshop, **asked: Any) -> list[dict[str, Any]]:
    """Return audit rows, newest first."""
    answer = shop.api.get("/audit", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def newest(shop: Workshop) -> int:
    return rows(shop, limit=1)[0]["id"] if rows(shop, limit=1) else 0


def since(shop: Workshop, last: int) -> list[dict[str, Any]]:
    return [row for row in rows(shop, limit=500) if row["id"] > last]


def test_a_start_by_a_script_tells_who_by_which_way_and_what_it_made(
    shop: Workshop, project: str
) -> None:
    last = newest(shop)
    body = {"project_id": project, "task": "please wait"}
    started = shop.api.post("/runs", json=body, headers={"X-Correlation-Id": "my-start"})
    assert started.status_code == 201, started.text
    [row] = since(shop, last)
    assert row | {"at": "", "hash": "", "previous": "", "id": 0} == {
        "id": 0,
        "at": "",
        "who": "operator",
        "run_id": None,
        "person": started.json()["created_by"],
        "person_name": "operator",
        "role": "admin",
        "via": "token",
        "token": "local",
        "address": "127.0.0.1",
        "deed": "start",
        "object": started.json()["id"],
        "before": None,
        "after": None,
        "correlation_id": "my-start",
        "hash": "",
        "previous": "",
    }
    assert datetime.now(UTC) - datetime.fromisoformat(row["at"]) < timedelta(minutes=5)


def test_a_form_of_a_page_is_told_as_the_browsers(
    shop: Workshop, project: str, ann: Person
) -> None:
    last = newest(shop)
    assert ann.send(f"reset/{project}").status_code == 303
    [row] = since(shop, last)
    assert (row["via"], row["token"], row["deed"], row["object"]) == (
        "browser",
        None,
        "reset",
        project,
    )


def test_settings_are_told_as_they_were_and_as_they_are(shop: Workshop, project: str) -> None:
    last = newest(shop)
    change = {"setup_command": ["true"], "budget_seconds": 60}
    assert shop.api.patch(f"/projects/{project}", json=change).status_code == 200
    [row] = since(shop, last)
    assert (row["deed"], row["object"]) == ("change_project", project)
    assert row["after"] == change
    assert row["before"]["setup_command"] is None
    assert row["before"]["budget_seconds"] != 60


def test_a_refused_call_leaves_no_row_and_a_replay_none(shop: Workshop, project: str) -> None:
    body = {"project_id": project, "task": "please wait", "x_idempotency_key": "once"}
    assert shop.api.post("/runs", json=body).status_code == 201
    last = newest(shop)
    assert shop.api.post("/runs", json=body).status_code == 200
    assert shop.api.post("/runs", json=body | {"task": "another"}).status_code == 422
    assert shop.api.post("/runs", json={"project_id": project, "branch": "no"}).status_code == 422
    assert shop.api.post("/runs/run_unknown/stop").status_code == 404
    assert shop.api.patch("/projects/proj_unknown", json={"name": "x"}).status_code == 404
    unknown = {"Authorization": "Bearer nobody"}
    assert shop.api.post("/runs", headers=unknown).status_code == 401
    assert since(shop, last) == []


def test_a_failed_sign_in_is_told_and_one_that_works(shop: Workshop) -> None:
    last = newest(shop)
    with shop.server.visitor() as browser:
        assert browser.get("/login", params={"token": "x" * 43}).status_code == 401
        [failed] = since(shop, last)
        assert (failed["deed"], failed["person"], failed["address"]) == (
            "sign_in_failed",
            None,
            "127.0.0.1",
        )
        assert browser.get(shop.server.new_link()).status_code == 303
    signed_in, made, _ = since(shop, last)
    assert (made["deed"], signed_in["deed"]) == ("make_login_link", "sign_in")
    assert signed_in["person"] == made["person"]


def test_the_list_finds_by_deed_object_person_and_moment_and_pages(
    shop: Workshop, project: str
) -> None:
    issue = {"title": "Mend it"}
    for _ in range(3):
        assert shop.api.post(f"/projects/{project}/issues", json=issue).status_code == 201
    found = rows(shop, object=project)
    assert [row["object"] for row in found][:3] == [f"{project}/issues/{n}" for n in (3, 2, 1)]
    assert {row["deed"] for row in rows(shop, deed="add_issue")} == {"add_issue"}
    assert rows(shop, object=project, deed="merge") == []
    assert rows(shop, person="nobody") == []
    assert rows(shop, person="operator", object=project)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert rows(shop, since=later) == []
    first = shop.api.get("/audit", params={"object": project, "limit": 2}).json()
    second = shop.api.get(
        "/audit", params={"object": project, "limit": 2, "cursor": first["next_cursor"]}
    ).json()
    paged = [row["id"] for row in first["items"] + second["items"]]
    assert paged == [row["id"] for row in found][:4]
    refused = shop.api.get("/audit", params={"cursor": "nonsense"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")


def test_each_row_holds_the_hash_of_the_one_before(shop: Workshop, project: str) -> None:
    found = rows(shop, limit=500)[::-1]
    assert [row["previous"] for row in found[1:]] == [row["hash"] for row in found[:-1]]
    assert found[0]["previous"] == "0" * 64


def test_every_route_that_may_change_something_leaves_no_row_where_it_is_refused(
    shop: Workshop,
) -> None:
    last = newest(shop)
    document = shop.api.get("/openapi.json").json()
    changing = [
        (method, path)
        for path, told in document["paths"].items()
        for method in told
        if method in ("post", "put", "patch", "delete") and "{" in path
    ]
    assert len(changing) > 15
    for method, path in changing:
        unknown = re.sub(r"\{[^}]*\}", "unknown", path)
        answer = shop.api.request(method, unknown, json={"no": "field"})
        assert answer.status_code >= 400, (method, path)
    assert since(shop, last) == []
