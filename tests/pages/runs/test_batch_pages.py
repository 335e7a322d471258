"""The pages of batches: items live with their results, stop and retry of a whole batch."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from nicegui.testing.user import User

from app.api.client import batch_calls, calls
from tests.builders.repositories import make_origin
from tests.pages.conftest import House, html_of, until

WAITS = ["/bin/sh", "-c", "sleep 60"]
FAILS = ["/bin/sh", "-c", "exit 7"]


async def a_project(user: User, house: House, folder: Path, command: list[str]) -> str:
    api = house.api_of(user)
    origin = await asyncio.to_thread(make_origin, folder / "yard")
    body = {"name": "yard", "origin": str(origin), "agent_command": command}
    made = (await api.ask(calls.add_project(body))).id
    await until(lambda: house.plane.ledgers.projects.find(made).state == "ready")
    return made


async def a_batch(user: User, house: House, project: str, *lines: dict[str, Any]) -> str:
    api = house.api_of(user)
    batch = (await api.ask(batch_calls.make_batch(project, len(lines)))).id
    content = "\n".join(json.dumps({"index": n, **one}) for n, one in enumerate(lines))
    receipt = await api.ask(batch_calls.add_items(batch, content.encode()))
    assert receipt.sealed, receipt
    return batch


async def test_an_empty_list_says_how_a_batch_is_sent(user: User) -> None:
    await user.open("/batches")
    assert "runyard batch night.ndjson" in html_of(user)


async def test_items_are_shown_with_their_end_and_the_batch_is_stopped_as_a_whole(
    user: User, house: House, tmp_path: Path
) -> None:
    project = await a_project(user, house, tmp_path, WAITS)
    lines = ({"task": f"Look at part {n}"} for n in range(4))
    batch = await a_batch(user, house, project, *lines, {"issue": 99})
    await user.open("/batches")
    assert "Processing" in html_of(user)
    await user.open(f"/batches/{batch}")
    shown = html_of(user)
    assert "Look at part 3" in shown
    assert "There is no issue #99." in shown
    await until(lambda: "3 live · 1 waiting" in html_of(user))
    user.find(marker="stop-batch").click()
    await user.should_see("Stop the whole batch?")
    user.find(marker="stop-batch").click()
    await until(lambda: "1 failed · 4 stopped" in html_of(user))
    assert "Aborted" in html_of(user)


async def test_what_failed_is_run_again_and_the_page_says_how_far_that_is(
    user: User, house: House, tmp_path: Path
) -> None:
    project = await a_project(user, house, tmp_path, FAILS)
    batch = await a_batch(user, house, project, {"task": "one"}, {"task": "two"})
    await user.open(f"/batches/{batch}")
    await until(lambda: "2 failed" in html_of(user))
    await until(
        lambda: all(run.released_at for run in house.plane.ledgers.runs.newest_of(project, limit=9))
    )
    user.find(marker="retry-failed").click()
    await until(lambda: "Retried 2 of 2" in html_of(user))
    await until(lambda: html_of(user).count(">retried</a>") == 2)


async def test_a_batch_that_is_not_there_is_a_page_that_says_so(user: User) -> None:
    answer = await user.http_client.get(f"/batches/batch_c{'0' * 24}")
    assert answer.status_code == 404
    assert "There is nothing with that id." in answer.text
