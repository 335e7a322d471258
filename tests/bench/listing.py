"""The speed of lists of runs in a long history, compared with a short one."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.words import READY_LABEL
from tests.bench.calls import expect, send
from tests.bench.client.phase import processor_seconds
from tests.bench.history import STATUSES
from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard

READS = 40
BODY = "Some lines of text, as people write them.\n\n" * 20
# the prefix of the hundred oldest ids, which a search from the newest reaches last
OLDEST = "run_c" + "0" * 22


def measure_lists(few: Yard, many: Yard, projects: tuple[str, str], note: str) -> Found:
    """Measure the newest runs and the first page of each filter: many rows relative to few."""
    found: Found = {}
    for key, (few_path, many_path) in _paths(projects).items():

        def pair(few_path: str = few_path, many_path: str = many_path) -> dict[str, float]:
            (little, _), (much, used) = _time(few, few_path), _time(many, many_path)
            return {"ratio": much / little, "little": little, "much": much, "cpu": used}

        pair()  # warm-up: both have read the page once before it counts
        values = median_of_pairs(pair)
        times = f"{values['much']:.1f} ms / {values['little']:.1f} ms"
        found[key] = Measured(values["ratio"], f"{note}; {times}")
        if key == "newest":
            used = f"{values['cpu']:.1f} ms of processor time; {note}"
            found["newest_time"] = Measured(values["much"], used)
    return found


def measure_board(yard: Yard, projects: Sequence[str], issues: int) -> Found:
    """Measure the answer of the issues of all projects."""
    with yard.server.client() as client:
        for number in range(issues):
            blocked = "Blocked by #1" if number % 7 == 0 else ""
            body = {"title": f"Issue {number}", "body": f"{BODY}{blocked}", "labels": [READY_LABEL]}
            path = f"/projects/{projects[number % len(projects)]}/issues"
            client.post(path, json=body).raise_for_status()
    milliseconds, used = _time(yard, "/issues")
    note = f"{issues:,} issues; {used:.1f} ms of processor time"
    return {"board": Measured(milliseconds, note)}


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


def _time(yard: Yard, path: str) -> tuple[float, float]:
    """Return the milliseconds until an answer, the median, and the server's processor time."""
    plan, used = yard.reading(path, READS), processor_seconds(yard.pid)
    phase = expect(send(plan), 200)
    used = processor_seconds(yard.pid) - used
    return 1000 * phase.p50, 1000 * used / (READS + plan.warm_up)
