"""While a project is unsandboxed, the token alone can neither merge nor change code settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.http.app import build_api
from app.api.http.gate import Gate
from app.api.http.site import Site
from app.api.live import LiveStream
from app.api.schemas import NewProject, ProjectChange
from app.domain.words import Depth
from app.records.database.database import DatabaseSilent
from app.services.projects.browser_rule import GUARDED, BrowserRule
from app.services.runs.requests import RunRequest
from tests.drivers.servers.workshop import problem
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

PORT = 8080
HOST = f"127.0.0.1:{PORT}"
CHANGE = "/projects/{id}/changes/7"
SETTINGS = "/projects/{id}?tab=settings"
VALUES: dict[str, Any] = {
    "agent": "script",
    "agent_token": True,
    "allowed_agents": ["script"],
    "agent_command": ["/bin/true", "{prompt_file}"],
    "setup_command": ["/bin/true"],
    "checks": [{"name": "tests", "command": ["/bin/true"]}],
    "owner_hooks": True,
    "sandbox": "none",
    "network": "all",
    "allowed_hosts": ["example.org"],
    "allow": ["docker"],
    "toolchains": ["/opt/tools"],
    "limits": {"processes": 100},
    "open_pr": "agent",
    "pr_sign_in": "/srv/agents/gh",
    "origin": "https://example.org/moved.git",
}
SETTABLE = sorted(GUARDED & ProjectChange.model_fields.keys())


@dataclass(frozen=True)
class Call:
    """An API call, and the page where a person does the same."""

    method: str
    path: str
    page: str
    body: dict[str, Any] | None = None


DEEDS = {
    "merge": Call("POST", f"{CHANGE}/merge", CHANGE),
    "close": Call("POST", f"{CHANGE}/close", CHANGE),
    "archive": Call("DELETE", "/projects/{id}", SETTINGS),
    "archive by a setting": Call("PATCH", "/projects/{id}", SETTINGS, {"archived": True}),
    "take back": Call("PATCH", "/projects/{id}", SETTINGS, {"archived": False}),
    **{
        f"change {name}": Call("PATCH", "/projects/{id}", SETTINGS, {name: VALUES[name]})
        for name in SETTABLE
    },
    "a command among others": Call(
        "PATCH", "/projects/{id}", SETTINGS, {"name": "other", "setup_command": ["/bin/true"]}
    ),
    "add one at none": Call(
        "POST",
        "/projects",
        "/projects/add",
        {
            "name": "new",
            "origin": "/yard0",
            "sandbox": "none",
            "agent_command": ["/bin/true"],
        },
    ),
    "make a sign-in link": Call("POST", "/login-links", "/login"),
}
FREE = {
    "read": Call("GET", "/projects/{id}", ""),
    "rename": Call("PATCH", "/projects/{id}", "", {"name": "renamed"}),
    "change the budget": Call("PATCH", "/projects/{id}", "", {"budget_seconds": 60}),
    "switch the loop": Call("PUT", "/projects/{id}/afk/auto", "", {"enabled": True}),
    "write an issue": Call("POST", "/projects/{id}/issues", "", {"title": "Do it"}),
}


class Yard:
    """Two projects behind the real API and gate, with fake adapters."""

    def __init__(self, folder: Path) -> None:
        self.world = world = World()
        self.plane = FakePlane(folder, world, port=PORT)
        self.rows = self.plane.ledgers.projects
        self.shop = self.plane.add_project(world).id
        self.other = self.plane.add_project(world).id
        services, site = self.plane.services, Site(PORT)
        self.api = build_api(services, LiveStream(services), site=site, store_silent=DatabaseSilent)
        web = FastAPI()
        web.mount("/api/v1", self.api)
        self.gate = Gate(web, accounts=services.accounts, site=site, now=services.clock)

    def set_level(self, level: str, **columns: Any) -> None:
        """Set the level of the other project, the one that calls do not address."""
        for project in self.rows.all():
            self.rows.change(project.id, sandbox="contained", archived_at=None)
        self.rows.change(self.other, sandbox=level, **columns)

    def by_token(self) -> httpx.AsyncClient:
        """Return a client that sends the token of the file `token`."""
        token = (self.plane.settings.data_root / "token").read_text().strip()
        return self._caller({"Authorization": f"Bearer {token}"})

    def by_session(self) -> httpx.AsyncClient:
        """Return a client with a person's browser session."""
        accounts, now = self.plane.services.accounts, self.plane.clock()
        session = accounts.sign_in(accounts.make_link_token(now), now)
        assert session is not None
        cookie = f"{Site(PORT).cookie}={session.cookie}"
        origin = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
        return self._caller({"Cookie": cookie, **origin})

    def _caller(self, headers: dict[str, str]) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.gate)
        base = f"http://{HOST}/api/v1"
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)

    async def answer(self, caller: httpx.AsyncClient, call: Call) -> httpx.Response:
        """Call about the project that is always contained; return the response."""
        async with caller:
            path = call.path.format(id=self.shop)
            return await caller.request(call.method, path, json=call.body)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Two projects shared by all tests; each test first sets their levels."""
    yard = Yard(tmp_path_factory.mktemp("yard") / "data")
    yield yard
    yard.plane.rest()
    yard.plane.stop()


deeds = pytest.mark.parametrize("call", DEEDS.values(), ids=DEEDS.keys())


def test_the_rule_covers_every_setting_that_is_code_or_surrounds_it() -> None:
    words = ("agent", "command", "sandbox", "network", "allow", "toolchain", "limits", "hook")
    fields = ProjectChange.model_fields.keys() | NewProject.model_fields.keys()
    sounding = {name for name in fields if any(word in name for word in words)}
    assert sounding - {"resume_after_limit", "sandbox_notice"} <= GUARDED
    assert VALUES.keys() == GUARDED


@deeds
async def test_the_token_alone_is_not_enough_while_any_project_is_unsandboxed(
    yard: Yard, call: Call
) -> None:
    yard.set_level("none")
    before = [row.model_dump() for row in yard.rows.all()]
    told = problem(await yard.answer(yard.by_token(), call))
    assert (told["status"], told["error"]) == (403, "forbidden")
    assert told["detail"].startswith("While a project is unsandboxed, its agents can read")
    assert told["page"] == f"http://{HOST}{call.page.format(id=yard.shop)}"
    assert [row.model_dump() for row in yard.rows.all()] == before


@deeds
@pytest.mark.parametrize(
    ("level", "who"),
    [("none", "by_session"), ("contained", "by_session"), ("contained", "by_token")],
)
async def test_a_browser_is_enough_and_so_is_the_token_where_no_agent_can_read_it(
    yard: Yard, call: Call, level: str, who: str
) -> None:
    yard.set_level(level)
    answer = await yard.answer(getattr(yard, who)(), call)
    # past the gate, a call may still be refused for other reasons
    assert answer.status_code in (200, 201, 404, 409, 422), answer.text


@pytest.mark.parametrize("call", FREE.values(), ids=FREE.keys())
async def test_whatever_else_the_token_does_it_still_does(yard: Yard, call: Call) -> None:
    yard.set_level("none")
    assert (await yard.answer(yard.by_token(), call)).is_success


@pytest.mark.parametrize("level", ["contained", "sandboxed", "bubblewrap"])
async def test_at_any_level_that_holds_agents_in_the_token_is_enough(
    yard: Yard, level: str
) -> None:
    yard.set_level(level)
    assert (await yard.answer(yard.by_token(), DEEDS["archive"])).status_code == 200


async def test_a_level_that_nobody_knows_counts_as_none(yard: Yard) -> None:
    yard.set_level("loose")
    assert (await yard.answer(yard.by_token(), DEEDS["archive"])).status_code == 403


async def test_an_archived_project_starts_no_agent_and_asks_for_nothing(yard: Yard) -> None:
    yard.set_level("none", archived_at=yard.plane.clock())
    assert (await yard.answer(yard.by_token(), DEEDS["archive"])).status_code == 200


@pytest.mark.parametrize(("level", "code"), [("none", 403), ("", 403), ("contained", 200)])
async def test_an_agent_that_is_still_unsandboxed_counts_after_its_project_is_contained(
    yard: Yard, level: str, code: int
) -> None:
    yard.set_level("contained")
    plane, runs = yard.plane, yard.plane.ledgers.runs
    project = yard.rows.find(yard.other)
    assert project is not None
    order = RunRequest(project.id, Depth.QUICK, "auto", task="Look around")
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    runs.update_fields(run.id, run.project_id, provenance={**run.provenance, "sandbox": level})
    assert (await yard.answer(yard.by_token(), DEEDS["archive"])).status_code == code
    yard.world.end(run.id, 0)
    plane.reaper.reap_once(run.id)
    plane.rest()
    assert (await yard.answer(yard.by_token(), DEEDS["archive"])).status_code == 200


async def test_an_unknown_project_is_refused_like_a_known_one(yard: Yard) -> None:
    yard.set_level("none")
    async with yard.by_token() as caller:
        answer = await caller.post("/projects/nobody%20at%20all/changes/7/merge")
    assert problem(answer)["page"] == f"http://{HOST}/projects/nobody%20at%20all/changes/7"


def test_a_sign_in_link_is_for_a_process_that_shows_itself_and_is_no_runs(yard: Yard) -> None:
    yard.set_level("none")
    for asking, is_of_a_run, may in ((None, False, False), (77, True, False), (77, False, True)):
        rule = BrowserRule(yard.rows, list, lambda pid=asking: pid, lambda _, its=is_of_a_run: its)
        assert rule.lets_link_be_made() is may


def test_the_description_tells_of_each_call_that_asks_for_a_browser(yard: Yard) -> None:
    told = {
        f"{method.upper()} {path}"
        for path, calls in yard.api.openapi()["paths"].items()
        for method, call in calls.items()
        if "403" in call["responses"]
    }
    assert told >= {
        *("POST /projects", "PATCH /projects/{project_id}", "DELETE /projects/{project_id}"),
        *(
            f"POST /projects/{{project_id}}/changes/{{number}}/{deed}"
            for deed in ("merge", "close")
        ),
        "POST /login-links",
    }
