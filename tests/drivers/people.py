"""People of several organisations at one Runyard, each with a browser of their own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import FastAPI

from app.api.http import problems
from app.api.http.app import build_api
from app.api.http.gate import Gate
from app.api.http.permissions import guarded
from app.api.http.site import Site
from app.api.live import LiveStream
from app.api.plain import forms
from app.api.routes.people import openid, sign_in
from app.control_plane import ASSETS
from app.pages.system.plain import PlainPages
from app.records.database.database import DatabaseSilent
from app.records.tables import Project
from app.services.ports import IdentityProvider
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

PORT = 8080
HOST = f"127.0.0.1:{PORT}"
OWN = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
PASSWORD = "correct horse battery"


@dataclass
class Town:
    """A plane behind its real gate, and the people who were invited to it."""

    plane: FakePlane
    world: World
    gate: Gate

    def caller(self, **headers: str) -> httpx.AsyncClient:
        """Return a client with these headers and cookies of its own."""
        return self.caller_from("127.0.0.1", **headers)

    def caller_from(self, address: str, **headers: str) -> httpx.AsyncClient:
        """Return a client at this address."""
        transport = httpx.ASGITransport(
            self.gate, raise_app_exceptions=False, client=(address, 5000)
        )
        base = f"http://{HOST}"
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)

    def token(self) -> httpx.AsyncClient:
        """Return the local operator's client, by the data folder's token."""
        token = (self.plane.settings.data_root / "token").read_text().strip()
        return self.caller(Authorization=f"Bearer {token}")

    async def invite(self, by: httpx.AsyncClient, email: str, **wishes: object) -> str:
        """Invite a person; return the path of the invitation."""
        answer = await by.post("/api/v1/people", json={"email": email, **wishes})
        assert answer.status_code == 201, answer.text
        url = urlsplit(answer.json()["invitation"]["url"])
        return f"{url.path}?{url.query}"

    async def join(self, by: httpx.AsyncClient, email: str, **wishes: object) -> httpx.AsyncClient:
        """Invite a person, accept as they would, and return their browser."""
        path = await self.invite(by, email, **wishes)
        person = self.caller(**OWN)
        token = path.partition("token=")[2]
        sent = urlencode({"token": token, "password": PASSWORD})
        answer = await person.post("/login/invitation", content=sent, headers=FORM)
        assert answer.status_code == 303, answer.text
        return person

    async def sign_in(self, email: str, password: str = PASSWORD, code: str = "") -> httpx.Response:
        """Post the sign-in form in a new browser."""
        sent = urlencode({"email": email, "password": password, "code": code})
        return await self.caller(**OWN).post("/login", content=sent, headers=FORM)

    def add_project(self, organisation: str | None = None) -> Project:
        """Register a project, and give it to an organisation."""
        project = self.plane.add_project(self.world)
        if organisation is not None:
            self.plane.ledgers.projects.change(project.id, organisation_id=organisation)
        return project


@contextmanager
def open_town(
    folder: Path, provider: IdentityProvider | None = None, **wishes: Any
) -> Generator[Town]:
    """Open a town on an empty data folder, with a provider of OpenID Connect if given."""
    world = World()
    plane = FakePlane(folder, world, port=PORT, identity_provider=provider, **wishes)
    services, site = plane.services, Site(PORT)
    web = FastAPI()
    problems.register(web, store_silent=DatabaseSilent)
    api = build_api(services, LiveStream(services), site=site, store_silent=DatabaseSilent)
    web.mount("/api/v1", api)
    signing = sign_in.routes(
        services.accounts, services.clock, site=site, passwords=services.sign_ins
    )
    web.router.routes.extend(signing.routes)
    if services.openid is not None:
        back = openid.routes(services.openid, services.clock, site=site)
        web.router.routes.extend(back.routes)
    plain = forms.routes(services, PlainPages(ASSETS / "plain"))
    web.router.routes.extend(plain.routes)
    inner = guarded(web, services, {"": web.routes, "/api/v1": api.routes})
    gate = Gate(inner, accounts=services.accounts, site=site, now=services.clock)
    try:
        yield Town(plane, world, gate)
    finally:
        plane.rest()
        plane.stop()
