"""A server on an in-memory world, killed again and again, and the invariants at the end (F40).

Run as a program: folder, seed, number of lives, URL of a run store or nothing. Answers received
and runs started are in `notes`, one line each, written before the next step. The moment of each
kill depends on the steps done, so that a slow machine does not always kill at the same place.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmodel import select as rows_of

from app.domain.lifecycle import DONE
from app.domain.rules import STRIKING
from app.domain.words import Depth, Status
from app.records.database.sqlite_files import file_of
from app.records.people.audit_ledger import Deed
from app.records.stores.sessions import control_of, every
from app.records.tables import Audit, Run
from app.services.context import repository_of
from app.services.runs.requests import RunRequest
from tests.fakes.planes import FakePlane
from tests.fakes.world import FakeMirrors, World

STEPS = 4
TOO_LONG = 120.0
NAMES = ("/yard0", "/yard1")


class Notes(list[str]):
    """A list whose lines are written to disk, so that they survive the process."""

    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__()
        self._file = os.open(folder / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kind = kind

    def append(self, line: str) -> None:
        """Write the line to disk."""
        os.write(self._file, f"{self._kind} {line}\n".encode())


@dataclass
class Life:
    """One server, from start to end."""

    plane: FakePlane
    world: World
    dice: random.Random
    said: Notes
    asked: int = 0
    name: str = field(default_factory=lambda: f"{os.getpid()}")

    def look_at_clock(self) -> None:
        """Advance the plane's clock to the real time."""
        clock = self.plane.clock
        clock.now = max(clock.now, datetime.now(UTC))

    def go_on(self) -> None:
        """Perform one random step of a user or an agent."""
        self.look_at_clock()
        project = self.dice.choice(self.plane.ledgers.projects.all())
        if self.dice.random() < 0.1:
            self.plane.services.afk.reset(
                project.id,
                Deed(self.plane.person, "reset", "by a test", "test", project.id),
                self.plane.clock(),
            )
            return
        key = f"{self.name}-{self.asked}"
        self.asked += 1
        requester = replace(self.plane.requester(), key=key)
        issue = self.plane.add_issue(project)
        order = RunRequest(project.id, Depth.QUICK, "auto", issue=issue)
        run = self.plane.services.accept.accept(order, requester, self.plane.clock()).run
        self.said.append(f"{key} {run.id}")
        self.plane.rest()
        for live in [one for one in self.world.processes if self.world.processes[one].is_alive]:
            self.look_at_clock()
            self.world.end(live, self.dice.choice([0, 1, 1]))
            self.plane.reaper.reap_once(live)
        self.plane.rest()


@contextmanager
def begun(folder: Path, runs: str | None, dice: random.Random) -> Iterator[Life]:
    """Start a server that takes over everything its predecessor left."""
    world = World(launches=Notes(folder, "started"))
    for name in NAMES:
        world.add_origin(name)
    plane = FakePlane(
        folder / "data", world, database_url=None, runs_database_url=runs, run_quota=10**6
    )
    life = Life(plane, world, dice, Notes(folder, "told"))
    life.look_at_clock()
    plane.migrate()
    for project in plane.ledgers.projects.all():
        FakeMirrors(world).clone(repository_of(project), progress=lambda *_: None)
    plane.recover_once()
    plane.rest()
    while len(plane.ledgers.projects.all()) < len(NAMES):
        plane.add_project(world)
    yield life
    plane.rest()
    plane.stop()


def main(folder: Path, seed: int, lives: int, runs: str | None) -> None:
    """Run and kill a server this many times: during start, between steps and within them."""
    pace = 0.0
    for number in range(lives):
        dice = random.Random(seed * 1000 + number)
        heard, tell = os.pipe()
        child = os.fork()
        if not child:
            live(folder, runs, dice, tell)
        os.close(tell)
        # the first life runs all steps, so that later ones have data to work on
        steps = dice.randrange(STEPS) if number else STEPS
        for _ in range(steps):
            begun_at = time.monotonic()
            if not select.select([heard], [], [], TOO_LONG)[0] or not os.read(heard, 1):
                sys.exit("a server came to a stop, or ended by itself")
            pace = time.monotonic() - begun_at
        time.sleep(dice.uniform(0, pace))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(heard)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit("a server ended by itself")


def live(folder: Path, runs: str | None, dice: random.Random, tell: int) -> None:
    """Perform steps forever, writing one byte to `tell` before each."""
    with begun(folder, runs, dice) as life:
        while True:
            os.write(tell, b"!")
            life.go_on()


def check_lives(folder: Path, runs: str | None) -> Counter[str]:
    """Finish a killed server's runs and assert the invariants; return run counts by status."""
    told = [line.split()[1:] for line in notes_of(folder) if line.startswith("told")]
    started = Counter(line.split()[1] for line in notes_of(folder) if line.startswith("started"))
    with begun(folder, runs, random.Random(0)) as life:
        plane = life.plane
        for _ in range(20):
            life.look_at_clock()
            plane.tick()
            for live in [one for one in life.world.processes if life.world.processes[one].is_alive]:
                life.world.end(live, 1)
                plane.reaper.reap_once(live)
                plane.rest()
            if not plane.ledgers.runs.open_runs():
                break
        found, resets = _runs_and_resets(plane)
        strikes = {one.id: one.strikes for one in plane.ledgers.projects.all()}
        files = [file_of(database.url) for database in plane.stores.all()]
    for file in files:
        assert file is not None
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    # G1: no run started twice
    assert max(started.values(), default=0) <= 1, started
    # G2: every accepted run exists once, and ended with a cause
    assert Counter(one.idempotency_key for one in found).most_common(1)[0][1] == 1
    by_key = {one.idempotency_key: one.id for one in found}
    assert [by_key.get(key) for key, _ in told] == [run_id for _, run_id in told]
    assert all(one.status in DONE and one.cause and one.released_at for one in found), found
    # G5: every failure that counts was counted once
    counted = {one: _count(one, found, resets) for one in strikes}
    assert strikes == counted, (strikes, counted)
    return Counter(one.status for one in found)


def _runs_and_resets(plane: FakePlane) -> tuple[list[Run], list[Audit]]:
    plane.services.outbox.catch_up()
    with plane.stores.looking() as session:
        runs = [run for one in every(session) for run in one.exec(rows_of(Run)).all()]
        resets = rows_of(Audit).where(Audit.deed == "reset")
        return runs, list(control_of(session).exec(resets).all())


def _count(project_id: str, runs: list[Run], resets: list[Audit]) -> int:
    ends: list[tuple[Any, Any, Any]] = [
        (one.ended_at, one.status, one.cause)
        for one in runs
        if one.project_id == project_id and one.issue
    ]
    ends += [(one.at, None, None) for one in resets if one.object == project_id]
    striking = {(str(status), str(cause)) for status, cause in STRIKING}
    strikes = 0
    for _, status, cause in sorted(ends, key=lambda end: end[0]):
        if status in (None, str(Status.SUCCEEDED)):
            strikes = 0
        elif (status, cause) in striking:
            strikes += 1
    return strikes


def notes_of(folder: Path) -> list[str]:
    """Return the recorded lines."""
    return (folder / "notes").read_text().splitlines()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] or None)
