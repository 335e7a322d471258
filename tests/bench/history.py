"""Direct access to a bench server's database: end its runs, and make a long history."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

YEAR_SECONDS = 365 * 86400
STATUSES = ("succeeded", "died", "stopped", "timed_out")
TRIGGERS = ("manual", "auto", "retry", "api")
# the number of branch names and of issues, in a short history as in a long one
NAMES = 20
AT_ONCE = 100_000
END = (
    "UPDATE runs SET status = 'stopped', cause = 'stopped', charged_to = NULL, "
    "ended_at = created_at, released_at = created_at WHERE released_at IS NULL"
)


class History(Protocol):
    """The operations that depend on the kind of database."""

    def end_waiting_runs(self) -> None:
        """End and release all open runs, so that each pair begins with the same tables."""

    def seed(self, projects: Sequence[str], rows: int, *, first: int = 0) -> float:
        """Add ended runs, spread evenly over the last year; return the seconds it took.

        Rows are numbered from `first`. Columns that do not tell runs apart are copied from
        the newest run.
        """
        ...


class SqliteHistory:
    """History in an SQLite file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def end_waiting_runs(self) -> None:
        """See History."""
        with self._connected() as database, database:
            database.execute(END)

    def seed(self, projects: Sequence[str], rows: int, *, first: int = 0) -> float:
        """See History."""
        began = time.perf_counter()
        with self._connected() as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA cache_size = -400000")
            names = [str(column[1]) for column in database.execute("PRAGMA table_info(runs)")]
            run_id = "printf('run_c%024d', n)"
            moment = f"strftime('%Y-%m-%d %H:%M:%f000', {_second(first + rows)}, 'unixepoch')"
            for statement in _seeding(names, projects, run_id, moment, first, rows):
                with database:
                    database.execute(statement)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return time.perf_counter() - began

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=30)) as database:
            yield database


class PostgresHistory:
    """History in a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def end_waiting_runs(self) -> None:
        """See History."""
        with psycopg.connect(self._url) as database:
            database.execute(END)

    def seed(self, projects: Sequence[str], rows: int, *, first: int = 0) -> float:
        """See History."""
        began = time.perf_counter()
        with psycopg.connect(self._url, autocommit=True) as database:
            database.execute("SET synchronous_commit = off")
            columns: Any = database.execute("SELECT * FROM runs LIMIT 0").description
            run_id = "'run_c' || lpad(n::text, 24, '0')"
            moment = f"to_timestamp({_second(first + rows)})"
            names = [str(column.name) for column in columns]
            for statement in _seeding(names, projects, run_id, moment, first, rows):
                database.execute(statement.encode())
            # what autovacuum would do within a minute
            database.execute("VACUUM ANALYZE runs")
        return time.perf_counter() - began


def _second(rows: int) -> str:
    # 64 bits: a year of seconds times a million rows
    return f"{int(time.time()) - YEAR_SECONDS} + CAST(n AS bigint) * {YEAR_SECONDS} / {rows}"


def _seeding(
    names: list[str], projects: Sequence[str], run_id: str, moment: str, first: int, rows: int
) -> Iterator[str]:
    differing = {
        "id": run_id,
        "project_id": _pick(projects, "n"),
        "status": _pick(STATUSES, f"(n / {len(projects)})"),
        "trigger": _pick(TRIGGERS, f"(n / {len(projects) * len(STATUSES)})"),
        "branch_name": f"'b' || (n % {NAMES})",
        "issue": f"n % {NAMES}",
        "work_branch": f"'run/' || {run_id}",
        **dict.fromkeys(("cause", "idempotency_key", "charged_to"), "NULL"),
        **dict.fromkeys(("created_at", "started_at", "ended_at", "released_at"), moment),
    }
    values = ", ".join(differing.get(name, f"one.{name}") for name in names)
    for begin in range(first, first + rows, AT_ONCE):
        end = min(begin + AT_ONCE, first + rows)
        yield f"""
            WITH RECURSIVE numbers(n) AS
            (SELECT {begin} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {end})
            INSERT INTO runs ({", ".join(names)}) SELECT {values}
            FROM numbers, (SELECT * FROM runs ORDER BY created_at DESC LIMIT 1) AS one
        """  # noqa: S608 - names are the table's own, values are made here


def _pick(choices: Sequence[str], number: str) -> str:
    cases = " ".join(f"WHEN {place} THEN '{one}'" for place, one in enumerate(choices))
    return f"CASE {number} % {len(choices)} {cases} END"
