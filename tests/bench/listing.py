"""The speed of lists of runs in a long history, compared with a short one."""

from __future__ import annotations

from tests.bench.calls import expect, send
from tests.bench.history import STATUSES
from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

READS = 40
# the prefix of the hundred oldest ids, which a search from the newest reaches last
OLDEST = "run_c" + "0" * 22


def measure_lists(few: Yard, many: Yard, projects: tuple[str, str], note: str) -> Found:
    """Measure the newest runs and the first page of each filter: many rows relative to few."""
    found: Found = {}
    for key, (few_path, many_path) in _paths(projects).items():

        def pair(few_path: str = few_path, many_path: str = many_path) -> dict[str, float]:
            little, much = _time(few, few_path), _time(many, many_path)
            return {"ratio": much / little, "little": little * 1000, "much": much * 1000}

        pair()  # warm-up: both have read the page once before it counts
        values = median_of_pairs(pair)
        times = f"{values['much']:.1f} ms / {values['little']:.1f} ms"
        found[key] = Measured(values["ratio"], f"{note}; {times}")
    return found


def _paths(projects: tuple[str, str]) -> dict[str, tuple[str, str]]:
    few, many = (f"/runs?limit=50&project_id={project}" for project in projects)
    same = {
        "newest": "",
        "by_status": f"&status={STATUSES[1]}",
        "by_trigger": "&trigger=retry",
        "by_branch": "&branch=b7",
        "by_issue": "&q=%237",
        "by_id": f"&q={OLDEST}",
    }
    paths = {key: f"/runs?limit=50{words}" for key, words in same.items()}
    return {"by_project": (few, many)} | {key: (path, path) for key, path in paths.items()}


def _time(yard: Yard, path: str) -> float:
    return expect(send(yard.reading(path, READS)), 200).p50
