"""The server program: prepares the data folder, builds the web application and serves it."""

from __future__ import annotations

import gc
import os
import socket
import sys
import tomllib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.staticfiles import StaticFiles
from nicegui import core, ui
from pydantic import ValidationError
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http import problems
from app.api.http.app import build_api
from app.api.http.gate import Gate
from app.api.http.permissions import guarded
from app.api.http.site import PLACED, Site
from app.api.live import LiveStream
from app.api.plain import forms
from app.api.routes import system
from app.api.routes.people import openid, sign_in
from app.api.schemas.sentences import sentence_of
from app.backup.places import CannotKeep
from app.backup.trust import SettingsUntrusted
from app.config import Settings, load_settings
from app.control_plane import ASSETS, ControlPlane
from app.control_plane.adapters import close_own_memory, wall_clock
from app.control_plane.storage import back_up, can_anybody_sign_in, put_back
from app.logs import set_up_command_logs, set_up_logs
from app.pages.shell.routes import register_pages
from app.pages.system.plain import PlainPages
from app.records.database.database import DatabaseSilent
from app.records.database.migration import HEAD, SchemaNewer, revision_of
from app.records.database.sqlite_files import DatabaseDamaged
from app.records.people.audit_pages import first_misfit
from app.server import web_app
from app.server.page_files import PageFiles
from app.server.page_server import PageServer, WrapTransport
from app.server.patches.look_notices import tell_elements_directly
from app.server.patches.page_escapes import escape_pages_fast
from app.server.patches.page_outboxes import let_outboxes_sleep
from app.server.patches.page_pings import share_ping_timer
from app.server.patches.page_sockets import bind_sockets
from app.server.patches.page_template import render_pages
from app.server.patches.request_deadlines import PageRequests, Waiting
from app.server.patches.signatures import remember_signatures
from app.server.patches.socket_shutdown import PageSocket
from app.server.patches.text_packets import send_text_packets
from app.server.startup import (
    CannotStart,
    bound_sockets,
    known_address,
    link_address_of,
    login_command,
    only_server,
    page_address_of,
    prepare_folders,
    refuse_open_bind,
    site_of,
    warn_of_unnamed_proxy,
)
from app.server.uvicorn_server import END_SECONDS, UvicornServer, end_on_signals
from app.server.welcome import Welcome, login_link
from app.services.container import Services
from app.services.ports import CannotRead
from app.services.system.doctor import Look
from app.services.system.token_file import TOKEN_FILE, rotate_token

# objects until a collection of the young, young ones until one of the next generation, and so on:
# Python's usual 700 collects four times in each change that a hundred open pages are told of
COLLECTED_AFTER = (10_000, 5, 5)
TAB_SECONDS = 60.0


