"""Fixtures for page tests: a complete Runyard in this process, and simulated users of its pages."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from nicegui import Client, ui
from nicegui.testing.general import nicegui_reset_globals
from nicegui.testing.user import User

from app.api.client.client import ApiClient
from tests.builders.databases import put_database
from tests.drivers.compiled_once import share_parameters
from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.walks import Walk, walk

PORT = 8080
# the same limit as for server tests: a single wait may last a whole run on a busy machine
PATIENCE_SECONDS = WAIT_SECONDS
LOOK_SECONDS = 10.0


class Person(User):
    """A simulated user that looks often, and for longer, as the machine may be busy."""

    async def should_see(self, *args: Any, **kwargs: Any) -> None:
        """Look until something is shown."""
        await self._look(lambda: self._sees(*args, **kwargs))
        await super().should_see(*args, retries=1, **kwargs)

    async def should_not_see(self, *args: Any, **kwargs: Any) -> None:
        """Look until something is gone."""
        await self._look(lambda: not self._sees(*args, **kwargs))
        await super().should_not_see(*args, retries=1, **kwargs)

    async def _look(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + LOOK_SECONDS
        while not is_so() and time.monotonic() < until:
            await asyncio.sleep(0.02)


@dataclass
class House:
    """A running server without a socket."""

    plane: Any
    app: Any
    people: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def address(self) -> str:
        """The origin of its pages."""
        name = (self.plane.settings.data_root / "page-host").read_text().strip()
        return f"http://{name}:{PORT}"

    async def sign_in(self) -> User:
        """Return a new person, signed in with a separate session."""
        http = await self.people.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=self.address)
        )
        token = self.plane.services.accounts.make_link_token(self.plane.clock())
        answer = await http.get("/login", params={"token": token})
        assert answer.status_code == 303
        return Person(http)

    async def stop_writing(self, because: str) -> None:
        """Make the database unwritable, once no duty of the start can log that as an error."""
        assert await asyncio.to_thread(self.plane.workers.finish, PATIENCE_SECONDS)
        self._set_trouble(because)

    def resume_writing(self) -> None:
        """Make the database writable again."""
        self._set_trouble("")

    def _set_trouble(self, because: str) -> None:
        self.plane.database.trouble = because
        self.plane.services.store_watch.check_once()

    def api_of(self, user: User) -> ApiClient:
        """Return an API client with that person's session."""
        return ApiClient(
            user.http_client, {"Origin": self.address, "Sec-Fetch-Site": "same-origin"}
        )


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; fail after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def html_of(user: User) -> str:
    """Return the HTML of all visible `ui.html` elements, joined by newlines."""
    assert user.client is not None
    return "\n".join(
        element.content
        for element in user.client.elements.values()
        if isinstance(element, ui.html) and element.visible
    )


@asynccontextmanager
async def _alive(app: Any) -> AsyncIterator[None]:
    """Run the application's lifespan: start-up, then shutdown."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.create_task(app(scope, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    yield
    await told.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await life


@pytest.fixture(scope="session")
def _whole_program() -> None:
    """Import the program and freeze its objects: each NiceGUI reset would collect through them."""
    from app.server import application

    assert application
    share_parameters()
    gc.collect()
    gc.freeze()


def _end(plane: Any) -> None:
    # stop sweeps first: killing a run would free a slot, and the next run would start
    plane.scheduler.stop()
    plane.workers.close()
    assert plane.workers.finish(PATIENCE_SECONDS)
    engine, runs = plane.adapters.engine, plane.ledgers.runs
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (owned := engine.owned()) and time.monotonic() < give_up_at:
        for run_id in owned:
            run = runs.find(run_id)
            engine.kill(run_id, run.supervisor if run else None)
    plane.stop()
    assert owned == set()


@pytest.fixture
async def house(tmp_path: Path, _whole_program: None) -> AsyncIterator[House]:
    """A Runyard on an empty data folder."""
    with nicegui_reset_globals():
        # objects that survived the reset's collection stay: exempt them from later ones
        gc.freeze()
        # NiceGUI unloads page modules and their parents after each test, so import them again
        from app.config import load_settings
        from app.control_plane import ControlPlane
        from app.server.application import build_gate

        os.environ["NICEGUI_USER_SIMULATION"] = "true"
        settings = load_settings(data_dir=tmp_path / "data", port=PORT, kill_grace_seconds=1)
        settings.runs_root.mkdir(parents=True)
        put_database(settings)
        plane = ControlPlane(settings)
        plane.start()
        house = House(plane, build_gate(plane))
        try:
            async with _alive(house.app), house.people:
                plane.begin()  # as in the server: only after NiceGUI's scan of all objects
                # a test that changes what the start reads would race with it
                assert await asyncio.to_thread(plane.workers.finish, PATIENCE_SECONDS)
                yield house
                for client in list(Client.instances.values()):
                    client.delete()
        finally:
            del os.environ["NICEGUI_USER_SIMULATION"]
            await asyncio.to_thread(_end, plane)


@pytest.fixture
async def user(house: House) -> User:
    """A signed-in person."""
    return await house.sign_in()


@pytest.fixture
def seen() -> Iterator[Walk]:
    """The walk of a test's server: ask for it before the house, whose threads it follows."""
    with walk() as seen:
        yield seen
