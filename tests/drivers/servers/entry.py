"""Entry point of servers under test: main.py's, with a clock and a transport that a test controls.

`RUNYARD_TEST_CLOCK=<file>` names a file with the seconds by which the server's clock is ahead, or
behind if negative; it is read at each call and may be missing. `RUNYARD_TEST_FAULTS=<file>` names
the fault rules between pages and the API (tests/fakes/faulty_transport.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.main import main
from app.control_plane.adapters import wall_clock

CLOCK, FAULTS = "RUNYARD_TEST_CLOCK", "RUNYARD_TEST_FAULTS"


def seams_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments for `app.server.application.serve` that this environment asks for."""
    seams: dict[str, Any] = {}
    if file := environment.get(CLOCK):
        seams["clock"] = shifted_clock(Path(file))
    if file := environment.get(FAULTS):
        # imported late: the other servers need none of it
        from tests.fakes.faulty_transport import Faults, FaultyTransport

        seams["wrap_transport"] = partial(FaultyTransport, faults=Faults(Path(file)))
    return seams


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
    main(seams_of(os.environ))
