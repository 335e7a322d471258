"""Entry point of servers under test: main.py's, with a clock and a transport that a test controls.

`RUNYARD_TEST_CLOCK=<file>` names a file with the seconds by which the server's clock is ahead, or
behind if negative; it is read at each call and may be missing. `RUNYARD_TEST_FAULTS=<file>` names
the fault rules between pages and the API (tests/fakes/faulty_transport.py).
`RUNYARD_TEST_DEADLINES="<seconds> <seconds>"` are the deadlines of headers and of bodies.
`RUNYARD_TEST_POINTS=<file>` names the failpoints that a running server takes at each SIGUSR2.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.main import main
from app.control_plane.adapters import wall_clock
from app.failpoints import set_failpoints

CLOCK, FAULTS, POINTS = "RUNYARD_TEST_CLOCK", "RUNYARD_TEST_FAULTS", "RUNYARD_TEST_POINTS"
DEADLINES = "RUNYARD_TEST_DEADLINES"


def seams_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments for `app.server.application.serve` that this environment asks for."""
    seams: dict[str, Any] = {}
    if file := environment.get(CLOCK):
        seams["clock"] = shifted_clock(Path(file))
    if file := environment.get(FAULTS):
        # imported late: the other servers need none of it
        from tests.fakes.faulty_transport import Faults, FaultyTransport

        seams["wrap_transport"] = partial(FaultyTransport, faults=Faults(Path(file)))
    if seconds := environment.get(DEADLINES):
        # imported late: only a server needs it
        from app.server.patches import request_deadlines

        first, second = map(float, seconds.split())
        request_deadlines.HEADER_SECONDS, request_deadlines.BODY_IDLE_SECONDS = first, second
    return seams


def take_points_on_signal(environment: Mapping[str, str]) -> None:
    """Replace the failpoints at each SIGUSR2, if this environment names a file for them.

    The file holds a JSON object of environment variables; it is removed once they hold.
    """
    if name := environment.get(POINTS):
        file = Path(name)

        def take(*_: object) -> None:
            set_failpoints(json.loads(file.read_text()))
            file.unlink()

        signal.signal(signal.SIGUSR2, take)


def shifted_clock(file: Path) -> Callable[[], datetime]:
    """Return a clock that is ahead by the seconds in the file."""

    def now() -> datetime:
        try:
            ahead = timedelta(seconds=float(file.read_text()))
        except FileNotFoundError:
            ahead = timedelta()
        return wall_clock() + ahead

    return now


if __name__ == "__main__":
    take_points_on_signal(os.environ)
    main(seams_of(os.environ))