class LastingFiles(StaticFiles):
    """Files that browsers cache for a year, because their URLs name a version."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        """Return the file, marked as immutable."""
        answer = super().file_response(*args, **more)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


class Web(FastAPI):
    """The application of pages and forms; its first route is the API, mounted.

    Calls of the API go there at once: only pages need the middleware in between.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on."""
        mounted = self.routes[0]
        match, own = mounted.matches(scope)
        if match is not Match.FULL:
            await super().__call__(scope, receive, send)
            return
        scope.update(own)
        await mounted.handle(scope, receive, send)


def build_gate(
    plane: ControlPlane,
    live: LiveStream | None = None,
    *,
    wrap_transport: WrapTransport | None = None,
) -> Gate:
    """Build the web application behind its gate. Pass `live` to close it before shutting down.

    `wrap_transport` gets between pages and the API.
    """
    services, site = plane.services, site_of(plane.settings)
    command = login_command(plane.settings)
    live = live or LiveStream(services)
    web = Web(openapi_url=None, docs_url=None, redoc_url=None, lifespan=_living(live))
    api = build_api(services, live, site=site, store_silent=DatabaseSilent)
    web.mount("/api/v1", api)
    for routes in (
        system.open_routes(services),
        sign_in.routes(
            services.accounts,
            services.clock,
            site=site,
            command=command,
            passwords=services.sign_ins,
        ),
        *_provider_routes(services, site),
        forms.routes(services, PlainPages(ASSETS / "plain")),
    ):
        web.router.routes.extend(routes.routes)
    web.mount("/assets/fonts", LastingFiles(directory=ASSETS / "fonts"))
    files = PageFiles(ASSETS)
    web.mount("/assets", files)
    web.router.routes.extend(web_app.routes(ASSETS, files).routes)
    problems.register(web, store_silent=DatabaseSilent)
    gate = Gate(
        guarded(web, services, {"": web.routes, "/api/v1": api.routes}),
        accounts=services.accounts,
        site=site,
        now=services.clock,
        command=command,
    )
    register_pages(PageServer(live, _from_pages(gate), services.visits, site, wrap_transport))
    render_pages(ASSETS, files)
    _put_pages_into(web, gate)
    return gate


def _from_pages(gate: Gate) -> ASGIApp:
    """Return the gate for calls of pages: these crossed no network, whatever address they name."""

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        await gate({**scope, PLACED: True}, receive, send)

    return pass_on


def _provider_routes(services: Services, site: Site) -> list[APIRouter]:
    if services.openid is None:
        return []
    return [openid.routes(services.openid, services.clock, site=site)]


def _put_pages_into(web: FastAPI, gate: Gate) -> None:
    remember_signatures()
    tell_elements_directly()
    escape_pages_fast()
    let_outboxes_sleep()
    share_ping_timer()
    send_text_packets()
    ui.run_with(
        web,
        title="Runyard",
        favicon=ASSETS / "icon.svg",
        language="en-US",
        dark=None,
        reconnect_timeout=30,
        tailwind=False,
        show_welcome_message=False,
        # a higher level costs twice the time for a thirtieth fewer bytes
        gzip_middleware_factory=partial(GZipMiddleware, compresslevel=5),
    )
    core.app.add_exception_handler(404, problems.no_such_page)
    # pages use no tab storage, but NiceGUI would keep an entry per tab for a month
    core.app.storage.max_tab_storage_age = TAB_SECONDS
    # socket.io would answer any origin: the gate refuses them first, this is a second check
    bind_sockets()
    core.sio.eio.cors_allowed_origins = lambda origin, _: gate.names.is_page_origin(origin)


def _living(live: LiveStream) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        live.open()
        yield
        live.close()

    return lifespan


def serve(
    given: dict[str, Any],
    *,
    in_window: bool,
    in_browser: bool,
    clock: Callable[[], datetime] = wall_clock,
    wrap_transport: WrapTransport | None = None,
    can_sign_in: Callable[[Settings], bool] = can_anybody_sign_in,
) -> None:
    """Run the server until it is stopped; `given` are the command-line values.

    The page opens in a desktop window if `in_window`, and else in a browser if `in_browser`.
    `can_sign_in` tells if people of other machines could sign in.
    """
    gc.freeze()  # the program itself is never garbage: scanning it at exit takes a second
    gc.set_threshold(*COLLECTED_AFTER)
    with _explained_plainly():
        # memory holds the token, sessions and addresses: keep this user's other processes out
        close_own_memory()
        settings = load_settings(**given)
        refuse_open_bind(settings, can_sign_in)
        prepare_folders(settings)
        with only_server(settings), bound_sockets(settings) as listeners:
            set_up_logs(is_expected=problems.is_silence)
            warn_of_unnamed_proxy(settings)
            end_on_signals()
            with (
                _running_plane(settings, given, clock) as plane,
                known_address(settings, page_address_of(settings)),
                closing(Welcome(plane, in_window=in_window, in_browser=in_browser)) as welcome,
            ):
                _serve(plane, welcome, listeners, wrap_transport)


@contextmanager
def _explained_plainly() -> Generator[None]:
    """Exit with one sentence if a setting, the data folder or the database is not usable."""
    set_up_command_logs()
    try:
        yield
    except ValidationError as problem:
        first = problem.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        # what is wrong with several settings together names them by itself
        whose = f"the setting RUNYARD_{name} is not usable: " if name else ""
        sys.exit(f"runyard: {whose}{sentence_of(first)}")
    except tomllib.TOMLDecodeError as problem:
        sys.exit(f"runyard: runyard.toml cannot be read: {problem}")
    except (
        *(CannotStart, SchemaNewer, DatabaseDamaged, DatabaseSilent),
        *(CannotKeep, CannotRead, OSError),
    ) as problem:
        sys.exit(f"runyard: {getattr(problem, 'sentence', None) or problem}")


def offline_login_link(given: dict[str, Any]) -> str:
    """Make a login link for a data folder's server without contacting it."""
    with _explained_plainly():
        plane = _prepare(load_settings(**given), given)
        plane.migrate()
        return login_link(plane, link_address_of(plane.settings))


