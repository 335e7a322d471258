"""A1 to A8, A10, A12: the same attacks on the whole program, started as people start it."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.builders.databases import only_on_sqlite
from tests.drivers.cli.shells import Shell
from tests.drivers.servers.processes import RunyardServer, free_port, fresh_server
from tests.drivers.web.web_doors import raw_answer

# the manifest and the service worker are the same for everybody
OPEN = {"/healthz", "/readyz", "/login", "/manifest.webmanifest", "/sw.js"}
SOCKET_PATH = "/_nicegui_ws/socket.io/?EIO=4&transport="
LISTENS = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
LIST_ROUTES = """
import json, sys
from pathlib import Path
from app.config import load_settings
from app.control_plane import ControlPlane
from app.server.application import build_gate

def listed(routes, before=""):
    for route in routes:
        path = before + getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        if inner:
            yield from listed(inner, path)
        elif hasattr(route, "original_router"):
            yield from listed(route.original_router.routes, before)
        else:
            yield path, sorted(getattr(route, "methods", None) or ["GET"])

settings = load_settings(data_dir=Path(sys.argv[1]))
print(json.dumps(list(listed(build_gate(ControlPlane(settings))._app._app._app.routes))))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    data_dir = tmp_path_factory.mktemp("server") / "data"
    data_dir.mkdir()
    data_dir.chmod(0o755)
    with fresh_server(data_dir) as server:
        yield server


def caller(server: RunyardServer, **headers: str) -> httpx.Client:
    """A client of the server that sends these headers only."""
    return server.visitor(**headers)


def sign_in(server: RunyardServer) -> str:
    """Return the cookie header of a new session."""
    with caller(server) as browser:
        return browser.get(server.new_link()).headers["set-cookie"].partition(";")[0]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[str]]]:
    """Every route of the program with its methods; ids in paths are `x`."""
    folder = tmp_path_factory.mktemp("routes")
    told = Shell(folder).run("-c", LIST_ROUTES, str(folder))
    assert told.code == 0, told.err
    table = json.loads(told.out.splitlines()[-1])
    return [(re.sub(r"\{[^}]*\}", "x", path) or "/", methods) for path, methods in table]


def test_a08_no_route_answers_without_a_secret(
    server: RunyardServer, routes: list[tuple[str, list[str]]]
) -> None:
    known = {path for path, _ in routes}
    assert {"/", "/login", "/projects/x", "/api/v1/runs", "/_nicegui_ws", "/metrics"} <= known
    with caller(server) as browser:
        answered = {
            (method, path): browser.request(method, path).status_code
            for path, methods in routes
            for method in {*methods, "GET", "POST", "DELETE"}
            if not (path in OPEN and method in {"GET", "HEAD"}) and not path.startswith("/assets")
        }
    assert {call: status for call, status in answered.items() if status != 401} == {}
    assert len(answered) > 100


def test_a08_the_unauthenticated_corners_of_libraries_are_closed(server: RunyardServer) -> None:
    corners = ["/docs", "/redoc", "/openapi.json", "/favicon.ico", "/_nicegui/auto/static/x"]
    corners += ["/api/v1/docs", "/api/v1/openapi.json", "/metrics", SOCKET_PATH + "polling"]
    with caller(server) as browser:
        assert {path: browser.get(path).status_code for path in corners} == dict.fromkeys(
            corners, 401
        )


def test_a03_no_route_changes_anything_for_another_page(
    server: RunyardServer, routes: list[tuple[str, list[str]]]
) -> None:
    session = sign_in(server)
    with caller(server, cookie=session, origin="http://evil.example") as browser:
        answered = {
            (method, path): browser.request(method, path, json={}).status_code
            for path, methods in routes
            for method in {*methods, "POST"} - {"GET", "HEAD"}
        }
    assert {call: status for call, status in answered.items() if status != 403} == {}


def test_a04_socket_io_reflects_no_origin(server: RunyardServer) -> None:
    with caller(server, cookie=sign_in(server), origin=server.page_url) as browser:
        own = browser.get(SOCKET_PATH + "polling")
        assert own.status_code == 200
        assert not [name for name in own.headers if name.startswith("access-control")]
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            foreign = browser.get(SOCKET_PATH + "polling", headers={"origin": origin})
            assert foreign.status_code == 403
            assert not [name for name in foreign.headers if name.startswith("access-control")]


