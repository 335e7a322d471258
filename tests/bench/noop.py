"""The reference: a FastAPI application whose POST does nothing, in its own process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

ROOT = Path(__file__).parent.parent.parent
END_SECONDS = 10


def build() -> FastAPI:
    """Return the application; its endpoint stays on the event loop, the fastest FastAPI has."""
    app = FastAPI()

    @app.post("/noop", status_code=201)
    async def noop() -> dict[str, str]:
        return {"status": "ok"}

    return app


@contextmanager
def running_noop() -> Iterator[int]:
    """Run the reference server; yield its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.noop", str(listener.fileno())],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
        )
        try:
            # connections wait in the listener's queue until it serves
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait(END_SECONDS)


def main(descriptor: int) -> None:
    """Serve on an inherited listening socket, given by its descriptor."""
    config = uvicorn.Config(build(), access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
