"""Backups of PostgreSQL and of two databases: their contents and where they can be restored."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.backup.places import CannotKeep
from app.backup.restore import Restored
from app.config import Settings
from app.control_plane import storage
from app.control_plane.storage import back_up
from app.domain.ids import Store, store_of
from app.domain.words import Depth
from app.records.database.database import Database, DatabaseSilent
from app.records.tables import Lease, Project, Run, Setting
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.builders.databases import POSTGRESQL, SQLITE, TEMPLATE, one_postgres
from tests.drivers.failpoints import hold_at
from tests.fakes.agents.runs import until
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

Pair = tuple[str, str | None]
Open = Callable[[Settings], FakePlane]
BARE = "template1"
MOVES: list[Any] = [
    ((POSTGRESQL, None), (POSTGRESQL, None)),
    # each kind is also the source or the target of a mixed pair
    pytest.param((SQLITE, SQLITE), (SQLITE, SQLITE), marks=pytest.mark.soak),
    ((SQLITE, POSTGRESQL), (SQLITE, POSTGRESQL)),
    ((POSTGRESQL, POSTGRESQL), (SQLITE, SQLITE)),
]


@pytest.fixture
def world() -> World:
    """The fake outside world, which outlives a server."""
    return World()


@pytest.fixture
def begin(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Start servers, which stop with the test."""
    monkeypatch.delenv("RUNYARD_TEST_SPLIT", raising=False)
    with ExitStack() as ends:

        def open_one(settings: Settings) -> FakePlane:
            chosen = settings.model_dump(include=settings.model_fields_set - {"data_dir"})
            plane = FakePlane(settings.data_root, world, **{"database_url": None, **chosen})
            ends.callback(plane.stop)
            plane.leases.is_alone = True
            plane.migrate()
            plane.services.sweep.open()
            return plane

        yield open_one


def settings_on(folder: Path, pair: Pair, *, template: str = TEMPLATE) -> Settings:
    """Return settings of a new data folder with empty databases of these kinds."""
    chosen: dict[str, Any] = {"data_dir": folder}
    for name, kind in zip(("database_url", "runs_database_url"), pair, strict=True):
        if kind == POSTGRESQL:
            own = f"{folder.parent.name}_{folder.name}_{name}"
            chosen[name] = one_postgres().create(own, template)
        elif kind == SQLITE and name == "runs_database_url":
            chosen[name] = f"sqlite:///{folder.parent / f'{folder.name}-runs.db'}"
    folder.mkdir()
    return Settings(**chosen)


