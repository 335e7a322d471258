"""Form actions for pages without JavaScript: their effects, and the response to each client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.api.plain.form_content import MAX_FORM
from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem
from tests.drivers.web.people import CARD, Person, notice_of, person

PROGRAM = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("forms")) as shop:
        shop.add_project("always there")  # a page without projects has no forms
        yield shop


@pytest.fixture
def steady_project(shop: Workshop) -> str:
    """The project shared by the tests that leave it as it was."""
    return str(shop.projects["always there"]["id"])


def fail(shop: Workshop, project: str, times: int) -> None:
    for _ in range(times):
        number = shop.issue(project, "Fail", body="please fail")
        answer = shop.api.post(f"/projects/{project}/afk/start", json={"issue": number})
        shop.ended(answer.json()["id"])


# --- effects -----------------------------------------------------------------------------------


def test_a_start_takes_an_issue_and_a_stop_ends_its_run(
    shop: Workshop, ann: Person, project: str
) -> None:
    shop.issue(project, body="please wait")
    assert "(1 ready)" in ann.card(project)
    assert notice_of(ann.send(f"start/{project}")) == "started"
    run = shop.api.get(f"/runs?project_id={project}").json()["items"][0]
    assert (run["issue"], run["trigger"]) == (1, "manual")
    shop.live(run["id"])
    assert f'action="/afk/stop/{run["id"]}"' in ann.card(project)
    assert notice_of(ann.send(f"stop/{run['id']}", because="wrong one")) == "was_stopped"
    assert shop.ended(run["id"])["because"] == "wrong one"
    assert "/afk/stop/" not in ann.card(project)
    assert notice_of(ann.send(f"stop/{run['id']}")) == "already_ended"


def test_what_waits_is_listed_and_a_change_is_merged_without_scripts(
    shop: Workshop, ann: Person, project: str
) -> None:
    number = shop.issue(project, "Round <b>tax</b> per line")
    run = shop.delivered(project, issue=number)
    change = run["delivery"]["number"]
    listed = ann.page()
    assert "Round &lt;b&gt;tax&lt;/b&gt; per line" in listed
    assert f'data-id="change:{project}:{change}"' in listed
    assert f'action="/afk/merge/{change}/{project}"' in listed
    assert notice_of(ann.send(f"merge/{change}/{project}")) == "was_merged"
    assert f'data-id="change:{project}:{change}"' not in ann.page()
    deeds = shop.api.get("/audit").json()["items"]
    assert (deeds[0]["deed"], deeds[0]["via"]) == ("merge", "browser")
    assert notice_of(ann.send(f"merge/{change}/{project}")) == "already_ended"
    assert notice_of(ann.send(f"merge/999/{project}")) == "not_found"


def test_a_certain_issue_can_be_chosen_and_a_blank_field_is_none(
    shop: Workshop, ann: Person, project: str
) -> None:
    for _ in range(3):
        shop.issue(project, body="please wait")
    ann.send(f"start/{project}", issue="3")
    ann.send(f"start/{project}", issue="")
    runs = shop.api.get(f"/runs?project_id={project}").json()["items"]
    assert [run["issue"] for run in runs] == [1, 3]
    for run in runs:
        assert notice_of(ann.send(f"stop/{run['id']}")) == "was_stopped"
        assert shop.ended(run["id"])["because"] == "stopped by operator"


@pytest.mark.parametrize(("on", "off"), [("on", "off"), ("true", "false"), ("1", "0")])
def test_the_loop_is_switched_by_a_word(
    ann: Person, steady_project: str, on: str, off: str
) -> None:
    for word, is_on in ((on, True), (off, False)):
        assert f">Auto: {'Off' if is_on else 'On'}<" in ann.card(steady_project)
        notice = notice_of(ann.send(f"auto/{steady_project}", enabled=word))
        assert notice == ("auto_on" if is_on else "auto_off")
        assert ann.told(steady_project)["auto_enabled"] is is_on
    assert ">Auto: Off<" in ann.card(steady_project)


def test_reset_ends_the_pause_and_the_card_says_why_it_was(
    shop: Workshop, ann: Person, project: str
) -> None:
    assert "/afk/reset/" not in ann.card(project)
    fail(shop, project, 3)
    card = ann.card(project)
    assert "Auto paused · 3 fails" in card
    assert len(re.findall(r"<li>#\d · Died · agent exited 7 · [^<]+</li>", card)) == 3
    assert notice_of(ann.send(f"reset/{project}")) == "was_reset"
    assert (ann.told(project)["strikes"], ann.told(project)["paused"]) == (0, False)
    assert "Auto paused" not in ann.card(project)


def test_one_form_sent_twice_at_once_or_again_starts_one_run(
    shop: Workshop, ann: Person, project: str
) -> None:
    for _ in range(3):
        shop.issue(project, body="please wait")
    key = re.findall(r'name="x_idempotency_key" value="([0-9a-f-]{36})"', ann.card(project))[0]
    fields = {"csrf": ann.secret, "x_idempotency_key": key}
    path = f"/afk/start/{project}"
    cookies, own = dict(ann.browser.cookies), dict(ann.browser.headers)
    answers = at_once(
        3,
        lambda _: httpx.post(
            f"{shop.server.url}{path}",
            data=fields,
            cookies=cookies,
            headers=own,
            timeout=WAIT_SECONDS,
        ),
    )
    answers.append(ann.browser.post(path, data=fields))
    notices = sorted(notice_of(answer) for answer in answers)
    assert notices == ["started", *["started_before"] * 3]
    runs = shop.api.get(f"/runs?project_id={project}").json()["items"]
    assert len(runs) == 1
    assert re.findall(r'name="x_idempotency_key" value="([^"]+)"', ann.card(project))[0] != key
    shop.stop(runs[0]["id"])


def test_a_key_in_the_header_is_a_key_too_and_two_must_not_differ(
    shop: Workshop, ann: Person, project: str
) -> None:
    for _ in range(2):
        shop.issue(project, body="please wait")
    key = {"x-idempotency-key": "k1"}
    assert notice_of(ann.send(f"start/{project}", key)) == "started"
    assert notice_of(ann.send(f"start/{project}", x_idempotency_key="k1")) == "started_before"
    differs = ann.send(f"start/{project}", key, x_idempotency_key="k2")
    assert notice_of(differs) == "key_mismatch"
    shop.stop(shop.api.get(f"/runs?project_id={project}").json()["items"][0]["id"])


# --- selecting the project ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["team/shop", "Größe 北 ☃", "a b?c#d%2e&e=f", "50% off"])
def test_a_project_is_named_by_its_name_too(shop: Workshop, ann: Person, name: str) -> None:
    project = shop.add_project(name, origin=shop.origin(f"named {len(shop.projects)}"))
    assert notice_of(ann.send(f"auto/{quote(name)}", enabled="on")) == "auto_on"
    assert ann.told(project)["auto_enabled"] is True


def test_an_id_is_never_taken_for_another_projects_name(shop: Workshop, ann: Person) -> None:
    one = shop.add_project("the one")
    other = shop.add_project(one, origin=shop.origin("the other"))
    ann.send(f"auto/{one}", enabled="on")
    assert ann.told(one)["auto_enabled"] is True
    assert ann.told(other)["auto_enabled"] is False


@pytest.mark.parametrize("action", ["reset/none", "start/none", "auto/none", "stop/run_none"])
def test_what_is_not_there_is_not_found(ann: Person, action: str) -> None:
    fields = {"enabled": "on"} if action.startswith("auto") else {}
    assert notice_of(ann.send(action, None, **fields)) == "not_found"
    refused = ann.send(action, PROGRAM, **fields)
    assert (refused.status_code, problem(refused)["error"]) == (404, "not_found")


def test_an_archived_project_is_shown_apart_without_forms_and_refuses(
    shop: Workshop, ann: Person, project: str
) -> None:
    shop.api.delete(f"/projects/{project}")
    assert "<form" not in ann.card(project)
    assert "Archived projects" in ann.page()
    for action, fields in (("reset", {}), ("start", {}), ("auto", {"enabled": "on"})):
        assert notice_of(ann.send(f"{action}/{project}", None, **fields)) == "project_archived"
    assert ann.told(project)["auto_enabled"] is False


# --- responses ---------------------------------------------------------------------------------


def test_a_refusal_is_shown_on_the_page_or_as_a_problem(ann: Person, steady_project: str) -> None:
    refused = ann.send(f"start/{steady_project}")
    assert notice_of(refused) == "nothing_ready"
    page = ann.browser.get(refused.headers["location"]).text
    assert 'role="status" data-testid="notice">No ready-for-agent issues to start.<' in page
    for headers in (PROGRAM, CARD):
        answer = ann.send(f"start/{steady_project}", headers)
        assert (answer.status_code, problem(answer)["error"]) == (409, "nothing_ready")


def test_a_fragment_is_the_card_as_it_is_now(shop: Workshop, ann: Person, project: str) -> None:
    shop.issue(project, body="please wait")
    on = ann.send(f"auto/{project}", CARD, enabled="off")
    assert on.status_code == 200
    assert on.headers["content-type"].startswith("text/html")
    assert on.text.startswith("<article ")
    assert on.text.rstrip().endswith("</article>")
    assert f'data-project="{project}"' in on.text
    assert f'name="csrf" value="{ann.secret}"' in on.text
    started = ann.send(f"start/{project}", CARD)
    run = shop.api.get(f"/runs?project_id={project}").json()["items"][0]["id"]
    assert f'action="/afk/stop/{run}"' in started.text
    stopped = ann.send(f"stop/{run}", CARD)
    assert stopped.status_code == 200
    assert f'data-project="{project}"' in stopped.text
    shop.ended(run)


def test_a_script_with_the_token_needs_no_secret(shop: Workshop, project: str) -> None:
    bearer = {"Authorization": f"Bearer {shop.server.token}"}
    with httpx.Client(
        base_url=shop.server.url, headers=bearer, trust_env=False, timeout=WAIT_SECONDS
    ) as script:
        assert notice_of(script.post(f"/afk/reset/{project}")) == "was_reset"
        answer = script.post(f"/afk/auto/{project}", data={"enabled": "on"})
        assert notice_of(answer) == "auto_on"
        page = script.get("/plain").text
        assert project in page
        assert "csrf" not in page
        with person(shop) as ann:
            shop.issue(project, body="please wait")
            shop.api.put(f"/projects/{project}/afk/auto", json={"enabled": False})
            for run in shop.api.get(f"/runs?project_id={project}").json()["items"]:
                ann.send(f"stop/{run['id']}")


@pytest.mark.parametrize("action", ["reset", "start", "auto", "stop"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_a_form_that_is_posted_is_an_action(ann: Person, action: str, method: str) -> None:
    answer = ann.browser.request(method, f"/afk/{action}/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("reset", {"enabled": "on"}),
        ("reset", {"because": ""}),
        ("reset", {"next": ["/plain", "/plain"]}),
        ("start", {"issue": "0"}),
        ("start", {"issue": "one"}),
        ("start", {"issue": "99999999999"}),
        ("start", {"issue": ["1", "2"]}),
        ("start", {"x_idempotency_key": "with space"}),
        ("start", {"x_idempotency_key": "k" * 256}),
        ("start", {"task": "rm"}),
        ("auto", {}),
        ("auto", {"enabled": ""}),
        ("auto", {"enabled": "perhaps"}),
        ("auto", {f"field{n}": "" for n in range(20)}),
    ],
)
def test_a_form_that_is_none_of_ours_is_refused(
    ann: Person, steady_project: str, action: str, fields: dict[str, Any]
) -> None:
    before = ann.told(steady_project)
    refused = ann.send(f"{action}/{steady_project}", PROGRAM, **fields)
    assert (refused.status_code, problem(refused)["error"]) == (422, "invalid")
    assert ann.told(steady_project) == before


def test_a_reason_has_a_limit_and_no_nul(ann: Person) -> None:
    for because in ("x" * 501, "a\0b"):
        assert notice_of(ann.send("stop/run_none", because=because)) == "invalid"


def test_a_form_is_small(ann: Person, steady_project: str) -> None:
    refused = ann.send(f"auto/{steady_project}", PROGRAM, enabled="x" * MAX_FORM)
    assert (refused.status_code, problem(refused)["error"]) == (413, "too_large")
    page = ann.send(f"auto/{steady_project}", enabled="x" * MAX_FORM)
    assert (page.status_code, "Nothing was changed" in page.text) == (413, True)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"because=%ff", b"a=b;c=\xe9"])
def test_what_is_no_text_is_refused(shop: Workshop, content: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", **PROGRAM}
    bearer = {"Authorization": f"Bearer {shop.server.token}"}
    answer = httpx.post(
        f"{shop.server.url}/afk/stop/x",
        content=content,
        headers={**form, **bearer},
        timeout=WAIT_SECONDS,
    )
    assert (answer.status_code, problem(answer)["error"]) == (422, "invalid")
