"""The order of a start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from app.announced import AnnouncedServer
from app.api.live import LiveStream
from tests.fake_planes import FakePlane
from tests.fakes import World


async def test_sweeps_begin_once_the_pages_start_is_through_and_before_anybody_is_let_in(
    tmp_path: Path,
) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        happened.append("the pages' start")
        yield

    plane = FakePlane(tmp_path, World())
    plane.migrate()
    config = uvicorn.Config(FastAPI(lifespan=lifespan), port=0, log_config=None)

    def make_link() -> str:
        happened.append("link")
        return "http://127.0.0.1/"

    server = AnnouncedServer(
        config,
        LiveStream(plane.services),
        begin=lambda: happened.append("sweeps"),
        make_link=make_link,
        open_page=lambda: setattr(server, "should_exit", True),
    )
    await server.serve()
    plane.stop()
    assert happened == ["the pages' start", "sweeps", "link"]
