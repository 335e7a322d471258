"""After a form without JavaScript: where it redirects, and the notice shown there."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.http.gate import Gate
from app.api.http.site import Site
from app.api.plain import forms
from app.api.plain.form_content import own_path
from app.api.plain.forms import notice_of
from app.pages.system.plain import PlainPages
from app.services.rows import DatabaseSilent
from tests.drivers.planes import real_plane
from tests.drivers.servers.processes import ROOT
from tests.drivers.servers.workshop import Workshop, open_workshop, problem
from tests.drivers.web.people import CARD, PAGE, Person


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("notices")) as shop:
        shop.add_project("always there")  # a page without projects has no forms
        yield shop


def test_it_goes_back_to_where_it_came_from(ann: Person, project: str, shop: Workshop) -> None:
    came = {"Referer": f"{shop.server.page_url}/plain?notice=old&x=1"}
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


@pytest.mark.parametrize(
    ("code", "sentence", "tone"),
    [
        ("nothing_ready", "No ready-for-agent issues to start.", "stop"),
        ("project_archived", "This project is archived.", "stop"),
        ("was_reset", "The failure count is reset. Auto AFK runs continue if they are on.", "go"),
        ("", "", ""),
        ("no such code", "", ""),
        ("Refusal", "", ""),
    ],
)
def test_a_notice_is_a_sentence_of_ours(code: str, sentence: str, tone: str) -> None:
    assert notice_of(code) == (sentence, tone)


def test_a_page_without_a_known_notice_says_nothing(ann: Person) -> None:
    assert 'data-testid="notice"' not in ann.page()
    assert 'data-testid="notice"' not in ann.page("?notice=Your+password+please")
    page = html.unescape(ann.page("?notice=already_running"))
    assert "An identical run is already in progress." in page


def test_a_full_window_says_when_it_opens(shop: Workshop, ann: Person, project: str) -> None:
    run = shop.start(project, "please log")
    shop.ended(run["id"])
    opens = shop.api.get("/quota/runs").json()["reset_at"][11:19]
    assert f"Rate limit reached. Retry after {opens} UTC." in ann.page("?notice=rate_limited")


class SilentPlain(PlainPages):
    """Plain pages whose database does not answer."""

    def card(self, *_: Any, **__: Any) -> str:
        raise DatabaseSilent("locked")


async def test_a_silent_database_is_a_page_to_a_person_and_a_problem_to_a_program(
    tmp_path: Path,
) -> None:
    with real_plane(tmp_path) as plane:
        plane.add_project()
        services, web = plane.services, FastAPI()
        web.include_router(forms.routes(services, SilentPlain(ROOT / "assets" / "plain")))
        gate = Gate(web, accounts=services.accounts, site=Site(8080), now=plane.clock)
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
