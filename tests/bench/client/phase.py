"""The requests of one phase, what they took, and the processor time of a server.

Standard library only: the client's environment and the tests' own both read it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from statistics import median

BROKEN = "broken"


@dataclass(frozen=True)
class Plan:
    """The requests to send: how many, by how many clients at once.

    With `key_header`, each request has a key of its own there, or all have `key`. With `pid`, each
    request waits until that process is at rest, and the processor time it uses is measured.
    """

    url: str
    requests: int
    clients: int = 1
    warm_up: int = 20
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    key_header: str = ""
    key: str = ""
    pid: int = 0


@dataclass
class Phase:
    """The figures of one phase, in seconds.

    `answers` counts statuses, and connections that broke. `processor` holds the processor time of
    the server for each request, if the plan asks for it.
    """

    seconds: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    first_error: str = ""

    @property
    def p50(self) -> float:
        """The median time of an answer."""
        return median(self.times)

    @property
    def p99(self) -> float:
        """The time below which 99 percent of the answers stay."""
        return sorted(self.times)[math.ceil(len(self.times) * 0.99) - 1]

    @property
    def rate(self) -> float:
        """The answers per second."""
        return len(self.times) / self.seconds


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process and all its threads have used, on Linux."""
    # the clock that clock_getcpuclockid(3) returns, which Python does not offer
    return time.clock_gettime((~pid << 3) | 2)