async def handshake(server: RunyardServer, headers: dict[str, str]) -> str | int:
    """Return the socket's first message, or the status of the refusal."""
    address = f"ws://{server.page_host}{SOCKET_PATH}websocket"
    where = {"host": "127.0.0.1", "port": server.port, "proxy": None}
    try:
        async with connect(address, additional_headers=headers, **where) as line:
            return str(await line.recv())
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def test_a02_the_live_socket_is_for_our_own_page_only(server: RunyardServer) -> None:
    cookie = {"Cookie": sign_in(server)}
    own = await handshake(server, {**cookie, "Origin": server.page_url})
    assert str(own).startswith('0{"sid"')
    for origin in ("http://evil.example", "null", server.url):
        assert await handshake(server, {**cookie, "Origin": origin}) == 403
    assert await handshake(server, cookie) == 403
    assert await handshake(server, {"Origin": server.page_url}) == 403
    assert (
        await handshake(
            server, {"Authorization": f"Bearer {server.token}", "Origin": server.page_url}
        )
        == 403
    )


def test_a01_the_program_answers_under_no_other_name(server: RunyardServer) -> None:
    for host in ("evil.example", f"127.0.0.1.evil.example:{server.port}", "127.0.0.1"):
        lines = [f"Host: {host}", f"Authorization: Bearer {server.token}"]
        request = "\r\n".join(["GET /healthz HTTP/1.1", *lines, "Connection: close", "", ""])
        assert raw_answer(server.port, request.encode())[0] == 400


def listening_addresses(pid: int) -> set[str]:
    """Return the addresses that a process listens on, in the kernel's notation."""
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since the listing
            held.add(os.readlink(entry))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENS and f"socket:[{words[9]}]" in held:
                found.add(words[1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own table of sockets")
def test_a06_the_server_listens_on_loopback_only(server: RunyardServer) -> None:
    assert server.process is not None
    listening = listening_addresses(server.process.pid)
    assert f"{server.port:04X}" in {address.partition(":")[2] for address in listening}
    assert {address.partition(":")[0] for address in listening} <= LOOPBACK


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a06_another_address_is_refused_while_nobody_can_sign_in(tmp_path: Path, host: str) -> None:
    where = ["--host", host, "--port", str(free_port()), "--data-dir", str(tmp_path / "data")]
    ended = Shell(tmp_path).run("serve", "--no-open", *where)
    assert ended.code != 0
    assert "a way to sign in" in ended.err
    assert "login?token" not in ended.out


@only_on_sqlite("its database is no file of the folder")
def test_a07_an_open_folder_is_closed_before_anything_is_written(server: RunyardServer) -> None:
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    for name in ("token", "runyard.db", "lock", "server.json", "runs"):
        assert stat.S_IMODE((server.data_dir / name).stat().st_mode) & 0o077 == 0, name


def test_a07_a_first_start_makes_a_token_that_only_its_user_can_read(server: RunyardServer) -> None:
    kept = [path for path in server.data_dir.rglob("*") if path.name != "server.log"]
    open_to_others = [path for path in kept if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert open_to_others == []
    assert len(server.token) == 43


def test_a10_the_printed_link_works_once_and_its_token_is_in_no_log(server: RunyardServer) -> None:
    token = server.login_link.partition("token=")[2]
    with caller(server) as browser:
        assert browser.get(server.login_link).status_code == 303
        assert browser.get("/").status_code == 200
    with caller(server, accept="text/html") as browser:
        again = browser.get(server.login_link)
    assert again.status_code == 401
    assert "runyard login-link" in again.text
    for secret in (token, server.token):
        assert secret not in server.log


def test_a12_the_program_sets_one_cookie_and_ends_it(server: RunyardServer) -> None:
    session = sign_in(server)
    with caller(server, cookie=session, origin=server.page_url) as browser:
        page = browser.get("/")
        assert (page.status_code, page.headers.get("set-cookie")) == (200, None)
        assert browser.post("/logout").status_code == 303
    with caller(server, cookie=session) as browser:
        assert browser.get("/api/v1/runs").status_code == 401
