"""The server's memory does not grow with closed tabs, nor with pages loaded without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep

import psutil
import pytest
from playwright.sync_api import Browser

from tests.drivers.servers.processes import RunyardServer, running_server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3 * 3600)]
CYCLES, WARM = 2000, 300
MOST_GROWN = 20e6
# a closed tab may come back for half a minute
SETTLED_SECONDS = 45.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    folder = tmp_path_factory.mktemp("memory") / "data"
    folder.mkdir(mode=0o700)
    with running_server(folder) as server:
        yield server


def resident(server: RunyardServer) -> int:
    """Return the server's resident memory in bytes, once closed tabs are given up."""
    assert server.process is not None
    process, until = psutil.Process(server.process.pid), monotonic() + SETTLED_SECONDS
    while monotonic() < until:
        sleep(1)
    return int(process.memory_info().rss)


def grown(server: RunyardServer, cycle: Callable[[], None]) -> int:
    for _ in range(WARM):
        cycle()
    before = resident(server)
    for _ in range(CYCLES):
        cycle()
    return resident(server) - before


def test_pages_loaded_without_a_socket_are_given_back(server: RunyardServer) -> None:
    with server.visitor(Accept="text/html") as probe:
        assert probe.get(server.new_link()).status_code == 303

        def load() -> None:
            assert probe.get("/").status_code == 200

        assert grown(server, load) < MOST_GROWN


def test_tabs_opened_and_closed_are_given_back(server: RunyardServer, browser: Browser) -> None:
    context = browser.new_context()
    link = server.new_link()
    context.new_page().goto(link)

    def look() -> None:
        tab = context.new_page()
        tab.goto(server.page_url)
        tab.wait_for_function("window.socket && window.socket.connected")
        tab.close()

    assert grown(server, look) < MOST_GROWN
