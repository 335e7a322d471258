"""TLS in front of a server, as a proxy on the same machine does it, and nothing else."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.drivers.web.certificates import make_certificate

PIECE = 65536


@contextmanager
def tls_front(port: int, upstream: int, folder: Path) -> Generator[None]:
    """Take TLS at a port of this machine, and pass the bytes on to another one, both ways."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(folder))
    loop, is_ready = asyncio.new_event_loop(), threading.Event()
    is_over = asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while piece := await reader.read(PIECE):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            inner = await asyncio.open_connection("127.0.0.1", upstream)
            await asyncio.gather(pass_on(reader, inner[1]), pass_on(inner[0], writer))

    async def serve() -> None:
        server = await asyncio.start_server(serve_one, "127.0.0.1", port, ssl=context)
        is_ready.set()
        await is_over.wait()
        server.close()

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(serve())
        loop.run_until_complete(task)
        left = asyncio.all_tasks(loop)
        for one in left:
            one.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert is_ready.wait(30), "TLS is not taken"
        yield
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
