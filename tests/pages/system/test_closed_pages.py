"""Closed pages: their objects are freed at once, without a garbage collection."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from nicegui import Client
from nicegui.element import Element
from nicegui.observables import ObservableCollection

from app.pages.shell.page_session import PageSession
from tests.pages.conftest import House, until

TABS = 3


@pytest.fixture
def no_search() -> Iterator[None]:
    """Disable the garbage collector, so that only reference counts free objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> dict[str, int]:
    """Count the live objects that pages are made of."""
    found = gc.get_objects()
    return {
        "pages": sum(isinstance(one, Client) for one in found),
        "visits": sum(type(one).__name__ == PageSession.__name__ for one in found),
        "elements": sum(isinstance(one, Element) for one in found),
        "words": sum(isinstance(one, ObservableCollection) for one in found),
    }


async def look_and_close(house: House, path: str) -> None:
    user = await house.sign_in()
    for _ in range(TABS):
        await user.open(path)
        seen = user.client
        assert seen is not None
        user.client = None
        seen.delete()
        del seen
    # let callbacks scheduled at the page's end run
    await asyncio.sleep(0)
    await until(lambda: not [t for t in asyncio.all_tasks() if "outbox loop" in t.get_name()])


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(
    "path",
    [
        *("/", "/quota", "/settings", "/issues", "/projects/add", "/batches"),
        *("/projects", "/runs", "/parked"),
    ],
)
async def test_a_closed_page_is_gone_at_once(house: House, path: str) -> None:
    await look_and_close(house, "/guide")  # creates the objects that all pages share
    gc.collect()
    before = left()
    await look_and_close(house, path)
    after = left()
    assert after == before | {"words": after["words"]}
    # the tab storage, which NiceGUI drops a minute later
    assert after["words"] - before["words"] <= TABS