def put_back(settings: Settings, file: Path) -> Restored:
    """Restore a backup, with the databases named by the environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("database_url", "runs_database_url"):
            if url := getattr(settings, name):
                environment.setenv(f"RUNYARD_{name.upper()}", url)
        return storage.restore_into(settings, file)


def start(plane: FakePlane, project: Project, **wishes: Any) -> Run:
    order = RunRequest(project.id, Depth.QUICK, "auto", **wishes)
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    return run


def die(plane: FakePlane, world: World, run: Run) -> None:
    world.end(run.id, 1)
    plane.reaper.reap_once(run.id)
    plane.rest()


def contents(plane: FakePlane) -> dict[str, list[Any]]:
    """Return all rows of all databases in exact textual form."""
    found: dict[str, list[Any]] = {}
    for place, database in zip(("control", "runs"), plane.stores.all(), strict=False):
        # opened alone: as one of two stores it would reject rows that the other owns
        with (
            closing(Database(database.url, publish=lambda _: None)) as opened,
            opened.reading() as session,
        ):
            # leases belong to running servers and are not restored
            for table in set(Setting.metadata.sorted_tables) - {Lease.metadata.tables["lease"]}:
                rows = session.execute(table.select()).all()
                found[f"{place}.{table.name}"] = sorted(map(repr, rows))
    return found


@pytest.mark.parametrize(("of", "into"), MOVES, ids=repr)
def test_every_row_comes_back_in_whatever_kind_of_database(
    of: Pair, into: Pair, begin: Open, world: World, tmp_path: Path
) -> None:
    plane = begin(settings_on(tmp_path / "old", of))
    project = plane.add_project(world)
    run = start(
        plane, project, issue=plane.add_issue(project), task="Grüße, 'quoted' \\ {\"a\": 1}"
    )
    die(plane, world, run)
    a_batch(plane, project, 3)
    before = contents(plane)
    made = back_up(plane.settings, tmp_path / "backup.zip")
    stores = {"runyard.db", "runs.db"} if of[1] else {"runyard.db"}
    assert {name for name in made.parts if name.endswith(".db")} == stores

    settings = settings_on(tmp_path / "new", into, template=BARE)
    put_back(settings, made.file)
    again = begin(settings)
    assert contents(again) == before
    new = start(again, project, task="another")
    assert store_of(new.id) is (Store.RUNS if of[1] else Store.CONTROL)
    assert again.ledgers.runs.timeline(new.id)[0].kind == "accepted"
    there = contents(again)
    if POSTGRESQL in into:
        with pytest.raises(CannotKeep, match="holds rows already"):
            put_back(settings, made.file)
        assert contents(again) == there


def test_a_backup_is_of_one_moment_of_both_databases_during_writes(
    begin: Open, world: World, tmp_path: Path
) -> None:
    plane = begin(settings_on(tmp_path / "old", (SQLITE, SQLITE)))
    project = plane.add_project(world)
    runs = [start(plane, project, issue=plane.add_issue(project)) for _ in range(2)]
    die(plane, world, runs[0])
    world.end(runs[1].id, 1)
    go_on = tmp_path / "go on"
    hold_at("backup.after_look", go_on)
    with ThreadPoolExecutor(2) as threads:
        backup = threads.submit(back_up, plane.settings, tmp_path / "backup.zip")
        # the first snapshot is open: a run that ends now ends after the second one
        until(tmp_path.joinpath("go on.reached.0").exists, "one is looked at", 30)
        end = threads.submit(plane.reaper.reap_once, runs[1].id)
        assert wait([end], timeout=0.5).not_done
        go_on.touch()
        made = backup.result(30)
        assert end.result(30)
    plane.rest()
    assert strikes_of(made.file, tmp_path / "unpacked") == (1, 1)


def strikes_of(backup: Path, folder: Path) -> tuple[int, int]:
    """Return the strikes a backup has counted or queued, and the strikes of its runs."""
    with zipfile.ZipFile(backup) as archive:
        for name in ("runyard.db", "runs.db"):
            archive.extract(name, folder)

    def ask(name: str, query: str) -> list[Any]:
        with closing(sqlite3.connect(folder / name)) as database:
            return [row[0] for row in database.execute(query)]

    applied = set(ask("runyard.db", "SELECT key FROM applied"))
    waiting = set(ask("runs.db", "SELECT key FROM outbox WHERE kind = 'strike'")) - applied
    [counted] = ask("runyard.db", "SELECT strikes FROM project")
    [died] = ask("runs.db", "SELECT count(*) FROM runs WHERE is_strike")
    return counted + len(waiting), died


def test_databases_and_settings_must_be_as_many(begin: Open, world: World, tmp_path: Path) -> None:
    one = back_up(begin(settings_on(tmp_path / "one", (SQLITE, None))).settings, None)
    two = back_up(begin(settings_on(tmp_path / "two", (SQLITE, SQLITE))).settings, None)
    with pytest.raises(CannotKeep, match="set RUNYARD_RUNS_DATABASE_URL"):
        put_back(settings_on(tmp_path / "a", (SQLITE, None)), two.file)
    with pytest.raises(CannotKeep, match="this backup has none"):
        put_back(settings_on(tmp_path / "b", (SQLITE, SQLITE)), one.file)


def test_files_of_two_databases_that_were_there_are_kept_beside(
    begin: Open, tmp_path: Path
) -> None:
    settings = settings_on(tmp_path / "one", (SQLITE, SQLITE))
    begin(settings).stop()
    done = put_back(settings, back_up(settings, None).file)
    assert done.aside is not None
    assert {"runyard.db", "runs-one-runs.db"} <= {path.name for path in done.aside.iterdir()}
    begin(settings)


def test_a_backup_of_databases_that_are_away_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    away = "postgresql://127.0.0.1:1/away?connect_timeout=1"
    with pytest.raises(DatabaseSilent):
        back_up(Settings(data_dir=tmp_path, database_url=away), tmp_path / "backup.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_an_older_schema_is_not_backed_up_by_a_newer_program(tmp_path: Path) -> None:
    settings = settings_on(tmp_path / "old", (POSTGRESQL, None), template=BARE)
    with pytest.raises(CannotKeep, match="has schema none"):
        back_up(settings, None)
    database = Database(settings.database, publish=lambda _: None)
    with database.transaction() as tx:
        tx.execute(text("CREATE TABLE alembic_version (version_num text)"))
        tx.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
    database.close()
    with pytest.raises(CannotKeep, match="has schema 9999"):
        back_up(settings, None)
