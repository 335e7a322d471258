"""The reference: a FastAPI application whose POST does nothing, in its own process.

It is the fastest that FastAPI has: uvicorn with httptools and uvloop, and an endpoint on the event
loop. It reads and checks a JSON body, as any POST does.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

ROOT = Path(__file__).parent.parent.parent
END_SECONDS = 10


class Order(BaseModel):
    """The body of a POST /runs, as the bench sends it."""

    project_id: str
    task: str


def build() -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.post("/noop", status_code=201)
    async def noop(order: Order) -> dict[str, str]:
        return {"project_id": order.project_id}

    return app


@contextmanager
def running_noop() -> Iterator[str]:
    """Run the reference server; yield the address of its POST."""
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
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/noop"
        finally:
            process.terminate()
            process.wait(END_SECONDS)


def main(descriptor: int) -> None:
    """Serve on an inherited listening socket, given by its descriptor."""
    config = uvicorn.Config(
        build(), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
