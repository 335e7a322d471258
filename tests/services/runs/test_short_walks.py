"""Short walks: how much of the program an accepted run and an AFK start go through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.api.live import LiveStream
from app.server.application import build_gate
from tests.builders.databases import KINDS, shared_database
from tests.drivers import afk
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.query_plans import statements_of
from tests.drivers.walks import Walk, walk

PORT = 8080
HOUR = 3600


@pytest.fixture
def seen() -> Iterator[Walk]:
    """The walk of a test's plane."""
    with walk() as seen:
        yield seen


@pytest.fixture
def followed(seen: Walk, tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane whose threads are followed, because they start inside the walk."""
    with real_plane(tmp_path, port=PORT) as plane:
        yield plane


@contextmanager
def gate_of(plane: RealPlane) -> Iterator[httpx.AsyncClient]:
    """Build the whole application in this process; yield a client with the operator's token."""
    live = LiveStream(plane.services)
    token = (plane.settings.data_root / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(build_gate(plane, live))
    live.open()
    try:
        yield httpx.AsyncClient(
            transport=transport, base_url=f"http://127.0.0.1:{PORT}/api/v1", headers=headers
        )
    finally:
        live.close()


async def test_an_accepted_run_is_one_look_and_one_transaction(
    seen: Walk, followed: RealPlane
) -> None:
    project = followed.add_project()
    body = {"project_id": project.id, "task": "Measure", "delay": HOUR}
    with gate_of(followed) as http:
        # the first call also reads who holds the token
        for key in ("first", "second"):
            await asyncio.to_thread(followed.rest)
            seen.restart()
            answer = await http.post("/runs", json=body, headers={"x-idempotency-key": key})
            assert answer.status_code == 201
        assert (seen.read_sessions, seen.transactions) == (1, 1)
        assert len(seen.files) <= 62, seen.files


def test_an_afk_start_is_a_short_walk_to_its_agent(seen: Walk, followed: RealPlane) -> None:
    project = followed.add_project(afk.SLEEP)
    afk.add_issues(followed, project, 2)
    seen.restart()
    run = afk.start(followed, project, key="once").run
    assert (seen.read_sessions <= 17, seen.transactions <= 7) == (True, True), vars(seen)
    assert len(seen.files) <= 84, seen.files
    assert followed.run(run.id).status == "running"


@pytest.mark.parametrize("kind", KINDS)
def test_an_accepted_run_is_decided_by_few_statements(tmp_path: Path, kind: str) -> None:
    with real_plane(tmp_path, database_url=shared_database(tmp_path, kind)) as plane:
        order = plane.order(plane.add_project(), delay_seconds=HOUR)
        asked = statements_of(lambda: plane.accept(order, "key"))
    assert len([text for text, _ in asked if "FROM" in text]) == 4, asked
