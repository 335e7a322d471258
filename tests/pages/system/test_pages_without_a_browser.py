"""Pages whose browser never connects: a probe's, or of a tab closed while it loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.pages.shell import waiting_pages
from app.pages.shell.waiting_pages import MOST_WAITING, WaitingPages


class Page:
    """The part of a NiceGUI page that waiting for its browser uses."""

    def __init__(self, number: int) -> None:
        self.id = str(number)
        self.has_socket_connection = False
        self.is_deleted = False
        self._handlers: list[Callable[[], None]] = []

    def on_connect(self, handler: Callable[[], None]) -> None:
        self._handlers.append(handler)

    on_delete = on_connect

    def link(self) -> None:
        self.has_socket_connection = True
        for handler in self._handlers:
            handler()

    def delete(self) -> None:
        self.is_deleted = True
        for handler in self._handlers:
            handler()


def test_of_a_flood_of_loads_without_a_browser_only_so_many_wait() -> None:
    async def flood() -> list[Page]:
        waiting, pages = WaitingPages(), [Page(number) for number in range(MOST_WAITING + 50)]
        pages[0].link()
        for page in pages:
            waiting.add(page)  # pyright: ignore[reportArgumentType]
        assert len(waiting) == MOST_WAITING
        return pages

    pages = asyncio.run(flood())
    assert not pages[0].is_deleted, "somebody looks at it"
    assert [page.is_deleted for page in pages[1:50]] == [True] * 49
    assert not any(page.is_deleted for page in pages[50:])


def test_a_page_is_dropped_where_no_browser_comes_and_kept_where_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_pages, "LINK_SECONDS", 0.0)

    async def wait() -> tuple[Page, Page]:
        waiting, lost, seen = WaitingPages(), Page(1), Page(2)
        for page in (lost, seen):
            waiting.add(page)  # pyright: ignore[reportArgumentType]
        seen.link()
        while len(waiting):
            await asyncio.sleep(0)
        return lost, seen

    lost, seen = asyncio.run(wait())
    assert (lost.is_deleted, seen.is_deleted) == (True, False)
