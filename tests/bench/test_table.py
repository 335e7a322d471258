"""The table of the benchmark: what is judged, and what a busy machine leaves open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.table import (
    POSTGRESQL,
    ROWS,
    SQLITE,
    Found,
    Measured,
    Missing,
    Results,
    has_absolute,
    note_start,
)

CALM, BUSY = 9.0, 23.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bench-results" / "results.json"


def kept(file: Path, kind: str = SQLITE, **figures: Measured | Missing) -> Results:
    results = Results(file)
    results.keep(kind, figures, {})
    return results


def line_of(results: Results, name: str) -> list[str]:
    [line] = [line for line in results.render().splitlines() if line.startswith(f"| {name}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_ratio_is_judged_on_any_machine(file: Path) -> None:
    results = kept(file, accept=Measured(10.5, python_ms=BUSY), replay=Measured(0.3))
    assert line_of(results, "POST /runs")[1:4] == ["10.5 ×", "≤ 10 ×", "✗"]
    assert line_of(results, "replay")[3] == "✓"


def test_a_time_is_judged_where_python_starts_quickly(file: Path) -> None:
    results = kept(file, accept_cpu=Measured(2.9, python_ms=CALM))
    assert line_of(results, "server's processor time")[1:4] == ["2.9 ms", "≤ 3 ms", "✓"]
    results = kept(file, accept_cpu=Measured(3.1, python_ms=15.0))
    assert line_of(results, "server's processor time")[3] == "✗"


def test_a_time_of_a_busy_machine_gets_no_verdict(file: Path) -> None:
    results = kept(file, accept_cpu=Measured(2.9, "at rest", BUSY))
    line = line_of(results, "server's processor time")
    assert line[3] == "busy machine"
    assert line[-1] == "SQLite: at rest; `python -c 'print()'`: 23 ms"
    assert results.missed(SQLITE) == [
        "server's processor time per accept, until the answer: 2.9 ms busy machine"
    ]
    [figure] = [one for one in read(file) if one["key"] == "accept_cpu"]
    assert (figure[SQLITE]["is_met"], figure[SQLITE]["python_ms"]) == (None, BUSY)


def test_a_time_without_a_measured_start_gets_no_verdict(file: Path) -> None:
    assert line_of(kept(file, accept_cpu=Measured(2.9)), "server's processor time")[3] == ""


def test_a_floor_is_missed_below_it(file: Path) -> None:
    results = kept(file, POSTGRESQL, rate=Measured(0.02))
    assert line_of(results, "the same, 16 clients, rate")[4:7] == ["0.02 ×", "≥ 0.03 ×", "✗"]


def test_what_could_not_be_measured_says_why(file: Path) -> None:
    results = kept(file, paint=Missing("no Chromium here"))
    assert results.missed(SQLITE) == ["page of 50 cards: first paint in Chromium: no Chromium here"]


def test_results_of_both_databases_are_kept_from_run_to_run(file: Path) -> None:
    kept(file, SQLITE, accept=Measured(9, "note", CALM), paint=Missing("no Chromium here"))
    results = kept(file, POSTGRESQL, accept=Measured(13))
    assert line_of(results, "POST /runs")[1:7] == ["9 ×", "≤ 10 ×", "✓", "13 ×", "≤ 14 ×", "✓"]
    assert line_of(results, "page of 50 cards: first paint")[-1] == "SQLite: no Chromium here"


def test_pythons_start_is_noted_beside_a_value_only() -> None:
    assert note_start(Measured(1, "note"), BUSY) == Measured(1, "note", BUSY)
    assert note_start(Missing("why"), BUSY) == Missing("why")


def test_only_times_make_a_step_wait_for_a_calm_machine() -> None:
    assert has_absolute(("accept", "accept_cpu"))
    assert not has_absolute(("accept", "rate", "idle", "bytes"))


def test_no_figure_has_two_rows() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)


def read(file: Path) -> list[dict[str, Found]]:
    return json.loads(file.read_text())["figures"]
