"""Direct access to a bench server's database: a long history, a long queue, and the end of runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
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
# the beginnings of the ids of added rows
ENDED, QUEUED = "run_c", "run_w"
END = (
    "UPDATE runs SET status = 'stopped', cause = 'stopped', charged_to = NULL, "
    "ended_at = created_at, released_at = created_at "
    "WHERE released_at IS NULL AND status IN ('delayed', 'queued')"
)
# what autovacuum would do within a minute
VACUUM = "VACUUM ANALYZE runs"
END_OTHERS = f"{END} AND substr(id, 1, {len(QUEUED)}) <> '{QUEUED}'"


class History(Protocol):
    """The operations that depend on the kind of database."""

    def end_waiting_runs(self) -> None:
        """End and release the runs that wait, so that each pair begins with the same queue.

        What `fill_queue` added stays.
        """

    def empty_queue(self) -> None:
        """End and release every run that waits."""

    def fill_queue(self, projects: Sequence[str], rows: int) -> None:
        """Add runs that wait for a free slot, copied from the newest run that waits."""

    def seed(self, projects: Sequence[str], rows: int, *, first: int = 0) -> float:
        """Add ended runs, spread evenly over the last year; return the seconds it took.

        Rows are numbered from `first`. Columns that do not tell runs apart are copied from
        the newest run.
        """
        ...

    def multiply(self, table: str, which: str, differing: Mapping[str, str], times: int) -> None:
        """Copy rows of a table so many times.

        In the values of columns that differ, `one` is the row and `n` the copy's number, from 1.
        """

    def earlier(self, column: str) -> str:
        """Return a moment of a copied row, a minute earlier with each copy."""
        ...


class SqliteHistory:
    """History in an SQLite file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def end_waiting_runs(self) -> None:
        """See History."""
        self._tell(END_OTHERS)

    def empty_queue(self) -> None:
        """See History."""
        self._tell(END)

    def fill_queue(self, projects: Sequence[str], rows: int) -> None:
        """See History."""
        with self._connected() as database:
            self._tell(_queueing(self._names(database), projects, self._id(QUEUED), rows))

    def seed(self, projects: Sequence[str], rows: int, *, first: int = 0) -> float:
        """See History."""
        began = time.perf_counter()
        with self._connected() as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA cache_size = -400000")
            moment = f"strftime('%Y-%m-%d %H:%M:%f000', {_second(first + rows)}, 'unixepoch')"
            names, run_id = self._names(database), self._id(ENDED)
            for statement in _seeding(names, projects, run_id, moment, first, rows):
                with database:
                    database.execute(statement)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return time.perf_counter() - began

    def multiply(self, table: str, which: str, differing: Mapping[str, str], times: int) -> None:
        """See History."""
        with self._connected() as database:
            names = self._names(database, table)
        self._tell(_copying(names, differing, (table, which), 1, times + 1))

    def earlier(self, column: str) -> str:
        """See History."""
        return f"strftime('%Y-%m-%d %H:%M:%f000', one.{column}, '-' || n || ' minutes')"

    def _names(self, database: sqlite3.Connection, table: str = "runs") -> list[str]:
        return [str(column[1]) for column in database.execute(f"PRAGMA table_info({table})")]

    def _id(self, beginning: str) -> str:
        return f"printf('{beginning}%024d', n)"

    def _tell(self, statement: str) -> None:
        with self._connected() as database, database:
            database.execute(statement)

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
        self._tell(END_OTHERS)

    def empty_queue(self) -> None:
        """See History."""
        self._tell(END)

    def fill_queue(self, projects: Sequence[str], rows: int) -> None:
        """See History."""
        with psycopg.connect(self._url) as database:
            self._tell(_queueing(self._names(database), projects, self._id(QUEUED), rows))

    def seed(self, projects: Sequence[str], rows: int, *, first: int = 0) -> float:
        """See History."""
        began = time.perf_counter()
        with psycopg.connect(self._url, autocommit=True) as database:
            database.execute("SET synchronous_commit = off")
            moment = f"to_timestamp({_second(first + rows)})"
            names, run_id = self._names(database), self._id(ENDED)
            for statement in _seeding(names, projects, run_id, moment, first, rows):
                database.execute(statement.encode())
            database.execute(VACUUM)
        return time.perf_counter() - began

    def multiply(self, table: str, which: str, differing: Mapping[str, str], times: int) -> None:
        """See History."""
        with psycopg.connect(self._url) as database:
            names = self._names(database, table)
        self._tell(_copying(names, differing, (table, which), 1, times + 1))

    def earlier(self, column: str) -> str:
        """See History."""
        return f"one.{column} - n * interval '1 minute'"

    def _names(self, database: psycopg.Connection, table: str = "runs") -> list[str]:
        select = f"SELECT * FROM {table} LIMIT 0"  # noqa: S608 - a table of ours
        columns: Any = database.execute(select.encode()).description
        return [str(column.name) for column in columns]

    def _id(self, beginning: str) -> str:
        return f"'{beginning}' || lpad(n::text, 24, '0')"

    def _tell(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as database:
            database.execute(statement.encode())
            database.execute(VACUUM)


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
    for begin in range(first, first + rows, AT_ONCE):
        yield _copying(names, differing, _newest(), begin, min(begin + AT_ONCE, first + rows))


def _queueing(names: list[str], projects: Sequence[str], run_id: str, rows: int) -> str:
    differing = {
        "id": run_id,
        "project_id": _pick(projects, "n"),
        "work_branch": f"'run/' || {run_id}",
        **dict.fromkeys(("hold", "idempotency_key", "charged_to"), "NULL"),
    }
    return _copying(names, differing, _newest("status = 'queued'"), 0, rows)


def _newest(which: str = "TRUE") -> tuple[str, str]:
    return "runs", f"{which} ORDER BY created_at DESC LIMIT 1"


def _copying(
    names: list[str], differing: Mapping[str, str], which: tuple[str, str], begin: int, end: int
) -> str:
    """Return a statement that copies rows (a table and a condition) for n from begin to end."""
    values = ", ".join(differing.get(name, f"one.{name}") for name in names)
    table, condition = which
    return f"""
        WITH RECURSIVE numbers(n) AS
        (SELECT {begin} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {end})
        INSERT INTO {table} ({", ".join(names)}) SELECT {values} FROM numbers,
        (SELECT * FROM {table} WHERE {condition}) AS one
    """  # noqa: S608 - names are the table's own, values are made here


def _pick(choices: Sequence[str], number: str) -> str:
    cases = " ".join(f"WHEN {place} THEN '{one}'" for place, one in enumerate(choices))
    return f"CASE {number} % {len(choices)} {cases} END"
