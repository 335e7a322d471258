"""The real gate, accounts and sign-in around a small application, for attacks from the web."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel

from app.api.http import problems
from app.api.http.gate import Gate, visitor_of
from app.api.http.site import Site
from app.api.routes.people import sign_in
from app.domain.system.addresses import Network
from app.records.database.database import Database, DatabaseSilent
from app.records.database.migration import migrate
from app.records.people.account_ledger import AccountLedger
from app.records.people.people_ledger import PeopleLedger
from app.records.people.session_ledger import SessionLedger
from app.records.projects.project_ledger import ProjectLedger
from app.records.stores.routing import Stores
from app.services.people.accounts import Accounts
from app.services.projects.browser_rule import BrowserRule

PAGE_NAME = "0123456789ab.localhost"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class Thing(BaseModel):
    """A request body like the API's."""

    name: str


@dataclass
class Clock:
    """A clock that tests advance."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        """Advance the clock."""
        self.now += timedelta(**span)


@dataclass
class Door:
    """A gate in front of a small application; `changes` lists the changes that got through."""

    accounts: Accounts
    clock: Clock
    site: Site
    data_dir: Path
    database: Database
    changes: list[str] = field(default_factory=list)
    app: FastAPI = field(default_factory=FastAPI)

    @property
    def port(self) -> int:
        """The port at which it listens."""
        return self.site.port

    @property
    def gate(self) -> Gate:
        """The application behind its gate, as a server runs it."""
        return Gate(
            self.app,
            accounts=self.accounts,
            site=self.site,
            now=self.clock,
        )

    @property
    def address(self) -> str:
        """The origin of the pages."""
        return self.site.public_url or f"http://{PAGE_NAME}:{self.port}"

    @property
    def token(self) -> str:
        """The local token, as the CLI reads it."""
        return (self.data_dir / "token").read_text().strip()

    def sign_in(self) -> str:
        """Sign in; return the cookie header of the new session."""
        session = self.accounts.sign_in(self.accounts.make_link_token(self.clock()), self.clock())
        assert session is not None
        return f"{self.site.cookie}={session.cookie}"

    def caller(self, **headers: str) -> httpx.AsyncClient:
        """Return an in-process client; `_` in a header's name stands for `-`."""
        return self.caller_at(self.gate, **headers)

    def caller_at(self, gate: Gate, **headers: str) -> httpx.AsyncClient:
        """Return an in-process client of the given gate."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        transport = httpx.ASGITransport(gate)
        return httpx.AsyncClient(transport=transport, base_url=self.address, headers=given)


@cache
def _empty_database() -> bytes:
    """Return a migrated empty database; built once, since hundreds of tests begin with one."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "runyard.db"
        database = Database(f"sqlite:///{file}", publish=lambda _: None)
        migrate(database, backups=Path(folder) / "backups", now=START)
        database.close()
        return file.read_bytes()


def open_accounts(folder: Path) -> tuple[Accounts, Database]:
    """Open accounts on their own database in `folder`."""
    file = folder / "runyard.db"
    if not file.exists():
        file.write_bytes(_empty_database())
    database = Database(f"sqlite:///{file}", publish=lambda _: None)
    stores = Stores(database, None, os.urandom)
    ledgers = AccountLedger(stores), SessionLedger(stores), PeopleLedger(stores)
    return Accounts(ledgers, entropy=os.urandom, data_dir=folder), database


def build_door(
    folder: Path,
    *,
    port: int = 8080,
    public_url: str | None = None,
    trusted: tuple[Network, ...] = (),
) -> Door:
    """Build a gate and its application on an empty data folder."""
    accounts, database = open_accounts(folder)
    site = Site(port, PAGE_NAME, public_url=public_url, trusted=trusted)
    door = Door(accounts, Clock(), site, folder, database)
    problems.register(door.app, store_silent=DatabaseSilent)
    door.app.include_router(sign_in.routes(accounts, door.clock, site=site))
    projects = ProjectLedger(Stores(database, None, os.urandom))
    rule = BrowserRule(projects, list, lambda: None, lambda _: False)
    links = sign_in.api_routes(accounts, door.clock, rule, site=site)
    door.app.include_router(links, prefix="/api/v1")
    _add_reads(door.app)
    _add_changes(door)
    _add_streams(door)
    return door


def _add_reads(app: FastAPI) -> None:
    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/assets/theme.css")
    def theme() -> Response:
        return PlainTextResponse("a{}", media_type="text/css")

    @app.get("/")
    def home() -> HTMLResponse:
        return HTMLResponse("<h1>Runs</h1>")

    @app.get("/broken")
    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("the inner secret")

    @app.get("/api/v1/meant")
    def meant() -> Response:
        return PlainTextResponse("meant", status_code=500)

    @app.get("/api/v1/me")
    def me(request: Request) -> dict[str, str]:
        return {"name": visitor_of(request).name}

    @app.get("/api/v1/generous")
    def generous() -> Response:
        allowed = {"Access-Control-Allow-Origin": "*", "access-control-allow-credentials": "true"}
        return PlainTextResponse("x", headers=allowed)


def _add_changes(door: Door) -> None:
    @door.app.post("/api/v1/things")
    def make_thing(thing: Thing) -> Thing:
        door.changes.append(thing.name)
        return thing

    @door.app.post("/afk/reset/{project}")
    def reset(project: str) -> Response:
        door.changes.append(project)
        return Response(status_code=303, headers={"Location": "/"})

    @door.app.post("/api/v1/batches/{batch}/items")
    async def add_items(batch: str, request: Request) -> dict[str, int]:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        door.changes.append(batch)
        return {"size": size}


def _add_streams(door: Door) -> None:
    @door.app.get("/api/v1/events")
    def events() -> StreamingResponse:
        async def endless() -> AsyncIterator[str]:
            while True:
                yield "data: x\n\n"
                await asyncio.sleep(3600)

        return StreamingResponse(endless(), media_type="text/event-stream")

    @door.app.websocket("/_nicegui_ws/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            door.changes.append(text)
            if text == "sign me out":
                cookie = socket.cookies[door.site.cookie]
                await asyncio.to_thread(door.accounts.sign_out, cookie)
            await socket.send_text(f"you said {text}")


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[Door]:
    """Serve the application on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = build_door(folder, port=listener.getsockname()[1])
        config = uvicorn.Config(
            door.gate, log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield door
        finally:
            server.should_exit = True
            thread.join(10)
            door.database.close()


def raw_answer(port: int, request: bytes) -> tuple[int, bytes]:
    """Send raw bytes; return the status and the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1]), answer
