"""A real PostgreSQL for a test run: in its own folder, on a unix socket, ended by pid."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fakes.agents.runs import until

PLACES = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/pgsql-*/bin")
USER = "runyard"
NOBODY = "nobody"
# sort as most databases do: the first of these that the installed initdb accepts
LOCALES = (("--locale-provider=icu", "--icu-locale=en-US"), ())
QUICK = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


class PostgresServer:
    """One server that a test can stop, crash and restart."""

    def __init__(
        self, programs: Path, folder: Path, made_with: tuple[str, ...] = (), **settings: str
    ) -> None:
        self._programs = programs
        self._made_with = made_with
        self._folder = folder
        self._settings = QUICK | settings
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> PostgresServer:
        """Create its files, as a user who may run it."""
        if os.geteuid() == 0:
            shutil.chown(self._folder, NOBODY)
        plain = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", *self._made_with)
        said = []
        for locale in LOCALES:
            command = [*self._command("initdb"), "--username", USER, *plain, *locale]
            made = subprocess.run(command, capture_output=True, check=False, **_identity())
            if made.returncode == 0:
                return self
            said.append(made.stderr)
        raise AssertionError(said)

    def start(self) -> PostgresServer:
        """Start it and wait until it answers."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen[bytes](
                [*self._command("postgres"), "-k", str(self._folder), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_identity(),
            )
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        until(lambda: subprocess.run(ready).returncode == 0, "PostgreSQL answers", 60)
        return self

    def stop(self) -> None:
        """Shut it down in order, disconnecting all clients; safe to repeat."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it as `pg_ctl stop -m immediate` does: no checkpoint, all clients cut off."""
        self._end(signal.SIGQUIT)

    def url(self, name: str) -> str:
        """Return the address of one of its databases."""
        return f"postgresql://{USER}@/{name}?host={self._folder}"

    @property
    def socket(self) -> Path:
        """The path of its socket."""
        return self._folder / ".s.PGSQL.5432"

    def file_of(self, table: str, database: str) -> Path:
        """Return the file that holds a table's rows, after a checkpoint."""
        self.tell("CHECKPOINT")
        [(path,)] = self.tell("SELECT pg_relation_filepath(%s)", table, database=database)
        return self._folder / "data" / path

    def drop(self, name: str) -> None:
        """Drop a database, even while it is in use."""
        self.tell(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def tables(self, name: str) -> list[str]:
        """Return the names of a database's tables, sorted."""
        found = self.tell(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=name
        )
        return sorted(table for (table,) in found)

    def tell(self, command: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement and commit it; return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            answer = connection.execute(command, values or None)  # type: ignore[arg-type]
            return answer.fetchall() if answer.description else []

    def create(self, name: str, template: str = "template1") -> str:
        """Create a database, empty or from a template nobody uses; return its address."""
        [(version,)] = self.tell("SELECT current_setting('server_version_num')::int")
        # with fsync off the older strategy is the faster one
        how = "STRATEGY file_copy" if version >= 150000 else ""
        self.tell(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {how}')
        return self.url(name)

    def _command(self, program: str) -> list[str]:
        return [str(self._programs / program), "-D", str(self._folder / "data")]

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


def find_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL installed, or None."""
    known = shutil.which("postgres")
    if known:
        return Path(known).resolve().parent
    found = [path for place in PLACES for path in Path("/").glob(place[1:])]
    found = [path for path in found if (path / "initdb").exists()]
    return max(found, key=lambda path: re.findall(r"\d+", str(path))[0].zfill(4), default=None)


def _identity() -> dict[str, Any]:
    # PostgreSQL refuses to run as root
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam(NOBODY)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}


@contextmanager
def postgres_server(*made_with: str, **settings: str) -> Iterator[PostgresServer]:
    """Run a server for the length of a test; skip, loudly, where PostgreSQL is not installed.

    `made_with` are arguments for initdb.
    """
    programs = find_programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL: install postgresql to run this test")
    # a socket's path has at most 107 characters, and the folder may belong to another user:
    # pytest's own folders are too deep and closed to others
    folder = Path(tempfile.mkdtemp(prefix="runyard-pg-"))
    server = PostgresServer(programs, folder, made_with, **settings)
    try:
        yield server.make().start()
    finally:
        server.crash()
        shutil.rmtree(folder)