def offline_token_rotate(given: dict[str, Any]) -> None:
    """Replace the token of a data folder that no server uses."""
    with _explained_plainly():
        settings = load_settings(**given)
        prepare_folders(settings)
        with only_server(settings):
            rotate_token(settings.data_root / TOKEN_FILE, os.urandom)


def offline_sign_out(given: dict[str, Any]) -> int:
    """End all browser sessions of a data folder that no server uses; return their number."""
    with _explained_plainly():
        plane = _prepare(load_settings(**given), given)
        with only_server(plane.settings):
            plane.migrate()
            return plane.services.accounts.sign_out_everywhere()


def offline_doctor(given: dict[str, Any]) -> dict[str, Any]:
    """Return doctor's findings without a server."""
    with _explained_plainly():
        plane = _prepare(load_settings(**given), given)
        return system.doctor_out(plane.services, Look.ANEW).model_dump(mode="json")


def offline_audit(given: dict[str, Any]) -> dict[str, Any]:
    """Verify the audit in a data folder's database, without a server."""
    with _explained_plainly():
        plane = _prepare(load_settings(**given), given)
        with plane.stores.control.reading() as session:
            if revision_of(session.connection()) != HEAD:
                raise CannotRead("Start Runyard once: its database has another schema.")
        found = first_misfit(plane.stores.control)
    if isinstance(found, int):
        return {"fits": True, "rows": found}
    return {"fits": False, "rows": found.fitting, "id": found.id, "because": found.because}


def offline_backup(given: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """Write a backup of a data folder, with or without a server running on it."""
    with _explained_plainly():
        return back_up(load_settings(**given), file).as_json()


def offline_restore(
    given: dict[str, Any], file: Path, agree: Callable[[list[str]], bool]
) -> dict[str, Any]:
    """Restore a backup into a data folder that no server uses.

    `agree` gets the settings in the backup as lines and returns True to accept them.
    """
    with _explained_plainly():
        settings = load_settings(**given)
        try:
            return put_back(settings, file).as_json()
        except SettingsUntrusted as unseen:
            if not agree(unseen.settings):
                raise
        return put_back(settings, file, trusts_settings=True).as_json()


def _serve(
    plane: ControlPlane,
    welcome: Welcome,
    listeners: list[socket.socket],
    wrap_transport: WrapTransport | None,
) -> None:
    live = LiveStream(plane.services)
    config = uvicorn.Config(
        build_gate(plane, live, wrap_transport=wrap_transport),
        log_config=None,
        access_log=False,
        # the gate does it, for proxies that the settings name
        proxy_headers=False,
        server_header=False,
        date_header=False,
        http=partial(PageRequests, Waiting()),  # type: ignore[arg-type]
        ws=PageSocket,
        backlog=512,
        # engine.io pings pages by itself, and compression gains nothing on loopback
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=END_SECONDS,
    )
    server = UvicornServer(config, live, begin=plane.begin, welcome=welcome.say)
    server.run(sockets=listeners)


@contextmanager
def _running_plane(
    settings: Settings, given: dict[str, Any], clock: Callable[[], datetime]
) -> Generator[ControlPlane]:
    plane = ControlPlane(settings, given=given, clock=clock)
    plane.start()
    try:
        yield plane
    finally:
        plane.stop()


def _prepare(settings: Settings, given: dict[str, Any]) -> ControlPlane:
    prepare_folders(settings)
    return ControlPlane(settings, given=given)
