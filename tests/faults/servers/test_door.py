"""F1, F49, F60: a folder has one server, which stops in time and leaves its agents running."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.drivers.servers.processes import refused_start, running_server
from tests.drivers.servers.workshop import Workshop, open_workshop


def test_f49_a_second_server_names_the_first_and_harms_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert server.process is not None
        code, errors = refused_start(server.data_dir)
        assert code == 1
        assert f"pid {server.process.pid} at {server.url}" in errors
        assert "Traceback" not in errors
        code, errors = refused_start(tmp_path / "other", server.port)
        assert code == 1
        assert f"127.0.0.1:{server.port} is not free" in errors
        assert "Traceback" not in errors
        with server.client() as api:
            assert api.get("/projects").status_code == 200
    assert not (server.data_dir / "server.json").exists()


def supervisors(shop: Workshop, run_id: str) -> list[psutil.Process]:
    """Return every process of a run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RUNYARD_RUN_ID") == run_id:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_f60_a_server_that_is_stopped_ends_and_its_agents_stay(tmp_path: Path) -> None:
    with open_workshop(tmp_path) as shop:
        run = shop.live(shop.start(shop.add_project("shop"), "please wait")["id"])
        began = time.monotonic()
        shop.server.stop()
        assert time.monotonic() - began < 10
        assert supervisors(shop, run["id"])
        shop.server.start()
        with shop.server.client() as api:
            again = Workshop(shop.server, api, shop.folder)
            assert again.live(run["id"])["pid"] == run["pid"]
            assert again.stop(run["id"])["status"] == "stopped"
        assert supervisors(shop, run["id"]) == []


class SilentOrigin:
    """A local port that accepts connections and never answers; `asked` is set at the first."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked = threading.Event()
        self._lines: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL of a repository at this port."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}/shop.git"

    def _take(self) -> None:
        try:
            while True:
                self._lines.append(self._listener.accept()[0])
                self.asked.set()
        except OSError:
            return

    def close(self) -> None:
        """Close the port and its connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)
        for line in self._lines:
            line.close()


def has_hung_up(port: int) -> bool:
    """Return True once nothing accepts connections on the port."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("times", "limit"),
    # a single stop request leaves work in progress most of its ten seconds
    [pytest.param(1, 10.0, marks=pytest.mark.soak), (2, 6.0)],
)
def test_f60_an_origin_that_never_answers_does_not_hold_the_server(
    tmp_path: Path, times: int, limit: float
) -> None:
    origin = SilentOrigin()
    with running_server(tmp_path / "data") as server, server.client() as api:
        asking = threading.Thread(target=_ask, args=(api, origin.url))
        asking.start()
        assert origin.asked.wait(10)
        process, began = server.process, time.monotonic()
        assert process is not None
        process.terminate()
        while times == 2 and not has_hung_up(server.port):
            assert time.monotonic() < began + 10
        if times == 2:
            began = time.monotonic()
            process.terminate()
        assert process.wait(20) == 0
        took = time.monotonic() - began
        origin.close()
        asking.join(20)
    assert took < limit


def _ask(api: httpx.Client, url: str) -> Any:
    try:
        return api.post("/projects", json={"name": "silent", "origin": url})
    except httpx.HTTPError as lost:
        return lost
