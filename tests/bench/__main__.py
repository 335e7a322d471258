"""`make bench`: measure, print the table, keep it as JSON.

A row that fails does not keep the others from being taken. `--row` takes some alone, `--short`
takes less of everything: enough to see that a row works, too little to tell its figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

from tests.bench.machine import QUICK_MS, await_calm, time_python_start
from tests.bench.noop import ROOT
from tests.bench.steps import STEPS, Ground, Step
from tests.bench.table import (
    KINDS,
    KNOWN,
    POSTGRESQL,
    SQLITE,
    Found,
    Missing,
    Results,
    has_absolute,
    note_start,
)
from tests.drivers.servers.postgresql import PostgresServer, find_programs, postgres_server

RESULTS = ROOT / "bench-results" / "results.json"
SHORT_RESULTS = RESULTS.with_name("short.json")
TABLE = ROOT / "docs" / "speed.md"
TABLE_HEAD = "<!-- what `make bench` measured; written by `make bench ARGS=--write` -->\n"
# how often a step is taken on a busy machine, and how long it waits for a calm moment before
TRIES, CALM_WITHIN_SECONDS = 3, 60
# Debian's defaults: no safety is traded for speed
AS_INSTALLED = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "jit": "on",
    "shared_buffers": "128MB",
}


def main() -> None:
    """Measure the figures that were asked for, print the table and keep it."""
    asked = _parse()
    began = time.monotonic()
    results = Results(SHORT_RESULTS if asked.short else RESULTS)
    with ExitStack() as until_end, tempfile.TemporaryDirectory(prefix="runyard-bench-") as scratch:
        server = _postgresql(until_end) if asked.database == POSTGRESQL else None
        with Ground(Path(scratch), server, is_short=asked.short) as ground:
            for step in _steps(asked.row):
                results.keep(asked.database, _take(step, ground), _machine(server))
    print(f"\n{results.render()}\n")
    for words in results.missed(asked.database):
        print(f"{asked.database}: {words}")
    print(f"{time.monotonic() - began:.0f} s")
    if asked.write:
        _write(results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--database", choices=KINDS, default=SQLITE)
    parser.add_argument(
        "--row", action="append", default=[], choices=sorted(KNOWN), help="only this; repeatable"
    )
    parser.add_argument("--short", action="store_true", help="less of everything")
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    asked = parser.parse_args()
    if asked.short and asked.write:
        parser.error("what was measured in short is not written down")
    return asked


def _postgresql(until_end: ExitStack) -> PostgresServer:
    if find_programs() is None:
        sys.exit("make bench: PostgreSQL is not installed")
    return until_end.enter_context(postgres_server(**AS_INSTALLED))


def _steps(rows: list[str]) -> list[Step]:
    return [step for step in STEPS if not rows or set(rows) & set(step.keys)]


def _take(step: Step, ground: Ground) -> Found:
    """Take a step; again, a few times at most, if the machine was too busy to judge a row."""
    tries = 1 if ground.is_short or not has_absolute(step.keys) else TRIES
    found: Found = {}
    for _ in range(tries):
        if tries > 1:
            await_calm(CALM_WITHIN_SECONDS)
        before = time_python_start()
        print(f"measuring {step.name} …", end="", flush=True)
        found = _measure(step, ground)
        started_in = max(before, time_python_start())
        found = {key: note_start(one, started_in) for key, one in found.items()}
        print(f"; `python -c 'print()'`: {started_in:.0f} ms", flush=True)
        if started_in <= QUICK_MS:
            break
    return found


def _measure(step: Step, ground: Ground) -> Found:
    began = time.monotonic()
    try:
        return step.measure(ground)
    except Exception as problem:
        print(f"\n{traceback.format_exc()}", file=sys.stderr)
        why = f"failed: {type(problem).__name__}: {problem}".splitlines()[0][:200]
        return {key: Missing(why) for key in step.keys}
    finally:
        print(f" {time.monotonic() - began:.0f} s", end="")


def _machine(server: PostgresServer | None) -> dict[str, str | int]:
    versions = {"sqlite": sqlite3.sqlite_version}
    if server is not None:
        versions["postgresql"] = str(server.tell("SHOW server_version")[0][0])
    return {
        "cpus": os.cpu_count() or 0,
        "python": platform.python_version(),
        "system": platform.platform(),
        **versions,
    }


def _write(results: Results) -> None:
    before, mark, _ = TABLE.read_text().partition(TABLE_HEAD)
    TABLE.write_text(f"{before}{mark}\n{results.render()}\n")
    print(f"written: {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
