"""Every route that changes something writes one audit row when it succeeds, none when refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers.servers.store_needs import (
    API_CALLS,
    CHANGE,
    COMMENT,
    OF_CHANGE,
    OPEN_CALLS,
    PROJECT,
    VIEWED,
    Call,
    of_run,
)
from tests.drivers.servers.workshop import open_workshop
from tests.fakes.forges.twin import ForgeTwin
from tests.faults.stores.test_stores_away import Scene

SPARE = (("project_id", "spare"),)
PARKED = {"project_id": "{spare}", "branch": "{branch}", "confirm": "{branch}"}
# operations that the table's own calls cannot complete in its scene
MORE_CALLS = (
    Call("PATCH", "/runs/{run_id}", "", body={"start_now": True}, ids=of_run("planned")),
    Call("POST", "/parked/discard", "", body=PARKED),
    Call("POST", f"{PROJECT}/templates", "", body={"name": "added", "text": "Do {{task}}."}),
    Call("PUT", f"{CHANGE}/files/viewed", "", body=VIEWED | {"path": "{file}"}, ids=OF_CHANGE),
    Call("DELETE", PROJECT, "", ids=SPARE),
    Call("POST", "/organisations", "", body={"name": "added"}),
    Call("PATCH", "/organisations/{organisation_id}", "", body={"name": "renamed"}),
    Call("POST", "/people", "", body={"email": "added@runyard.test", "role": "user"}),
    Call("PATCH", "/people/{person_id}", "", body={"role": "operator"}),
    Call("POST", "/people/{person_id}/invitation", ""),
    Call("DELETE", "/people/{person_id}/sessions", ""),
    Call("DELETE", "/tokens/{token_id}", ""),
    # under the name that stands for the id of a forge in the table's calls
    Call("POST", "/forges", "", body={"url": "{forge_url}", "token": "TOKEN_BOT", "name": "none"}),
)
# these need another fault, an interrupted agent, a second open change, or a signature
RARELY_DONE = {
    "/approvals/{approval_id}/approve",  # where something waits for approval
    "/approvals/{approval_id}/reject",
    "/tokens/current",  # with the token of a person
    "/runs/{run_id}/resume",
    "/runs/{run_id}/deliver",
    "/runs/{run_id}/release",
    "/projects/{project_id}/ready-label",  # at a forge
    "/projects/{project_id}/trust",  # where something waits for a look
    "/projects/{project_id}/issues/{number}/approve-text",
    "/bulk/{bulk_id}/abort",
    "/quota/accounts/lift",
    "/projects/{project_id}/changes/{number}/cancel-merge",
    "/projects/{project_id}/changes/{number}/close",
    "/projects/{project_id}/changes/{number}/request-changes",  # merged by then
    "/projects/{project_id}/changes/{number}/resolve",
    "/projects/{project_id}/changes/{number}/fix-ci",
    "/quarantine/{key}/retry",
    "/hooks/{forge_id}",
    # in a browser, where somebody signed in
    "/people/me/password",
    "/people/me/proof",
    "/people/me/codes",
    "/people/{person_id}/sessions/{session_id}",
    # where the pages have a public address
    "/push/subscriptions",
    "/push/subscriptions/{device_id}",
    "/push/subscriptions/{device_id}/test",
}
# the first takes the body of an order, but nothing is done; reading is no act
DOES_NOTHING = {"/runs/preview", "/inbox/read"}
# posted again to the host name of the pages
SENT_ON = {"/login", "/login/invitation"}
DEEDS = {
    "/runs": "start",
    "/runs/{run_id}": "change_run",
    "/batches": "add_batch",
    "/batches/{batch_id}/items": "add_items",
    "/projects": "add_project",
    "/forges": "add_forge",
    "/forges/{forge_id}": "change_forge",
    "/forges/{forge_id}/check": "check_forge",
    "/forges/{forge_id}/hook": "show_hook",
    "/secrets/rotate": "rotate_secrets",
    "/demo-project": "add_project",
    "/notifications/subscriptions": "set_subscription",
    "/notifications/test": "test_notifications",
    "/idempotency-keys/{key}/reset": "reset_key",
    "/login-links": "make_login_link",
    "/people": "add_person",
    "/people/{person_id}": "change_person",
    "/people/{person_id}/invitation": "invite_again",
    "/organisations": "add_organisation",
    "/organisations/{organisation_id}": "change_organisation",
    "/tokens": "add_token",
    "/logout": "sign_out",
    "/projects/{project_id}/templates": "add_template",
    "/projects/{project_id}/templates/{name}": "change_template",
    "/projects/{project_id}/checks/try-again": "try_checks_again",
    "/projects/{project_id}/ready-label": "make_ready_label",
    "/projects/{project_id}/check-again": "check_again",
    "/projects/{project_id}/trust": "trust",
    "/projects/{project_id}/issues/{number}/approve-text": "approve_text",
    "/projects/{project_id}/issues": "add_issue",
    "/projects/{project_id}/issues/{number}": "change_issue",
    "/projects/{project_id}/issues/{number}/comments": "add_comment",
    "/projects/{project_id}/changes/{number}/comments": "add_comment",
    "/projects/{project_id}/changes/{number}/comments/{comment_id}": "change_comment",
    "/afk/start/{project:path}": "start",
    "/afk/reset/{project:path}": "reset",
    "/afk/auto/{project:path}": "auto",
    "/afk/stop/{run}": "stop",
    "/afk/merge/{number}/{project:path}": "merge",
}
REMOVALS = {
    "/people/{person_id}/sessions": "remove_session",
    "/tokens/current": "end_token",
    "/tokens/{token_id}": "remove_token",
    PROJECT: "archive",
    COMMENT: "remove_comment",
    "/forges/{forge_id}": "remove_forge",
    "/push/subscriptions/{device_id}": "remove_device",
}
OF_THE_WHOLE_SERVER = {
    *("set_subscription", "test_notifications", "sign_out", "rotate", "rotate_secrets"),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server with some of everything, where few runs are live at a time."""
    nobody = {"RUNYARD_NOTIFY_URLS": "json://127.0.0.1:9/nobody"}
    folder = tmp_path_factory.mktemp("audited")
    twin = ForgeTwin(tmp_path_factory.mktemp("forge"))
    with twin, open_workshop(folder, RUNYARD_MAX_LIVE_RUNS="2", **nobody) as shop:
        twin.add_token("TOKEN_BOT")
        spare = shop.add_project("spare")
        parked = shop.ended(shop.start(spare, "please commit, then please fail")["id"])
        scene = Scene(shop)
        shop.issue(scene.ids["project_id"], "Another")  # one for the form and one for the API
        planned = shop.start(scene.ids["project_id"], "please wait until later", delay=3600)
        scene.ids |= {"spare": spare, "branch": parked["work_branch"], "planned": planned["id"]}
        change = f"/projects/{scene.ids['project_id']}/changes/{scene.ids['change']}"
        draft = shop.api.post(f"{change}/comments", json={"text": "Why?"}).json()
        [file] = shop.api.get(f"{change}/files").json()["items"]
        scene.ids |= {"forge_url": twin.url} | _people(shop.api)
        scene.ids |= {"comment_id": str(draft["id"]), "file": file["path"]}
        yield scene


