"""People: inviting, roles, and that a role holds from the next request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from app.domain.people.run_agents import NOT_A_PERSONS
from tests.drivers.people import FORM, OWN, PASSWORD, Town, open_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with nobody but the local operator."""
    with open_town(tmp_path / "data") as town:
        yield town


async def test_an_invited_person_sets_a_password_and_signs_in_with_it(town: Town) -> None:
    admin = town.token()
    path = await town.invite(admin, "Anna@Example.com", name="Anna", role="viewer")
    shown = (await town.caller(**OWN).get(path)).text
    assert "anna@example.com" in shown
    browser = town.caller(**OWN)
    sent = urlencode({"token": path.partition("token=")[2], "password": PASSWORD})
    answer = await browser.post("/login/invitation", content=sent, headers=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    me = (await browser.get("/api/v1/people/me")).json()
    assert (me["name"], me["email"], me["role"]) == ("Anna", "anna@example.com", "viewer")
    again = await town.caller(**OWN).post("/login/invitation", content=sent, headers=FORM)
    assert again.status_code == 401
    assert (await town.sign_in("anna@example.com")).status_code == 303
    wrong = await town.sign_in("anna@example.com", "not her password")
    assert wrong.status_code == 401
    assert "The e-mail address, the password or the code is wrong." in wrong.text


async def test_a_viewer_reads_and_changes_nothing(town: Town) -> None:
    project = town.add_project()
    admin = town.token()
    viewer = await town.join(admin, "v@x.org", role="viewer")
    assert (await viewer.get(f"/api/v1/projects/{project.id}")).status_code == 200
    # the role is looked at before the body and the object
    for path in (f"projects/{project.id}/afk/start", "runs", "runs/run_unknown/stop"):
        refused = await viewer.post(f"/api/v1/{path}", json={"nonsense": 1})
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")


async def test_a_role_in_one_project_opens_that_project_only(town: Town) -> None:
    mine, other = town.add_project(), town.add_project()
    projects = {mine.id: "operator"}
    admin = town.token()
    user = await town.join(admin, "u@x.org", role="user", projects=projects)
    changed = await user.patch(f"/api/v1/projects/{mine.id}", json={"budget_seconds": 60})
    assert changed.status_code == 200
    refused = await user.patch(f"/api/v1/projects/{other.id}", json={"budget_seconds": 60})
    assert refused.status_code == 403
    lifted = await user.post("/api/v1/quota/accounts/lift", json={"agent": "a", "family": "b"})
    assert lifted.status_code == 403


async def test_a_role_change_holds_from_the_next_request(town: Town) -> None:
    project = town.add_project()
    admin = town.token()
    person = await town.join(admin, "o@x.org", role="operator")
    me = (await person.get("/api/v1/people/me")).json()["id"]
    done = await person.put(f"/api/v1/projects/{project.id}/afk/auto", json={"enabled": True})
    assert done.status_code == 200
    await admin.patch(f"/api/v1/people/{me}", json={"role": "viewer"})
    # a role change also ends the person's sessions
    assert (await person.get("/api/v1/people/me")).status_code == 401
    await admin.patch(f"/api/v1/people/{me}", json={"disabled": True})
    assert (await town.sign_in("o@x.org")).status_code == 401


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_nobody_changes_their_own_role(town: Town, role: str) -> None:
    admin = town.token()
    person = await town.join(admin, "p@x.org", role=role)
    me = (await person.get("/api/v1/people/me")).json()
    for name in ("me", me["id"]):
        refused = await person.patch(f"/api/v1/people/{name}", json={"role": "admin"})
        assert refused.status_code == 403
        assert refused.json()["detail"] == "You cannot change your own role"
    assert (await person.get("/api/v1/people/me")).json()["role"] == role


async def test_the_last_admin_stays_one(town: Town) -> None:
    local = town.token()
    admin = await town.join(local, "a@x.org", role="admin")
    operator = (await local.get("/api/v1/people/me")).json()["id"]
    assert (await admin.patch(f"/api/v1/people/{operator}", json={"role": "user"})).is_success
    me = (await admin.get("/api/v1/people/me")).json()["id"]
    refused = await admin.patch(f"/api/v1/people/{me}", json={"disabled": True})
    assert refused.status_code == 403


async def test_old_sign_ins_are_asked_again_before_people_are_changed(town: Town) -> None:
    local = town.token()
    admin = await town.join(local, "a@x.org", role="admin")
    town.plane.clock.advance(15 * 60)
    refused = await admin.post("/api/v1/people", json={"email": "b@x.org"})
    assert (refused.status_code, refused.json()["sign_in_again"]) == (403, True)
    proof = {"password": PASSWORD}
    assert (await admin.post("/api/v1/people/me/proof", json=proof)).status_code == 204
    assert (await admin.post("/api/v1/people", json={"email": "b@x.org"})).status_code == 201


async def test_one_time_codes_are_asked_for_once_one_was_shown(town: Town) -> None:
    from pyotp.totp import TOTP

    local = town.token()
    person = await town.join(local, "a@x.org", role="user")
    secret = (await person.post("/api/v1/people/me/codes")).json()["secret"]
    assert (await town.sign_in("a@x.org")).status_code == 303
    code = TOTP(secret).at(town.plane.clock())
    made = await person.put("/api/v1/people/me/codes", json={"code": code})
    recovery = made.json()["codes"]
    assert (await town.sign_in("a@x.org")).status_code == 401
    assert (await town.sign_in("a@x.org", code=code)).status_code == 401, "it was used"
    town.plane.clock.advance(60)
    next_code = TOTP(secret).at(town.plane.clock())
    assert (await town.sign_in("a@x.org", code=next_code)).status_code == 303
    assert (await town.sign_in("a@x.org", code=recovery[0])).status_code == 303
    assert (await town.sign_in("a@x.org", code=recovery[0])).status_code == 401


async def test_people_see_and_end_their_sessions(town: Town) -> None:
    local = town.token()
    person = await town.join(local, "a@x.org", role="user")
    assert (await town.sign_in("a@x.org")).status_code == 303
    listed = (await person.get("/api/v1/people/me/sessions")).json()["items"]
    assert [one["current"] for one in listed].count(True) == 1
    assert len(listed) == 2
    other = next(one["id"] for one in listed if not one["current"])
    assert (await person.delete(f"/api/v1/people/me/sessions/{other}")).status_code == 204
    assert (await person.delete(f"/api/v1/people/me/sessions/{other}")).status_code == 404
    assert len((await person.get("/api/v1/people/me/sessions")).json()["items"]) == 1


@pytest.mark.parametrize("password", ["short", "password1234", "qwertyuiop123456"[:12]])
async def test_short_and_common_passwords_are_refused(town: Town, password: str) -> None:
    admin = town.token()
    path = await town.invite(admin, "a@x.org")
    sent = urlencode({"token": path.partition("token=")[2], "password": password})
    refused = await town.caller(**OWN).post("/login/invitation", content=sent, headers=FORM)
    assert refused.status_code == 422
    sent = urlencode({"token": path.partition("token=")[2], "password": PASSWORD})
    taken = await town.caller(**OWN).post("/login/invitation", content=sent, headers=FORM)
    assert taken.status_code == 303


async def test_a_role_in_one_project_starts_nothing_in_another_by_a_plain_form(town: Town) -> None:
    mine, other = town.add_project(), town.add_project()
    admin = town.token()
    person = await town.join(admin, "u@x.org", role="viewer", projects={mine.id: "user"})
    page = (await person.get("/plain", headers={"Accept": "text/html"})).text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    for project, is_refused in ((other, True), (mine, False)):
        town.plane.add_issue(project)
        sent = urlencode({"csrf": csrf})
        answer = await person.post(f"/afk/start/{project.id}", content=sent, headers=FORM)
        assert (answer.status_code == 403) == is_refused, answer.text
        listed = await admin.get("/api/v1/runs", params={"project_id": project.id})
        assert (listed.json()["items"] == []) == is_refused


@pytest.mark.parametrize(("form", "fields"), [("reset", {}), ("auto", {"enabled": "true"})])
async def test_an_operator_of_one_project_uses_the_plain_forms_of_that_project_only(
    town: Town, form: str, fields: dict[str, str]
) -> None:
    mine, other = town.add_project(), town.add_project()
    person = await town.join(town.token(), "o@x.org", role="viewer", projects={mine.id: "operator"})
    page = (await person.get("/plain", headers={"Accept": "text/html"})).text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    sent = urlencode({"csrf": csrf, **fields})
    for project, status in ((other, 403), (mine, 303)):
        answer = await person.post(f"/afk/{form}/{project.id}", content=sent, headers=FORM)
        assert answer.status_code == status, answer.text
    refused = await person.post(f"/afk/merge/1/{other.id}", content=sent, headers=FORM)
    assert refused.status_code == 403


async def test_the_account_of_the_machine_gets_no_password(town: Town) -> None:
    local = town.token()
    me = (await local.get("/api/v1/people/me")).json()["id"]
    admin = await town.join(local, "a@x.org", role="admin")
    refused = await admin.post(f"/api/v1/people/{me}/invitation")
    assert refused.status_code == 422
    assert "belongs to the machine" in refused.json()["detail"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_nobody_makes_an_invitation_for_themselves(town: Town, role: str) -> None:
    person = await town.join(town.token(), "p@x.org", role=role)
    me = (await person.get("/api/v1/people/me")).json()["id"]
    for name in ("me", me):
        refused = await person.post(f"/api/v1/people/{name}/invitation")
        assert refused.status_code == 403


async def test_codes_are_not_taken_away_by_an_old_sign_in(town: Town) -> None:
    person = await town.join(town.token(), "p@x.org", role="user")
    assert (await person.post("/api/v1/people/me/codes")).status_code == 200
    town.plane.clock.advance(16 * 60)
    assert (await person.delete("/api/v1/people/me/codes")).status_code == 403
    assert (await person.post("/api/v1/people/me/codes")).status_code == 403


async def test_guessing_a_password_to_sign_in_again_is_slowed_down_and_told_when(
    town: Town,
) -> None:
    ada = await town.join(town.token(), "ada@runyard.test", role="user")
    for _ in range(5):
        wrong = await ada.post("/api/v1/people/me/proof", json={"password": "wrong"})
        assert wrong.status_code == 401, wrong.text
    told = await ada.post("/api/v1/people/me/proof", json={"password": PASSWORD})
    assert (told.status_code, told.json()["error"]) == (429, "rate_limited")
    assert told.headers["retry-after"] == "1"
    assert "x-ratelimit-limit" not in told.headers


async def test_people_choose_their_look_and_time_zone_for_all_their_browsers(town: Town) -> None:
    anna = await town.join(town.token(), "anna@x.org", role="viewer")
    chosen = {"look": "dark", "time_zone": "Asia/Kathmandu"}
    answer = await anna.patch("/api/v1/people/me", json=chosen)
    assert answer.status_code == 200, answer.text
    again = await town.sign_in("anna@x.org")
    other = town.caller(**OWN, Cookie=again.headers["set-cookie"].partition(";")[0])
    assert (await other.get("/api/v1/system")).json()["preferences"] == chosen
    assert 'data-theme="dark"' in (await other.get("/plain")).text
    back = await anna.patch("/api/v1/people/me", json={"time_zone": ""})
    assert (back.json()["look"], back.json()["time_zone"]) == ("dark", None)
    for wrong in ({"look": "pink"}, {"time_zone": "Factory"}, {"time_zone": "Mars/Base"}):
        assert (await anna.patch("/api/v1/people/me", json=wrong)).status_code == 422
    person = (await anna.get("/api/v1/people/me")).json()["id"]
    refused = await town.token().patch(f"/api/v1/people/{person}", json={"look": "light"})
    assert refused.status_code == 403
    # the machine's account is of no person: each of its browsers decides for itself
    assert (await town.token().get("/api/v1/system")).json()["preferences"] is None
    assert (await town.token().patch("/api/v1/people/me", json=chosen)).status_code == 422


@pytest.mark.parametrize("name", ["Runyard", "not signed in", "claude · run …b7f3k1"])
async def test_nobody_takes_the_name_of_who_is_no_person(town: Town, name: str) -> None:
    viewer = await town.join(town.token(), "v@x.org", role="viewer")
    answer = await viewer.patch("/api/v1/people/me", json={"name": name})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["message"] == NOT_A_PERSONS
