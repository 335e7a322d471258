"""The time a sandbox adds to an agent's start: launches with and without one, alternating."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path

from app.adapters.engine.local import LocalEngine
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.domain.sandbox.levels import Means, SandboxLevel, SandboxPolicy
from app.services.ports import LaunchOrder
from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.fakes.agents.runs import until

ROUNDS = 5
_FIRST = "date +%s.%N > first"
_WAYS = {"none": None, "bubblewrap": Means.BUBBLEWRAP, "util-linux": Means.NAMESPACES}


def measure_enclosing(folder: Path) -> Found:
    """Measure the median milliseconds that bubblewrap adds, and that util-linux adds."""
    numbers = count(1)
    engines = {}
    for name, means in _WAYS.items():
        sandbox = MachineSandbox(OwnPlaces((folder,)), os.environ, [means] if means else [])
        sandbox.probe()
        engines[name] = LocalEngine(folder / name, instance="bench", sandbox=sandbox)

    def one_round() -> dict[str, float]:
        taken: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(ROUNDS):
            for name, engine in engines.items():
                taken[name].append(_start(engine, folder, next(numbers), bool(_WAYS[name])))
        least = {name: min(times) for name, times in taken.items()}
        return {name: (least[name] - least["none"]) * 1000 for name in engines}

    added = median_of_pairs(one_round)
    for engine in engines.values():
        engine.close()
    return {
        "sandbox": Measured(added["bubblewrap"], "bubblewrap"),
        "util_linux": Measured(added["util-linux"]),
    }


def _start(engine: LocalEngine, folder: Path, number: int, is_contained: bool) -> float:
    """Return the seconds from the launch to the agent's first instruction."""
    copy = folder / "copies" / f"run_{number}"
    copy.mkdir(parents=True)
    level = SandboxLevel.CONTAINED if is_contained else SandboxLevel.NONE
    order = LaunchOrder(
        run_id=f"run_{number}",
        argv=["/bin/sh", "-c", _FIRST],
        workdir=copy,
        env={"PATH": os.environ["PATH"]},
        budget_seconds=60,
        grace_seconds=1,
        log_cap_bytes=100_000,
        prompt="Start.",
        policy=SandboxPolicy(level),
    )
    began = time.time()
    engine.launch(order, lambda kept: None)
    told = until(lambda: _read(copy / "first"), "the agent's first instruction")
    return float(told) - began


def _read(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""
