"""A window onto a server that is already running."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

from app.cli.client.connection import Server, Unreachable, connect, data_folder, new_link
from app.cli.client.running_server import KnownServer, known_server
from app.cli.output.terminal import out
from app.native.window import Window

SERVER_ENDED = "Runyard has ended, and its window with it. Start both with: runyard serve --native"


def join(data_dir: Path | None, *, in_browser: bool) -> bool:
    """Show a window onto a data folder's server until it closes; return False if none runs."""
    folder = data_folder(data_dir)
    known = known_server(folder)
    if known is None or not known.is_serving:
        return False
    try:
        server = connect(folder)
        if not server.is_ready():
            return False
    except Unreachable:
        return False
    _stay(folder, server, known, in_browser=in_browser)
    return True


def _stay(folder: Path, server: Server, known: KnownServer, *, in_browser: bool) -> None:
    has_ended = threading.Event()
    window = Window(
        folder,
        lambda: _link_to_pages(folder, server, known),
        in_browser=in_browser,
        closed=f"The window is closed; Runyard keeps running at {server.url}.",
    )

    def follow_server() -> None:
        _wait_for_end(known.pid)
        has_ended.set()
        window.close()

    window.open()
    threading.Thread(target=follow_server, daemon=True).start()
    try:
        window.wait()
    finally:
        window.close()
    if has_ended.is_set():
        out().print(SERVER_ENDED)


def _link_to_pages(folder: Path, server: Server, known: KnownServer) -> str:
    # a window shows one origin only, which excludes the redirect from 127.0.0.1 to the pages
    link = new_link(server, folder)
    return known.page_url + link.removeprefix(server.url)


def _wait_for_end(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([process], [], [])
    finally:
        os.close(process)
