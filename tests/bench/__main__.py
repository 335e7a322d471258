"""`make bench`: measure, print the table, keep it as JSON. BENCH_ROWS makes the history shorter."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.accepting import measure_accepting
from tests.bench.commanding import measure_first_words
from tests.bench.idling import measure_rest
from tests.bench.launching import make_large_origin, measure_launch, write_agent
from tests.bench.listing import measure_lists
from tests.bench.noop import ROOT, running_noop
from tests.bench.pages import CARDS, measure_page
from tests.bench.sweeping import measure_sweeps
from tests.bench.table import Found, as_json, missed, render
from tests.bench.yard import Yard, running_yard
from tests.repositories import make_origin

FEW_ROWS, REST_ROWS, MANY_ROWS = 1_000, 100_000, 1_000_000
MOST_SEED_SECONDS = 60
PROJECTS_WITH_HISTORY = 4
RESULTS = ROOT / "bench-results" / "results.json"


def main() -> None:
    """Take every figure that can be taken now."""
    began = time.monotonic()
    found: Found = {}
    with tempfile.TemporaryDirectory(prefix="runyard-bench-") as scratch:
        folder = Path(scratch)
        origin = make_origin(folder / "origin")
        with running_yard(folder / "few", origin) as few:
            projects = _add_projects(few, CARDS)
            _step("accepting", lambda: _measure_accepting(found, few, projects[0]))
            few.seed(projects[:PROJECTS_WITH_HISTORY], FEW_ROWS)
            _step("the command line", lambda: found.update(measure_first_words(few)))
            _step("the page of cards", lambda: found.update(measure_page(few)))
            _step("a long history", lambda: _measure_history(found, folder, few, projects[0]))
        _step("launching", lambda: _measure_launch(found, folder))
        _step("sweeping", lambda: found.update(measure_sweeps(folder / "sweeps")))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(as_json(found, _machine()), indent=2) + "\n")
    print(f"\n{render(found)}\n")
    for name in missed(found):
        print(f"✗ missed: {name}")
    print(f"{time.monotonic() - began:.0f} s; as JSON: {RESULTS}")


def _measure_accepting(found: Found, few: Yard, project_id: str) -> None:
    with running_noop() as port:
        found.update(measure_accepting(few, port, project_id))


def _measure_history(found: Found, folder: Path, few: Yard, few_project: str) -> None:
    with running_yard(folder / "many", few.origin) as many:
        # as many projects as beside it: their names are read with every list
        projects = _add_projects(many, CARDS)[:PROJECTS_WITH_HISTORY]
        _leave_a_template(many, projects[0])
        taken = many.seed(projects, REST_ROWS)
        found.update(measure_rest(many, many.sign_in()))
        rows = _affordable_rows(taken)
        if rows > REST_ROWS:
            many.seed(projects, rows - REST_ROWS, first=REST_ROWS)
        note = f"{rows:,} rows" + ("" if rows >= MANY_ROWS else ", fewer than the goal's")
        found.update(measure_lists(few, many, (few_project, projects[0]), note))


def _measure_launch(found: Found, folder: Path) -> None:
    origin = make_large_origin(folder / "large")
    with running_yard(folder / "launching", origin) as yard:
        project_id = yard.add_project("large", agent_command=write_agent(folder / "agent.sh"))
        found.update(measure_launch(yard, project_id, folder))


def _affordable_rows(seconds: float) -> int:
    """How many rows the long history gets: as asked, or what can be written in a minute."""
    if "BENCH_ROWS" in os.environ:
        return int(os.environ["BENCH_ROWS"])
    return MANY_ROWS if seconds * MANY_ROWS / REST_ROWS < MOST_SEED_SECONDS else REST_ROWS


def _add_projects(yard: Yard, count: int) -> list[str]:
    return [yard.add_project(f"p{n}", agent_command=["/bin/true"]) for n in range(count)]


def _leave_a_template(yard: Yard, project_id: str) -> None:
    """One real run, whose columns the seeded ones copy."""
    with yard.server.client() as client:
        order = {"project_id": project_id, "task": "Measure", "delay": 3600}
        client.post("/runs", json=order).raise_for_status()
    yard.end_waiting_runs()


def _step(name: str, measure: Callable[[], None]) -> None:
    print(f"measuring {name} …", end="", flush=True)
    began = time.monotonic()
    measure()
    print(f" {time.monotonic() - began:.0f} s", flush=True)


def _machine() -> dict[str, str | int]:
    return {
        "cpus": os.cpu_count() or 0,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
    }


if __name__ == "__main__":
    main()
