"""Actions of pages without JavaScript: what each does, and how each caller is answered."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from app.api import forms
from app.api.form_content import MAX_FORM, own_path
from app.api.gate import Gate
from app.api.notices import sentence_of
from app.pages.plain import PlainPages
from app.services.rows import DatabaseSilent
from tests.api.workshop import Workshop, at_once, open_workshop, problem
from tests.planes import real_plane
from tests.servers import ROOT

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}
CARD = {"X-Runyard-Fragment": "1"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("forms")) as shop:
        shop.add_project("always there")  # a page without projects has no forms
        yield shop


@pytest.fixture
def project(shop: Workshop, request: pytest.FixtureRequest) -> str:
    """A project of this test's own."""
    return shop.add_project(request.node.name.removeprefix("test_")[:60])


class Person:
    """Somebody signed in with a browser that knows forms only."""

    def __init__(self, shop: Workshop, browser: httpx.Client) -> None:
        self.shop = shop
        self.browser = browser

    def page(self, query: str = "") -> str:
        """What `/plain` says."""
        answer = self.browser.get(f"/plain{query}")
        assert answer.status_code == 200, answer.text
        return answer.text

    @property
    def secret(self) -> str:
        """The form's secret, as it stands in the page."""
        found = re.findall(r'name="csrf" value="([^"]+)"', self.page())
        assert len(set(found)) == 1
        return found[0]

    def send(
        self, action: str, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Send a form with the session's own secret."""
        content = {"csrf": self.secret, **fields}
        return self.browser.post(f"/afk/{action}", data=content, headers=headers)

    def told(self, project: str) -> dict[str, Any]:
        """The project, as the API tells it."""
        return dict(self.shop.api.get(f"/projects/{project}").json())

    def card(self, project: str) -> str:
        """The project's card."""
        found = re.search(f'<article [^>]*data-project="{project}".*?</article>', self.page(), re.S)
        assert found is not None
        return found[0]


@contextmanager
def person(shop: Workshop) -> Iterator[Person]:
    own = {"Origin": shop.server.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=shop.server.url, trust_env=False, timeout=20) as browser:
        assert browser.get(shop.server.new_link()).status_code == 303
        browser.headers.update({**PAGE, **own})
        yield Person(shop, browser)


@pytest.fixture
def ann(shop: Workshop) -> Iterator[Person]:
    with person(shop) as ann:
        yield ann


def notice_of(answer: httpx.Response) -> str:
    """The code that the page it leads to will tell."""
    assert answer.status_code == 303, answer.text
    place = urlsplit(answer.headers["location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", "/plain")
    return parse_qs(place.query)["notice"][0]


def fail(shop: Workshop, project: str, times: int) -> None:
    for _ in range(times):
        number = shop.issue(project, "Fail", body="please fail")
        answer = shop.api.post(f"/projects/{project}/afk/start", json={"issue": number})
        shop.ended(answer.json()["id"])


# --- what the actions do -----------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("word", "is_on"),
    [("on", True), ("true", True), ("1", True), ("off", False), ("false", False), ("0", False)],
)
def test_the_loop_is_switched_by_a_word(
    shop: Workshop, ann: Person, word: str, is_on: bool
) -> None:
    project = shop.add_project(f"switched {word}", auto_enabled=not is_on)
    assert f">Auto: {'Off' if is_on else 'On'}<" in ann.card(project)
    notice = notice_of(ann.send(f"auto/{project}", enabled=word))
    assert notice == ("auto_on" if is_on else "auto_off")
    assert ann.told(project)["auto_enabled"] is is_on
    assert f">Auto: {'On' if is_on else 'Off'}<" in ann.card(project)


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
            f"{shop.server.url}{path}", data=fields, cookies=cookies, headers=own, timeout=20
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


# --- which project -----------------------------------------------------------------------------


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


# --- how it is answered ------------------------------------------------------------------------


def test_a_refusal_is_told_on_the_page_or_as_a_problem(ann: Person, project: str) -> None:
    refused = ann.send(f"start/{project}")
    assert notice_of(refused) == "nothing_ready"
    page = ann.browser.get(refused.headers["location"]).text
    assert 'role="status" data-testid="notice">No ready-for-agent issues to start.<' in page
    for headers in (PROGRAM, CARD):
        answer = ann.send(f"start/{project}", headers)
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
    with httpx.Client(base_url=shop.server.url, headers=bearer, trust_env=False) as script:
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
    ann: Person, project: str, action: str, fields: dict[str, Any]
) -> None:
    before = ann.told(project)
    refused = ann.send(f"{action}/{project}", PROGRAM, **fields)
    assert (refused.status_code, problem(refused)["error"]) == (422, "invalid")
    assert ann.told(project) == before


