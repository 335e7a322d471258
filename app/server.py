"""The program: prepares the data folder, opens the door, serves until told to stop."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import json
import logging
import os
import secrets
import signal
import socket
import sys
import tomllib
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from nicegui import core, ui
from pydantic import ValidationError

from app.api import events, problems, projects, runs, sign_in, system
from app.api.client import ApiClient
from app.api.description import describe
from app.api.gate import Gate, cookie_name
from app.api.live import LiveStream
from app.config import Settings, load_settings
from app.control_plane import ASSETS, ControlPlane
from app.logs import set_up_logs
from app.pages.routes import register_pages
from app.records.database import DatabaseSilent
from app.records.migration import SchemaNewer

log = logging.getLogger(__name__)
PAGE_CALL_SECONDS = 60
END_SECONDS = 3


class CannotStart(Exception):
    """The server cannot start; the message is a sentence a person can act on."""


@dataclass(frozen=True)
class Door:
    """What pages get of the server: the live feed, and a client for whoever opened a page."""

    live: LiveStream
    gate: Gate
    port: int

    def client_for(self, request: Request) -> ApiClient:
        """An in-process client that carries the session of the person who made `request`."""
        name = cookie_name(self.port)
        origin = f"{request.url.scheme}://{request.headers['host']}"
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.gate, raise_app_exceptions=False),
            base_url=origin,
            cookies={name: request.cookies.get(name, "")},
            timeout=PAGE_CALL_SECONDS,
            trust_env=False,
        )
        # somebody who reads a page with the token keeps being asked for it
        bearer = request.headers.get("Authorization")
        same = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        return ApiClient(http, same | ({"Authorization": bearer} if bearer else {}))


def build_gate(plane: ControlPlane) -> Gate:
    """The whole web application behind its gate; `plane` starts and stops with it."""
    services, port = plane.services, plane.settings.port
    live = LiveStream(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.open()
        yield
        live.close()

    web = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    api = _build_api(services, live)
    web.include_router(system.open_routes(services))
    web.include_router(sign_in.routes(services.accounts, services.clock, port=port))
    web.mount("/api/v1", api)
    web.mount("/assets", StaticFiles(directory=ASSETS))
    problems.register(web, store_silent=DatabaseSilent)
    gate = Gate(web, accounts=services.accounts, port=port, now=services.clock)
    register_pages(Door(live, gate, port))
    ui.run_with(
        web,
        title="Runyard",
        favicon=ASSETS / "icon.svg",
        language="en-US",
        dark=None,
        reconnect_timeout=30,
        tailwind=False,
        show_welcome_message=False,
    )
    core.app.add_exception_handler(404, problems.no_such_page)
    # socket.io would answer any origin; the gate refuses them first, this is the second bolt
    core.sio.eio.cors_allowed_origins = [
        f"http://{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")
    ]
    return gate


def _build_api(services: Any, live: LiveStream) -> FastAPI:
    api = FastAPI(title="Runyard", version=services.identity.version, docs_url=None, redoc_url=None)
    problems.register(api, store_silent=DatabaseSilent)
    api.include_router(runs.routes(services))
    api.include_router(projects.routes(services))
    api.include_router(events.routes(services, live, epoch=secrets.token_hex(4)))
    api.include_router(system.routes(services))
    api.include_router(sign_in.link_routes(services.accounts, services.clock))
    api.openapi = partial(describe, api)
    api.get("/docs", include_in_schema=False)(lambda: system.docs_page(api.openapi()))
    return api


def serve(given: dict[str, Any]) -> None:
    """Run the server until it is told to stop; `given` is what the command line said."""
    should_open = given.pop("open_browser", True)
    with _told_plainly():
        _serve(load_settings(**given), given, should_open=should_open)


@contextmanager
def _told_plainly() -> Iterator[None]:
    """End with one sentence where a setting, the data folder or the database is not usable."""
    try:
        yield
    except ValidationError as problem:
        first = problem.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        sys.exit(f"runyard: the setting RUNYARD_{name} is not usable: {first['msg']}")
    except tomllib.TOMLDecodeError as problem:
        sys.exit(f"runyard: runyard.toml cannot be read: {problem}")
    except (CannotStart, SchemaNewer, DatabaseSilent, OSError) as problem:
        sys.exit(f"runyard: {problem}")


def offline_login_link(given: dict[str, Any]) -> str:
    """A login link for the server of a data folder, made without asking it."""
    with _told_plainly():
        plane = _prepare(load_settings(**given), given)
        plane.migrate()
        return _login_link(plane)


def offline_doctor(given: dict[str, Any]) -> dict[str, Any]:
    """What doctor sees without a server."""
    with _told_plainly():
        plane = _prepare(load_settings(**given), given)
        return {
            "items": [vars(one) for one in plane.services.examine()],
            "settings": [vars(one) for one in plane.services.settings],
        }


def _serve(settings: Settings, given: dict[str, Any], *, should_open: bool) -> None:
    _refuse_open_bind(settings.host)
    _prepare_folders(settings)
    with _only_server(settings), _listening_socket(settings) as listener:
        set_up_logs()
        # the server hands a signal on once it has ended: what is open here is then closed
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        with _running_plane(settings, given) as plane, _known_address(settings):
            gate = build_gate(plane)
            config = uvicorn.Config(
                gate,
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                ws="wsproto",
                timeout_graceful_shutdown=END_SECONDS,
            )
            _Announced(config, plane, should_open=should_open).run(sockets=[listener])


@contextmanager
def _running_plane(settings: Settings, given: dict[str, Any]) -> Iterator[ControlPlane]:
    plane = ControlPlane(settings, given=given)
    plane.start()
    try:
        yield plane
    finally:
        plane.stop()


@contextmanager
def _known_address(settings: Settings) -> Iterator[None]:
    """Say in the data folder which server this is, for the command line and for a second one."""
    file = settings.data_root / "server.json"
    file.write_text(json.dumps({"pid": os.getpid(), "url": _address(settings)}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


class _Announced(uvicorn.Server):
    """Says where it is once it answers."""

    def __init__(self, config: uvicorn.Config, plane: ControlPlane, *, should_open: bool) -> None:
        super().__init__(config)
        self._plane = plane
        self._should_open = should_open

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print and open the one-time link."""
        await super().startup(sockets)
        link = await asyncio.to_thread(_login_link, self._plane)
        print(f"Runyard is ready. Open this link once, within 5 minutes:\n\n  {link}\n", flush=True)
        if self._should_open:
            await asyncio.to_thread(webbrowser.open, link)


