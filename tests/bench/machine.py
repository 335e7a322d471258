"""How busy the machine is, told by the time that Python's own start takes."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

# above it, milliseconds and seconds say more about the machine than about Runyard
QUICK_MS = 15.0
STARTS = 5
PAUSE_SECONDS = 5.0


def time_python_start() -> float:
    """Return the milliseconds of `python -c 'print()'`, the median of five."""
    return 1000 * median(_time_once() for _ in range(STARTS))


def await_calm(seconds: float) -> None:
    """Wait until Python starts quickly, or for so many seconds at most."""
    give_up_at = time.monotonic() + seconds
    while time_python_start() > QUICK_MS and time.monotonic() < give_up_at:
        time.sleep(PAUSE_SECONDS)


def _time_once() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "print()"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