def _people(api: httpx.Client) -> dict[str, str]:
    email = {"email": "invited@runyard.test", "role": "user"}
    invited = api.post("/people", json=email).raise_for_status().json()
    token = api.post("/tokens", json={"name": "spare", "scopes": ["read"]}).raise_for_status()
    other = api.post("/organisations", json={"name": "other"}).raise_for_status()
    found = {"person_id": invited, "token_id": token.json(), "organisation_id": other.json()}
    return {name: made["id"] for name, made in found.items()}


def deed_of(call: Call) -> str:
    if call.method == "DELETE":
        return REMOVALS[call.route]
    if call.route == PROJECT:
        return "change_project"
    return DEEDS.get(call.route) or call.route.rsplit("/", 1)[-1]


def rows_of(scene: Scene, correlation_id: str) -> list[dict[str, Any]]:
    newest = scene.shop.api.get("/audit", params={"limit": 100}).raise_for_status().json()
    return [row for row in newest["items"] if row["correlation_id"] == correlation_id]


def test_each_call_that_is_done_leaves_one_row_and_each_that_is_refused_none(scene: Scene) -> None:
    person = scene.shop.api.get("/audit", params={"limit": 1}).json()["items"][0]["person"]
    # forms first, since they stop runs that bulk would; archiving last, since it blocks all else
    known = [call for call in (*OPEN_CALLS, *MORE_CALLS, *API_CALLS) if call.changes]
    calls = sorted(known, key=lambda call: call.method == "DELETE")
    done, sent_on, wrong = set[str](), set[str](), list[str]()
    for number, call in enumerate(calls):
        mark = f"audited-{number}"
        answer = scene.ask(call, **{"X-Correlation-Id": mark})
        rows, said = rows_of(scene, mark), f"{call.method} {call.route} {answer.status_code}"
        if answer.status_code == 307:
            sent_on.add(call.route)
        if answer.status_code >= 400 or call.route in sent_on | DOES_NOTHING:
            wrong += [f"{said}: {rows}"] if rows else []
            continue
        done.add(call.route)
        expected = [(person, "token", "local", "127.0.0.1", deed_of(call))]
        told = [
            (row["person"], row["via"], row["token"], row["address"], row["deed"]) for row in rows
        ]
        if told != expected or not (rows[0]["object"] or deed_of(call) in OF_THE_WHOLE_SERVER):
            wrong.append(f"{said}: {rows}")
    assert not wrong, "\n".join(wrong)
    assert sent_on == SENT_ON
    assert {call.route for call in calls} - done == RARELY_DONE | SENT_ON | DOES_NOTHING


def test_a_sign_in_that_is_posted_at_another_name_is_one_row_where_it_is_posted_again(
    scene: Scene,
) -> None:
    server, mark = scene.shop.server, "posted-sign-in"
    said = {"token": httpx.URL(server.new_link()).params["token"]}
    with server.visitor(Origin="null", **{"X-Correlation-Id": mark}) as browser:
        elsewhere = browser.post("/login", data=said, headers={"Host": f"127.0.0.1:{server.port}"})
        assert (elsewhere.status_code, rows_of(scene, mark)) == (307, [])
        assert elsewhere.headers["location"] == f"http://{server.page_host}/login"
        assert browser.post("/login", data=said).status_code == 303
    [row] = rows_of(scene, mark)
    assert (row["deed"], row["via"], row["address"]) == ("sign_in", "browser", "127.0.0.1")
    assert row["person"]


def test_a_form_that_is_refused_or_sent_again_leaves_no_row(scene: Scene) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    project = scene.shop.add_project("forms")  # the scene's may be archived by now
    address = f"{scene.shop.server.url}/afk/start/{project}"
    number = scene.shop.issue(project, "Once")

    def rows_after(mark: str, **said: Any) -> list[dict[str, Any]]:
        head = form | {"X-Correlation-Id": mark}
        assert scene.shop.api.post(address, data=said, headers=head).status_code == 303
        return rows_of(scene, mark)

    once = {"issue": str(number), "x_idempotency_key": "of-a-form"}
    assert [row["deed"] for row in rows_after("first", **once)] == ["start"]
    assert rows_after("again", **once) == []
    assert rows_after("refused", issue="4711") == []
