"""An inbox of 500 items, and a diff of 10,000 lines: the server's time and the first paint."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app.domain.words import READY_LABEL
from tests.bench.pages.painting import NO_CHROMIUM, Watch, ask, look_at
from tests.bench.pairs import PAIRS
from tests.bench.table import Found, Measured
from tests.bench.yard import Yard
from tests.builders.repositories import make_origin
from tests.drivers.servers.processes import wait_for

# per project one change, and three failures in a row, which pause it and leave work behind
PROJECTS, SHORT_PROJECTS, FAILURES = 10, 2, 3
# 10 paused projects, 400 changes and 90 parked branches
CHANGE_COPIES, PARKED_COPIES = 39, 2
# rows of a group that the page shows at first; the parked ones are folded
ROWS = 20
FILES, LINES, SHORT_FILES = 120, 84, 12
CHECKS = [{"name": "Tests", "command": ["true"], "timeout_seconds": 60, "required": True}]
# commits, and fails if its issue says so
WORKS = """
echo "$RUNYARD_BRANCH" > work.txt
git add -A
git -c user.name=Agent -c user.email=agent@example.test commit -qm Work
! grep -q 'please fail' "$1"
"""
WRITES_MUCH = """
for file in $(seq -w 1 {files}); do
  folder=src/part_${{file%?}}; mkdir -p $folder
  seq 1 {lines} | sed "s/.*/value_& = call(&, 'text &')  # why/" > $folder/file_$file.py
done
git add -A
git -c user.name=Agent -c user.email=agent@example.test commit -qm 'Add much'
"""
# the first frame that has a line of the diff
FIRST_LINES = Watch(
    "() => window.shownAt",
    """(() => {
  const look = () => {
    if (document.querySelector("[data-testid=diff-line]")) window.shownAt = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()""",
)


def measure_inbox(yard: Yard, folder: Path, *, is_short: bool) -> Found:
    """Measure the page of an inbox with 500 items, and its first paint."""
    projects = SHORT_PROJECTS if is_short else PROJECTS
    with yard.server.client() as client:
        first = _spend_night(yard, client, folder, projects)
        _copy_items(yard)
        items = projects * (1 + 1 + CHANGE_COPIES + FAILURES * (1 + PARKED_COPIES))
        anew = _read_anew(client, first, items)
    cookie = yard.sign_in()
    answered = ask(yard, cookie, "/", shows="inbox-item", least=projects + ROWS)
    note = f"{items} items; {answered.note}; read anew in {anew:.0f} ms"
    looks = look_at(yard, cookie, "/", last_of="inbox-item", least=projects + ROWS)
    painted = NO_CHROMIUM
    if looks is not None:
        painted = Measured(median(looks.seconds), f"{items} items, nothing cached")
    return {"inbox": Measured(answered.milliseconds, note), "inbox_paint": painted}


def measure_diff(yard: Yard, folder: Path, *, is_short: bool) -> Found:
    """Measure the time from the press to the first lines of a change of 120 files."""
    files = SHORT_FILES if is_short else FILES
    command = _write(folder / "agent.sh", WRITES_MUCH.format(files=files, lines=LINES))
    origin = make_origin(folder / "much")
    project = yard.add_project("much", agent_command=command, origin=origin)
    with yard.server.client() as client:
        _start(client, project, "Add much", "")
        changes = f"/projects/{project}/changes"
        (change,) = wait_for(client, changes, lambda it: len(it["items"]) == 1)["items"]
    path = f"/projects/{project}/changes/{change['number']}?tab=files"
    looks = look_at(
        *(yard, yard.sign_in(), path),
        last_of="file-tree-item",
        least=files,
        watch=FIRST_LINES,
    )
    if looks is None:
        return {"diff": NO_CHROMIUM}
    answered = ask(yard, yard.sign_in(), path, shows="diff-line", least=1)
    note = (
        f"{change['additions']:,} lines, {change['files_changed']} files; at first "
        f"{looks.seconds[0]:.2f} s; server time {answered.milliseconds:.0f} ms, {answered.note}"
    )
    return {"diff": Measured(median(looks.seconds), note)}


def _write(file: Path, script: str) -> list[str]:
    file.write_text(script)
    return ["/bin/sh", "-e", str(file), "{prompt_file}"]


def _spend_night(yard: Yard, client: httpx.Client, folder: Path, projects: int) -> str:
    """Have agents deliver and fail in some projects; return the id of one of these."""
    command = _write(folder / "agent.sh", WORKS)
    ids = [
        yard.add_project(f"p{one}", agent_command=command, origin=make_origin(folder / f"p{one}"))
        for one in range(projects)
    ]
    for project in ids:
        client.patch(f"/projects/{project}", json={"checks": CHECKS}).raise_for_status()
        _start(client, project, "Refuse expired coupons", "please succeed")
    expected = {"attention": 0, "review": projects, "parked": 0}
    # a success ends a row of failures
    wait_for(client, "/inbox", lambda it: it["counts"] == expected)
    for project in ids:
        for part in range(FAILURES):
            _start(client, project, f"Fix the export, part {part}", "please fail")
    expected |= {"attention": projects, "parked": FAILURES * projects}
    wait_for(client, "/inbox", lambda it: it["counts"] == expected)
    return ids[0]


def _start(client: httpx.Client, project: str, title: str, body: str) -> None:
    issue = {"title": title, "body": body, "labels": [READY_LABEL]}
    made = client.post(f"/projects/{project}/issues", json=issue).raise_for_status()
    path, number = f"/projects/{project}/afk/start", made.json()["number"]
    client.post(path, json={"issue": number}).raise_for_status()


def _copy_items(yard: Yard) -> None:
    """Copy what the night left: runs, results of checks, changes. The newest ones are real."""
    history = yard.history
    run = {"id": _copy_of("id"), "idempotency_key": "NULL", "charged_to": "NULL"}
    run |= {"work_branch": "one.work_branch || '-' || n"}
    run |= {moment: history.earlier(moment) for moment in ("created_at", "ended_at")}
    delivered = "id IN (SELECT run_id FROM change_request)"
    # before there are copies of it: the condition would take them, too
    history.multiply("runs", "parked", run, PARKED_COPIES)
    numbered = {"pr_number": "one.pr_number + 1000 * n"}
    history.multiply("runs", delivered, run | numbered, CHANGE_COPIES)
    of_run = {"run_id": _copy_of("run_id")}
    checked = "run_id IN (SELECT run_id FROM change_request)"
    history.multiply("check_result", checked, of_run, CHANGE_COPIES)
    change = of_run | {"number": "one.number + 1000 * n", "branch": "one.branch || '-' || n"}
    change |= {"created_at": history.earlier("created_at")}
    history.multiply("change_request", "state = 'open'", change, CHANGE_COPIES)


def _copy_of(column: str) -> str:
    # as long as an id, with the number of the copy at its end
    return f"substr(one.{column}, 1, length(one.{column}) - 4) || (1000 + n)"


def _read_anew(client: httpx.Client, project: str, items: int) -> float:
    """Return the milliseconds of the inbox's answer right after a change, the median."""
    taken: list[float] = []
    found: dict[str, Any] = {}
    for number in range(PAIRS):
        client.patch(f"/projects/{project}", json={"name": f"n{number}"}).raise_for_status()
        began = time.perf_counter()
        answer = client.get("/inbox")
        taken.append(1000 * (time.perf_counter() - began))
        found = answer.raise_for_status().json()["counts"]
    if sum(found.values()) != items:
        raise RuntimeError(f"the inbox has {found}, not {items} items")
    return median(taken)