def test_a_reason_has_a_limit_and_no_nul(ann: Person) -> None:
    for because in ("x" * 501, "a\0b"):
        assert notice_of(ann.send("stop/run_none", because=because)) == "invalid"


def test_a_form_is_small(ann: Person, project: str) -> None:
    refused = ann.send(f"auto/{project}", PROGRAM, enabled="x" * MAX_FORM)
    assert (refused.status_code, problem(refused)["error"]) == (413, "too_large")
    page = ann.send(f"auto/{project}", enabled="x" * MAX_FORM)
    assert (page.status_code, "Nothing was changed" in page.text) == (413, True)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"because=%ff", b"a=b;c=\xe9"])
def test_what_is_no_text_is_refused(shop: Workshop, content: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", **PROGRAM}
    bearer = {"Authorization": f"Bearer {shop.server.token}"}
    answer = httpx.post(
        f"{shop.server.url}/afk/stop/x", content=content, headers={**form, **bearer}
    )
    assert (answer.status_code, problem(answer)["error"]) == (422, "invalid")


# --- the way back ------------------------------------------------------------------------------


def test_it_goes_back_to_where_it_came_from(ann: Person, project: str, shop: Workshop) -> None:
    came = {"Referer": f"{shop.server.url}/plain?notice=old&x=1"}
    answer = ann.send(f"reset/{project}", came)
    assert answer.headers["location"] == "/plain?x=1&notice=was_reset"
    answer = ann.send(f"reset/{project}", came, next="/runs?status=died")
    assert answer.headers["location"] == "/runs?status=died&notice=was_reset"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/plain", "/plain"),
        ("/", "/"),
        ("/projects/proj_1", "/projects/proj_1"),
        ("/runs?status=died&q=a%20b", "/runs?status=died&q=a%20b"),
        ("/plain#top", "/plain"),
        ("", None),
        ("plain", None),
        ("?notice=x", None),
        ("/" + "x" * 600, None),
    ],
)
def test_a_way_back_is_a_path(target: str, path: str | None) -> None:
    assert own_path(target) == path


# --- notices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "sentence", "tone"),
    [
        ("nothing_ready", "No ready-for-agent issues to start.", "stop"),
        ("project_archived", "This project is archived.", "stop"),
        ("was_reset", "The failures are reset. Auto AFK runs go on where they are on.", "go"),
        ("", "", ""),
        ("no such code", "", ""),
        ("Refusal", "", ""),
    ],
)
def test_a_notice_is_a_sentence_of_ours(code: str, sentence: str, tone: str) -> None:
    assert sentence_of(code) == (sentence, tone)


def test_a_page_without_a_known_notice_says_nothing(ann: Person) -> None:
    assert 'data-testid="notice"' not in ann.page()
    assert 'data-testid="notice"' not in ann.page("?notice=Your+password+please")
    page = html.unescape(ann.page("?notice=already_running"))
    assert "An equal run is already under way." in page


def test_a_full_window_says_when_it_opens(shop: Workshop, ann: Person, project: str) -> None:
    run = shop.start(project, "please log")
    shop.ended(run["id"])
    opens = shop.api.get("/quota/runs").json()["reset_at"][11:19]
    assert f"Rate limit reached. Retry after {opens} UTC." in ann.page("?notice=rate_limited")


# --- when the database does not answer ---------------------------------------------------------


class SilentPlain(PlainPages):
    """Pages whose reading meets a database that does not answer."""

    def card(self, *_: Any, **__: Any) -> str:
        raise DatabaseSilent("locked")


async def test_a_silent_database_is_a_page_to_a_person_and_a_problem_to_a_program(
    tmp_path: Path,
) -> None:
    with real_plane(tmp_path) as plane:
        plane.add_project()
        services, web = plane.services, FastAPI()
        web.include_router(forms.routes(services, SilentPlain(ROOT / "assets" / "plain")))
        gate = Gate(web, accounts=services.accounts, port=8080, now=plane.clock)
        token = (tmp_path / "data" / "token").read_text().strip()
        project = plane.ledgers.projects.all()[0].id
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(gate),
            base_url="http://127.0.0.1:8080",
            headers={"Authorization": f"Bearer {token}", **PAGE},
        ) as caller:
            page = await caller.get("/plain")
            card = await caller.post(f"/afk/reset/{project}", headers=CARD)
    assert page.status_code == card.status_code == 503
    assert page.headers["retry-after"] == card.headers["retry-after"] == "2"
    assert "The database did not answer." in page.text
    assert problem(card)["error"] == "store_unavailable"
