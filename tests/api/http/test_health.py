"""Health, metrics, the OpenAPI document, and correlation ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.records.database.database import Database
from tests.builders.databases import own_database
from tests.drivers.servers.processes import WAIT_SECONDS, running_server
from tests.drivers.servers.workshop import Workshop, open_workshop, problem

CALLS = {
    *("POST /runs", "GET /runs", "GET /runs/{run_id}", "GET /runs/{run_id}/timeline"),
    *("GET /runs/{run_id}/pull_request", "GET /runs/{run_id}/diff", "GET /runs/{run_id}/log"),
    *("GET /runs/{run_id}/events", "GET /events", "POST /runs/{run_id}/stop"),
    *("GET /projects", "POST /projects", "GET /projects/{project_id}"),
    *("PATCH /projects/{project_id}", "DELETE /projects/{project_id}"),
    *("GET /projects/{project_id}/branches", "GET /projects/{project_id}/issues"),
    *("POST /projects/{project_id}/issues", "PATCH /projects/{project_id}/issues/{number}"),
    *("GET /projects/{project_id}/changes", "GET /projects/{project_id}/changes/{number}"),
    *("POST /projects/{project_id}/changes/{number}/merge", "GET /quota/runs"),
    *("POST /projects/{project_id}/changes/{number}/close", "GET /quota/concurrency"),
    *("GET /quota/batches", "POST /login-links"),
}
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("health")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def document(shop: Workshop) -> dict[str, Any]:
    return dict(shop.api.get("/openapi.json").json())


def open_door(shop: Workshop, **headers: str) -> httpx.Client:
    return httpx.Client(
        base_url=shop.server.url, headers=headers, trust_env=False, timeout=WAIT_SECONDS
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_open_and_never_kept(shop: Workshop, path: str, method: str) -> None:
    with open_door(shop) as caller:
        answer = caller.request(method, path)
    assert answer.status_code == 200
    assert answer.text == ("ok" if method == "GET" else "")
    assert answer.headers["cache-control"] == "no-store"


def test_metrics_count_open_runs_and_projects(shop: Workshop) -> None:
    run = shop.start(str(shop.projects["shop"]["id"]), "counted", delay=3600)
    answer = shop.api.get(f"{shop.server.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'runyard_open_runs{status="delayed"} 1.0' in answer.text
    assert 'runyard_open_runs{status="running"} 0.0' in answer.text
    assert 'runyard_projects{state="ready"} 1.0' in answer.text
    assert "runyard_sweeps_total " in answer.text
    shop.stop(run["id"])
    assert 'runyard_open_runs{status="delayed"} 0.0' in shop.api.get(answer.url).text


def test_the_description_holds_every_call_and_nothing_of_the_pages(
    document: dict[str, Any],
) -> None:
    told = {
        f"{method.upper()} {path}"
        for path, calls in document["paths"].items()
        for method in calls
        if method in METHODS
    }
    assert told >= CALLS
    assert "nicegui" not in json.dumps(document).lower()
    assert [server["url"] for server in document["servers"]] == ["/api/v1"]


def test_the_description_tells_what_every_answer_has_in_common(document: dict[str, Any]) -> None:
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            assert call.get("description") or call.get("summary"), (method, path)
            for status in ("4XX", "5XX"):
                content = call["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], (method, path)
            assert "422" not in call["responses"]
            for answer in call["responses"].values():
                assert "X-Correlation-Id" in answer["headers"]
    problem_schema = document["components"]["schemas"]["Problem"]
    named = {"type", "title", "status", "detail", "error", "correlation_id"}
    assert set(problem_schema["required"]) == named
    replayed = document["paths"]["/runs"]["post"]["responses"]
    assert {"200", "201"} <= set(replayed)


def test_every_reference_of_the_description_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_the_human_page_lists_every_call(shop: Workshop) -> None:
    page = shop.api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for call in CALLS:
        assert f"<code>{call.partition(' ')[2]}</code>" in page.text


@pytest.mark.parametrize("given", ["a", "A-b_9", "x" * 64])
@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/runs", "/api/v1/none", "/none", "/", "/assets/theme.css", "/a//b"]
)
def test_an_answer_carries_the_correlation_id_it_was_asked_with(
    shop: Workshop, given: str, path: str
) -> None:
    with open_door(shop, authorization=f"Bearer {shop.server.token}") as caller:
        answer = caller.get(path, headers={"X-Correlation-Id": given})
        other = caller.get(path, headers={"X-Correlation-Id": given + "!"})
    assert answer.headers["x-correlation-id"] == given
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", other.headers["x-correlation-id"])
    assert other.headers["x-correlation-id"] != given


def test_a_login_link_is_made_for_the_address_that_was_asked(shop: Workshop) -> None:
    for name in ("127.0.0.1", "localhost"):
        base = f"http://{name}:{shop.server.port}"
        answer = shop.api.post(f"{base}/api/v1/login-links")
        assert (answer.status_code, list(answer.json())) == (201, ["url"])
        assert answer.json()["url"].startswith(f"{base}/login?token=")


def damage(data_dir: Path, project_id: str) -> str:
    """Write a row that cannot be decoded; return a part of the Python error it causes."""
    own_file = f"sqlite:///{data_dir / 'runyard.db'}"
    database = Database(
        own_database(data_dir).get("database_url", own_file), publish=lambda _: None
    )
    damaged = "labels = '{'" if database.is_sqlite else "created_at = 'infinity'"
    with database.transaction() as tx:
        damage = text(f"UPDATE issue SET {damaged} WHERE project_id = :id")  # noqa: S608
        tx.execute(damage, {"id": project_id})
    database.close()
    return "JSONDecodeError" if database.is_sqlite else "timestamp too large"


def test_a_fault_is_a_problem_whose_id_is_in_the_log(tmp_path: Path) -> None:
    with open_workshop(tmp_path) as shop:
        project_id = shop.add_project("shop")
        shop.issue(project_id)
        fault = damage(shop.server.data_dir, project_id)
        answer = shop.api.get(
            f"/projects/{project_id}/issues/1", headers={"X-Correlation-Id": "click-9"}
        )
        told = problem(answer)
        page = shop.api.get(shop.server.url + f"/projects/{project_id}/issues/1")
        log = shop.server.log
    assert (answer.status_code, told["error"], told["correlation_id"]) == (500, "fault", "click-9")
    assert "Traceback" not in answer.text
    assert "JSON" not in answer.text
    assert page.status_code == 500
    lines = [json.loads(line) for line in log.splitlines()]
    [traced] = [line for line in lines if line.get("correlation_id") == "click-9"]
    assert traced["level"] == "error"
    assert fault in traced["exception"]


def test_every_line_of_the_log_is_one_object_with_an_id(shop: Workshop) -> None:
    run = shop.ended(shop.start(str(shop.projects["shop"]["id"]), "please fail")["id"])
    assert run["status"] == "died"
    shop.api.get("/runs/run_\u202e\u3000%1b%5B2J")
    lines = [json.loads(line) for line in shop.server.log.splitlines()]
    assert lines
    assert [line for line in lines if not line.get("correlation_id")] == []
    assert shop.server.log.isascii()
    assert "\x1b" not in shop.server.log


def test_a_server_without_its_database_is_alive_but_not_ready(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    with (
        running_server(
            tmp_path / "data", RUNYARD_DATABASE_URL=f"sqlite:///{place / 'yard.db'}"
        ) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=WAIT_SECONDS) as caller,
    ):
        assert caller.get("/readyz").status_code == 200
        place.rename(tmp_path / "unmounted")
        assert caller.get("/readyz").status_code == 503
        assert caller.get("/healthz").status_code == 200
        # a server that wrote while the folder was gone stays read-only until it is restarted
        server.stop()
        (tmp_path / "unmounted").rename(place)
        server.start()
        assert caller.get("/readyz").status_code == 200
