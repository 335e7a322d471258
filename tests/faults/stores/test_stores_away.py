"""An unreachable database, tried at every route: 503 with the reason, never a false 404."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url

from app.api.http.request_info import INVITATION_PATH, SIGN_IN_PATH
from tests.builders.databases import POSTGRESQL, one_postgres, shared_database
from tests.drivers.servers.store_needs import (
    API_CALLS,
    BOTH,
    CONTROL,
    KNOWN_TEMPLATE,
    OPEN_CALLS,
    PAGE,
    RUNS,
    Call,
)
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.source_tree import sources
from tests.drivers.web.batches import line, made, sent
from tests.fakes.agents.runs import until

NOTHING_CHANGED, NOT_KNOWN = "Nothing was changed", "Check whether it was done"
SNAPSHOT = ("/projects", "/runs?limit=100", "/parked", "/batches", "/bulk", "/quarantine")
IN_PROJECT = ("issues", "changes", "issues/1/comments", "templates")
# fields that change by themselves
VOLATILE = {"now", "age_seconds", "hold", "liveness", "provenance", "usage"}
# not part of the API
NOT_CALLED = {"/readyz"}
PARTS = {RUNS: ["run store"], CONTROL: ["control store"], BOTH: ["database"]}


class Scene:
    """A server with some of everything, whose databases can go away."""

    def __init__(self, shop: Workshop, **databases: str) -> None:
        self.shop = shop
        self._names = {name: make_url(url).database for name, url in databases.items()}
        self.ids = self._furnish()

    def _furnish(self) -> dict[str, str]:
        shop = self.shop
        project = shop.add_project("yard", max_concurrency=50)
        number = shop.issue(project)
        shop.api.post(f"/projects/{project}/templates", json=KNOWN_TEMPLATE).raise_for_status()
        delivered = shop.delivered(project, "please commit")
        second = shop.delivered(project, "please mark up")
        failed = shop.ended(shop.start(project, "please fail")["id"])["id"]
        retry_of_none = {"project_id": project, "status": ["timed_out"]}
        bulk = shop.api.post("/bulk", json={"action": "retry", "filter": retry_of_none}).json()
        shop.live(shop.start(project, "please wait")["id"])
        waiting = [
            shop.start(project, f"please wait {name}", x_idempotency_key=name)["id"]
            for name in ("queued", "waiting")
        ]
        batch = made(shop, project, 2)
        sent(shop, batch, [line(0, "please wait"), line(1, "please wait")])
        queued, waits = waiting
        return {
            "project_id": project,
            "project:path": project,
            "number": str(number),
            "template": KNOWN_TEMPLATE["name"],
            "change": str(delivered["delivery"]["number"]),
            "second": str(second["delivery"]["number"]),
            "run_id": failed,
            "delivered": delivered["id"],
            "queued": queued,
            "waiting": waits,
            "batch_id": batch,
            "unsealed": made(shop, project, 1),
            "bulk_id": bulk["id"],
            "forge_id": "none",
            "key": "queued",
            "comment_id": "1000",
            "origin": str(shop.origin("more")),
        }

    @contextmanager
    def without(self, store: str) -> Iterator[None]:
        """Make a database refuse connections inside the block."""
        name, server = self._names[store], one_postgres()
        server.tell(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        server.tell(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name
        )
        try:
            yield
        finally:
            server.tell(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            ready = f"{self.shop.server.url}/readyz"
            until(lambda: self.shop.api.get(ready).status_code == 200, "the database is back", 30)

    def ask(self, call: Call, **more_headers: str) -> httpx.Response:
        """Send one request; of an event stream, read only the beginning."""
        is_outside = call in OPEN_CALLS or call.headers == PAGE
        base = self.shop.server.url if is_outside else ""
        content = call.body
        if not isinstance(content, bytes):
            content = self._filled(json.dumps(content)).encode() if content is not None else None
        headers = dict(call.headers) | more_headers
        if content is not None:
            headers = {"Content-Type": "application/json"} | headers
        address = base + self._filled(call.path)
        request = self.shop.api.build_request(
            call.method, address, content=content, headers=headers
        )
        answer = self.shop.api.send(request, stream=True)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            assert next(answer.iter_lines()).startswith(":")
        else:
            answer.read()
        answer.close()
        # one of the calls replaces the token
        self.shop.api.headers["Authorization"] = f"Bearer {self.shop.server.token}"
        return answer

    def _filled(self, text: str) -> str:
        for name, id_ in self.ids.items():
            text = text.replace(f"{{{name}}}", id_)
        return text

    def stands(self) -> Any:
        """Return everything stored, except fields that change by themselves."""
        project = f"/projects/{self.ids['project_id']}"
        paths = [*SNAPSHOT, *(f"{project}/{name}" for name in IN_PROJECT)]
        return {path: _still(self.shop.api.get(path).raise_for_status().json()) for path in paths}


def _still(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _still(it) for name, it in told.items() if name not in VOLATILE}
    return [_still(one) for one in told] if isinstance(told, list) else told


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server with a control store and a run store."""
    with opened(tmp_path_factory.mktemp("pair"), CONTROL, RUNS) as scene:
        yield scene


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server with one database."""
    with opened(tmp_path_factory.mktemp("single"), BOTH) as scene:
        yield scene


@contextmanager
def opened(folder: Path, *stores: str) -> Iterator[Scene]:
    databases: dict[str, str] = {}
    for store in stores:
        (folder / store).mkdir()
        databases[store] = shared_database(folder / store, POSTGRESQL)
    settings = dict(
        zip(("RUNYARD_DATABASE_URL", "RUNYARD_RUNS_DATABASE_URL"), databases.values(), strict=False)
    )
    settings |= {"RUNYARD_MAX_LIVE_RUNS": "1", "RUNYARD_SWEEP_SECONDS": "3600"}
    settings["RUNYARD_NOTIFY_URLS"] = "json://127.0.0.1:9/nobody"
    with open_workshop(folder, **settings) as shop:
        yield Scene(shop, **databases)


# --- faults of an answer --------------------------------------------------------------------------


def faults_of(call: Call, answer: httpx.Response, away: str) -> Iterator[str]:
    lacks = _common(call.needs, away)
    cannot_tell = not lacks and _common(call.tells, away)
    is_usual = answer.status_code == call.usual
    if (call.may_know and is_usual) or not (lacks or cannot_tell):
        if not is_usual:
            yield f"{answer.status_code} instead of {call.usual}: {answer.text[:200]}"
        return
    if answer.status_code != 503:
        yield f"{answer.status_code} instead of 503: {answer.text[:200]}"
        return
    if not re.fullmatch("[1-9][0-9]?", answer.headers.get("retry-after", "")):
        yield "it does not say when to ask again"
    if call.changes:
        sentence = NOTHING_CHANGED if lacks else NOT_KNOWN
        if sentence not in answer.text:
            yield f"it does not say that {sentence!r}: {answer.text[:300]}"
    if call in API_CALLS and answer.json()["error"] != "store_unavailable":
        yield f"it is no store_unavailable: {answer.text}"
    if "The database" not in answer.text:
        yield f"it does not say what is the matter: {answer.text[:300]}"


def _common(stores: str, away: str) -> bool:
    return any(store in stores and store in away for store in (CONTROL, RUNS))


def walk(scene: Scene, calls: Iterable[Call], away: str) -> list[str]:
    """Return every fault in the answers to these calls."""
    return [
        f"without {away}: {call.method} {call.route}: {fault}"
        for call in calls
        for fault in faults_of(call, scene.ask(call), away)
    ]


# --- the tests ------------------------------------------------------------------------------------


WEB_ROUTES = ("routes/system", "routes/people/sign_in", "plain/forms")
NAMED = {"SIGN_IN_PATH": SIGN_IN_PATH, "INVITATION_PATH": INVITATION_PATH}


def address_in(mark: ast.Call) -> str:
    """Return the path in a route decorator."""
    [address] = mark.args
    return NAMED[address.id] if isinstance(address, ast.Name) else str(ast.literal_eval(address))


def test_every_address_has_its_row(pair: Scene) -> None:
    described = pair.shop.api.get("/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, them in described.items() for method in them}
    assert routes == {(call.method, call.route.partition("?")[0]) for call in API_CALLS}
    decorated = {
        (str(mark.func.attr).upper(), address_in(mark))  # type: ignore[attr-defined]
        for source in sources()
        if source.name
        in {
            f"app/api/{name}.py"
            for name in ("routes/system", "routes/people/sign_in", "plain/forms")
        }
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call)
    }
    outside = {("GET" if how == "API_ROUTE" else how, path) for how, path in decorated} - routes
    # a page whose route is also an API call is covered by that call's row
    alone = {call.route for call in OPEN_CALLS if (call.method, call.route) not in routes}
    assert {path for _, path in outside} - NOT_CALLED == alone


def pages() -> list[Call]:
    """Return a call for every page; the frame of each already needs both stores.

    The inbox alone is shown with what is known.
    """
    marks = (
        mark
        for source in sources()
        if source.name.startswith("app/pages/")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "page_at"
    )
    paths = [ast.literal_eval(mark.args[0]) for mark in marks]
    return [Call("GET", one, BOTH, headers=PAGE, may_know=one == "/") for one in paths]


@pytest.mark.parametrize("away", [RUNS, CONTROL, pytest.param(BOTH, marks=pytest.mark.soak)])
def test_each_route_that_needs_an_absent_database_says_so_and_the_others_work(
    request: pytest.FixtureRequest, away: str
) -> None:
    scene = request.getfixturevalue("single" if away == BOTH else "pair")
    calls = (*API_CALLS, *OPEN_CALLS, *pages())
    lacking = [call for call in calls if _common(call.needs, away)]
    before = scene.stands()
    with scene.without(away):
        faults = walk(scene, lacking, away)
        ready = scene.shop.api.get(f"{scene.shop.server.url}/readyz")
        silent = [f"Unreachable: the {part} does not answer" for part in PARTS[away]]
        assert ready.status_code == 503
        assert [line.partition(", since ")[0] for line in ready.text.splitlines()] == silent
        told = scene.shop.api.get("/system").raise_for_status().json()
        assert [one["part"] for one in told["trouble"]] == PARTS[away]
        assert told["live_runs"] is None
        away_now = [one for one in told["health"] if one["health"] == "Unreachable"]
        assert [one["part"] for one in away_now] == PARTS[away]
        assert all(one["since"] and one["works"] and one["correlation_id"] for one in away_now)
        assert all(one["since"] <= told["now"] and one["what"] for one in told["trouble"])
    assert scene.stands() == before
    with scene.without(away):
        faults += walk(scene, [call for call in calls if call not in lacking], away)
    assert not faults, "\n".join(faults)
    assert "Traceback" not in scene.shop.server.log
