"""A3, A4, A8, A12, A21, A24, A37: the whole program with hostile text and files in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.web.web_doors import raw_answer

# sequences that could mislead a terminal, a log viewer or a person
HOSTILE = (
    "\x1b]0;title\x07",
    "\x1b]52;c;eA==\x07",
    "\x1b[2J\x1b[201~",
    '\n{"event": "run succeeded", "level": "info"}',
    "\u202egnp.exe\u2066",
    "wide\u3000space\u200b",
    "\x9b31m\x85",
)
SHELL = (
    "$(touch canary)",
    "`touch canary`",
    "; touch canary #",
    "' ; touch canary ; '",
    '" && touch canary && "',
    "{prompt_file} {branch} {model}",
    "--help",
    "-c touch canary",
    "| touch canary\n touch canary",
    "%s %d $PATH ~ * ?",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("hostile")) as shop:
        shop.add_project("shop")
        yield shop


@contextmanager
def browser(shop: Workshop) -> Iterator[httpx.Client]:
    """A browser that signed in through a link."""
    with shop.server.visitor() as caller:
        assert caller.get(shop.server.new_link()).status_code == 303
        yield caller


def test_a12_the_cookie_is_out_of_reach_of_scripts_and_other_sites(shop: Workshop) -> None:
    with shop.server.visitor() as caller:
        given = caller.get(shop.server.new_link()).headers["set-cookie"]
    words = {word.lower() for word in given.split("; ")}
    assert given.startswith(f"runyard_{shop.server.port}=")
    assert {"httponly", "samesite=lax", "path=/"} <= words
    assert not [word for word in words if word.startswith("domain")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
    ids=str,
)
def test_a03_another_page_starts_stops_and_archives_nothing(
    shop: Workshop, headers: dict[str, str]
) -> None:
    project_id = str(shop.projects["shop"]["id"])
    run = shop.start(project_id, f"kept {headers}", delay=3600)
    before = shop.api.get("/runs").json()
    with browser(shop) as caller:
        caller.headers.update(headers)
        for method, path, body in (
            ("POST", "/runs", {"project_id": project_id, "task": "theirs", "delay": 3600}),
            ("POST", f"/runs/{run['id']}/stop", None),
            ("DELETE", f"/projects/{project_id}", None),
            ("PATCH", f"/projects/{project_id}", {"agent_command": ["sh"]}),
            ("POST", f"/projects/{project_id}/issues", {"title": "theirs"}),
            ("POST", "/projects", {"name": "theirs", "origin": str(shop.folder / "shop")}),
            ("POST", "/demo-project", None),
            ("POST", "/login-links", None),
        ):
            answer = caller.request(method, f"/api/v1{path}", json=body)
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert shop.api.get("/runs").json() == before
    assert len(shop.api.get("/projects").json()["items"]) == 1


def test_a03_no_reading_call_changes_anything(shop: Workshop) -> None:
    paths = shop.api.get("/openapi.json").json()["paths"]
    before = shop.api.get("/runs").json(), shop.api.get("/projects").json()
    with browser(shop) as caller:
        for path, calls in paths.items():
            if "get" not in calls and "{" not in path:
                # 404 where the last word could be an id, as in /runs/preview
                assert caller.get(f"/api/v1{path}").status_code in (404, 405)
    assert (shop.api.get("/runs").json(), shop.api.get("/projects").json()) == before


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "{own}", None])
def test_a04_no_answer_lets_another_page_read_it(shop: Workshop, origin: str | None) -> None:
    headers = {"Origin": origin.format(own=shop.server.page_url)} if origin else {}
    socket = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    paths = ["/", "/api/v1/runs", "/api/v1/none", "/healthz", "/metrics", "/login", socket]
    with browser(shop) as caller:
        for path in [*paths, "/assets/theme.css", "/none"]:
            for method in ("GET", "OPTIONS", "HEAD"):
                answer = caller.request(method, path, headers=headers)
                names = [name.lower() for name in answer.headers]
                assert not [name for name in names if name.startswith("access-control")]
                if origin in {"http://evil.example", "null"}:
                    assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../pyproject.toml",
        "/assets/%2e%2e/pyproject.toml",
        "/assets/..%2fpyproject.toml",
        "/assets/.%2e/%2e./app/server/application.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/..\\pyproject.toml",
        "/assets/%5c..%5cpyproject.toml",
        "/assets/theme.css%00.png",
        "/assets/....//pyproject.toml",
        "/assets/demo/../../pyproject.toml",
        "/assets/",
        "/assets/demo",
    ],
)
def test_a08_assets_are_what_stands_in_their_folder(shop: Workshop, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{shop.server.port}\r\n"
    status, answer = raw_answer(
        shop.server.port, f"{request}Connection: close\r\n\r\n".encode("latin-1")
    )
    assert status in {400, 401, 404, 405}
    assert b"[project]" not in answer
    assert b"root:" not in answer


@pytest.fixture(scope="module")
def runs_of_words(shop: Workshop) -> dict[str, dict[str, Any]]:
    """The ended run of an issue for each hostile text; all of them start at once."""
    project_id = str(shop.projects["shop"]["id"])
    runs = {}
    for hostile in HOSTILE:
        issue = shop.issue(project_id, f"a{hostile}b", body=hostile)
        runs[hostile] = shop.start(project_id, f"please fail {hostile}", issue=issue)["id"]
    return {hostile: shop.ended(run) for hostile, run in runs.items()}


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_a24_hostile_words_are_shown_whole_and_logged_as_data(
    shop: Workshop, runs_of_words: dict[str, dict[str, Any]], hostile: str
) -> None:
    run = runs_of_words[hostile]
    assert run["title"] == f"a{hostile}b"
    assert hostile in run["task"]
    for path in ("/runs/", "/projects/", "/none"):
        assert shop.api.get(path + quote(hostile)).status_code in {400, 404}
    with browser(shop) as caller:
        page = caller.get(f"/runs/{run['id']}", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "\x1b" not in page.text
    log = shop.server.log
    assert log.isascii()
    assert not [character for character in log if ord(character) < 32 and character != "\n"]
    assert {type(json.loads(line)) for line in log.splitlines()} == {dict}
    assert '{"event": "run succeeded"' not in log


@pytest.fixture(scope="module")
def runs_of_shell(shop: Workshop) -> dict[str, dict[str, Any]]:
    """The ended run of each word for a shell; all of them start at once."""
    write = f"open({str(shop.folder)!r} + f'/{{sys.argv[4]}}.json', 'w')"
    tell = f"import json, sys; json.dump(sys.argv[1:], {write})"
    command = [sys.executable, "-c", tell, "{prompt}", "{branch}", "model={model}", "{issue}"]
    project_id = shop.add_project("arguments", agent_command=command, prompt="{title}|{task}")
    runs = {}
    for word in SHELL:
        order = {"issue": shop.issue(project_id, word), "model": word.strip()}
        runs[word] = shop.start(project_id, word, delivers="report", **order)["id"]
    return {word: shop.ended(run) for word, run in runs.items()}


@pytest.mark.parametrize("word", SHELL, ids=ascii)
def test_a37_words_reach_the_agent_as_whole_arguments(
    shop: Workshop, runs_of_shell: dict[str, dict[str, Any]], word: str
) -> None:
    run = runs_of_shell[word]
    assert run["exit_code"] == 0, run
    issue = run["issue"]
    told = (shop.folder / f"{issue}.json").read_text()
    prompt, branch, model, number = json.loads(told)
    assert prompt.strip() == f"{word}|{word}".strip()
    assert not prompt.startswith("-")
    assert (branch, model, number) == (f"afk/{issue}", f"model={word.strip()}", str(issue))
    assert list(shop.folder.rglob("canary")) == []
