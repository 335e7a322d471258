"""The walk of `POST /runs`: how much of the program one accepted run goes through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from nicegui.testing.user import User

from tests.builders.run_scenes import WAITS, add_project
from tests.drivers.walks import Walk
from tests.pages.conftest import PATIENCE_SECONDS, PORT, House

HOUR = 3600


async def test_an_accepted_run_is_one_look_and_one_transaction(
    seen: Walk, house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    house.plane.scheduler.stop()  # a periodic duty that comes between would be counted, too
    body = {"project_id": project.id, "task": "Measure", "delay": HOUR}
    token = (house.plane.settings.data_root / "token").read_text().strip()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app),
        base_url=f"http://127.0.0.1:{PORT}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    ) as http:
        # the first call also reads who holds the token
        for key in ("first", "second"):
            assert await asyncio.to_thread(house.plane.workers.finish, PATIENCE_SECONDS)
            seen.restart()
            answer = await http.post("/runs", json=body, headers={"x-idempotency-key": key})
            assert answer.status_code == 201
    assert (seen.glances, seen.read_sessions, seen.transactions) == (1, 0, 1)
    assert len(seen.files) <= 60, seen.files
