"""Invariants of a Runyard after any history, read from its tables and its machine."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from app.domain.lifecycle import DONE
from app.domain.rules import STRIKING
from app.domain.words import Status
from tests.builders.repositories import run_git


class Yard:
    """The data folder of a stopped Runyard, and the folder of its agents' notes."""

    def __init__(self, data: Path, tallies: Path) -> None:
        self.data = data
        self.tallies = tallies
        self._db = sqlite3.connect(f"file:{data / 'runyard.db'}?mode=ro", uri=True)
        self._db.row_factory = sqlite3.Row

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows that a query finds."""
        return [dict(row) for row in self._db.execute(query, values)]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def check(self) -> Counter[str]:
        """Assert every invariant; return how many runs ended in each status."""
        assert self.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        runs = self.rows("SELECT * FROM runs ORDER BY ended_at, id")
        for run in runs:
            self._check_end(run)
            self._check_work(run)
        for project in self.rows("SELECT * FROM project"):
            self._check_count(project)
        assert self._living() == []
        return Counter(run["status"] for run in runs)

    def _check_end(self, run: dict[str, Any]) -> None:
        assert run["status"] in {str(one) for one in DONE}, (run["id"], run["status"], run["hold"])
        assert run["cause"], run["id"]
        assert run["released_at"], (run["id"], run["hold"])
        starts = [line for line in self._notes(run) if line.isdecimal()]
        assert len(starts) <= 1, (run["id"], starts)
        kinds = self.rows("SELECT kind FROM run_events WHERE run_id = ?", run["id"])
        told = Counter(one["kind"] for one in kinds)
        assert told["accepted"] == 1
        assert told["reaped"] + told["delivered"] == 1, (run["id"], told)

    def _check_work(self, run: dict[str, Any]) -> None:
        """Check that a run whose agent worked still has its branch, or has delivered it.

        A run that was stopped before it counted as running is undone if nothing was committed.
        """
        has_worked = run["started_at"] is not None or "committed" in self._notes(run)
        if not has_worked or run["delivery"] not in (None, "null"):
            return
        mirror = self.data / "runs" / "mirrors" / f"{run['project_id']}.git"
        heads = run_git(mirror, "for-each-ref", "--format=%(refname:short)", "refs/heads")
        assert run["work_branch"] in heads.split(), (run["id"], run["status"], run["because"])

    def _notes(self, run: dict[str, Any]) -> list[str]:
        """Return the agent's notes: a process id for each start, and `committed`."""
        tally = self.tallies / run["id"]
        return tally.read_text().splitlines() if tally.exists() else []

    def _check_count(self, project: dict[str, Any]) -> None:
        ends = self.rows(
            "SELECT ended_at AS at, status, cause FROM runs"
            " WHERE project_id = ? AND issue IS NOT NULL",
            project["id"],
        )
        resets = self.rows(
            "SELECT at, NULL AS status, NULL AS cause FROM audit"
            " WHERE project_id = ? AND what = 'reset'",
            project["id"],
        )
        striking = {(str(status), str(cause)) for status, cause in STRIKING}
        strikes = 0
        for one in sorted(ends + resets, key=lambda one: one["at"]):
            if one["status"] in (None, str(Status.SUCCEEDED)):
                strikes = 0
            elif (one["status"], one["cause"]) in striking:
                strikes += 1
        assert project["strikes"] == strikes, (project["name"], json.dumps(ends + resets))

    def _living(self) -> list[list[str]]:
        """Return the command lines of processes that run in the data folder or name it."""
        mark, found = str(self.data), []
        for process in psutil.process_iter():
            try:
                if mark in process.cwd() or any(mark in word for word in process.cmdline()):
                    found.append(process.cmdline())
            except psutil.Error:
                continue
        return found