def _login_link(plane: ControlPlane) -> str:
    token = plane.services.accounts.make_link_token(plane.clock())
    return f"{_address(plane.settings)}/login?token={token}"


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _prepare(settings: Settings, given: dict[str, Any]) -> ControlPlane:
    _prepare_folders(settings)
    return ControlPlane(settings, given=given)


def _prepare_folders(settings: Settings) -> None:
    # whatever this process and its children make is for its user alone
    os.umask(0o077)
    for folder in (settings.data_root, settings.runs_root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data_root.chmod(0o700)


def _refuse_open_bind(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise CannotStart(
            f"{host} can be reached from other machines, and nobody has a password yet: "
            "Runyard serves 127.0.0.1 only."
        )


@contextmanager
def _only_server(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock; the kernel gives it back however this process ends."""
    with (settings.data_root / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(_other_server(settings.data_root)) from error
        yield


def _other_server(data_dir: Path) -> str:
    try:
        known = json.loads((data_dir / "server.json").read_text())
        where = f"pid {int(known['pid'])} at {known['url']}"
    except (OSError, ValueError, KeyError):
        where = "its pid is not known yet"
    return f"another Runyard already uses {data_dir}: {where}"


def _listening_socket(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"{settings.host}:{settings.port} is not free ({error.strerror}): "
            "choose another with --port"
        ) from error
    return listener
