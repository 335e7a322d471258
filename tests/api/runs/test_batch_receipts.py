"""The receipt for one upload of many batch items, built off the event loop."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.http.gate import Gate
from app.api.http.site import Site
from app.api.routes import batches
from app.api.schemas import BatchTaken
from tests.fakes.planes import FakePlane
from tests.fakes.world import World


async def test_an_answer_of_many_lines_is_made_beside_the_loop_that_serves_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, made_by, real = World(), set[int](), BatchTaken.model_validate

    def made(*given: Any) -> BatchTaken:
        made_by.add(threading.get_ident())
        return real(*given)

    monkeypatch.setattr(BatchTaken, "model_validate", made)
    plane = FakePlane(tmp_path, world, max_live_runs=1)
    try:
        project, web = plane.add_project(world), FastAPI()
        web.include_router(batches.routes(plane.services))
        gate = Gate(web, accounts=plane.services.accounts, site=Site(8080), now=plane.clock)
        batch = plane.services.batches.open(
            project.id, 3, None, plane.requester(), plane.clock()
        ).batch
        lines = [{"index": at, "depth_level": "quick", "task": "look"} for at in range(2)]
        token = (plane.settings.data_root / "token").read_text().strip()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(gate),
            base_url="http://127.0.0.1:8080",
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"},
        ) as caller:
            content = "\n".join(json.dumps(line) for line in lines)
            answer = await caller.post(f"/batches/{batch.id}/items", content=content)
    finally:
        plane.stop()
    assert [one["status"] for one in answer.json()["items"]] == ["accepted"] * 2
    assert made_by
    assert threading.get_ident() not in made_by
