"""A damaged, emptied or missing PostgreSQL database is refused, or not written to (F42)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.config import Settings
from app.control_plane import ControlPlane
from app.control_plane.storage import back_up, put_back
from app.records.database.database import Database
from app.records.database.migration import migrate
from app.records.database.sqlite_files import DatabaseDamaged
from app.records.database.write_guard import WritingStopped
from app.records.tables import Project
from tests.builders.databases import fresh_database
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.servers.forked_starts import SERVER, clean_environment, start_forked
from tests.drivers.servers.postgresql import PostgresServer, postgres_server
from tests.drivers.servers.processes import free_port

USED, FRESH = "of_another_runyard", "of_nobody"
TO_DO = r"Put an empty database in its place\. Restore the newest backup: runyard restore /.+\.zip"


@dataclass
class Place:
    """A database, and the ways to harm it."""

    postgres: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """Its URL."""
        return self.postgres.url(self.name)

    def remove(self) -> None:
        """Drop the database."""
        self.postgres.drop(self.name)

    def empty(self) -> None:
        """Replace the database with an empty one."""
        self.remove()
        self.postgres.create(self.name)

    def exchange(self) -> None:
        """Replace the database with another Runyard's."""
        self.remove()
        self.postgres.create(self.name, USED)

    def drop_table(self) -> None:
        """Drop one of its tables."""
        self.postgres.tell("DROP TABLE runs CASCADE", database=self.name)

    def spoil_settings(self) -> None:
        """Corrupt a page that is read at every start."""
        self._spoil("setting")

    def spoil_runs(self) -> None:
        """Corrupt a page that is read later."""
        self._spoil("runs")

    def remove_file(self) -> None:
        """Delete the file of a table."""
        file = self.postgres.file_of("runs", self.name)
        self.postgres.crash()
        file.unlink()
        self.postgres.start()

    def _spoil(self, table: str) -> None:
        file = self.postgres.file_of(table, self.name)
        self.postgres.crash()
        with file.open("r+b") as opened:
            # past the page header, so that only the checksum reveals it
            opened.seek(-500, os.SEEK_END)
            opened.write(os.urandom(300))
        self.postgres.start()


Harm = Callable[[Place], None]
AT_START: tuple[Harm, ...] = (Place.empty, Place.remove, Place.drop_table, Place.spoil_settings)
UNDER_SERVER: tuple[Harm, ...] = (
    *(Place.remove, Place.empty, Place.exchange),
    *(Place.drop_table, Place.spoil_runs, Place.remove_file),
)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that tests may crash and harm, with databases to copy."""
    with postgres_server("--data-checksums") as server:
        database = Database(server.create(FRESH), publish=lambda _: None)
        migrate(database, backups=Path(), now=datetime.now(UTC))
        database.close()
        folder = tmp_path_factory.mktemp("used")
        with real_plane(folder, database_url=server.create(USED, FRESH)) as plane:
            submit(plane, plane.add_project())
        yield server


@pytest.fixture
def place(tmp_path: Path, postgres: PostgresServer) -> Place:
    """A database of this test's own, with a project and a run."""
    postgres.create(tmp_path.name, USED)
    # the first start of this test's server gives the copy an id of its own
    postgres.tell("DELETE FROM setting", database=tmp_path.name)
    return Place(postgres, tmp_path.name)


def submit(plane: RealPlane, project: Project) -> None:
    """Submit a run."""
    plane.accept(plane.order(project, task="Do it", delay_seconds=3600))


def write(plane: RealPlane) -> None:
    """Make a change that does not involve runs."""
    plane.services.accounts.make_link_token(plane.clock())


@pytest.fixture
def used(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a data folder whose server has used the database, with a backup."""
    monkeypatch.setenv("RUNYARD_DATABASE_URL", place.url)
    with real_plane(tmp_path, database_url=place.url) as plane:
        settings = plane.settings
    back_up(settings, None)
    return settings


def refused(settings: Settings) -> str:
    """Assert that a start is refused; return the message."""
    plane = ControlPlane(settings)
    with pytest.raises((DatabaseDamaged, WritingStopped), match=TO_DO) as said:
        plane.migrate()
    plane.leases.is_alone = True  # it holds no leases to release
    plane.stop()
    return str(said.value)


@pytest.mark.expects_error_log
@pytest.mark.parametrize("harm", AT_START)
def test_f42_a_postgresql_database_that_is_not_as_it_was_left_is_refused_at_the_start(
    harm: Harm, used: Settings, place: Place
) -> None:
    harm(place)
    is_gone = harm is Place.remove
    before = None if is_gone else place.postgres.tables(place.name)
    assert refused(used).startswith(f"{place.name} on ")
    if not is_gone:
        assert place.postgres.tables(place.name) == before
    # and the advice in the message works
    place.empty()
    [backup] = (used.data_root / "backups").glob("*.zip")
    put_back(used, backup)
    plane = ControlPlane(used)
    plane.migrate()
    assert len(plane.ledgers.projects.all()) == 1
    plane.stop()


def test_f42_the_program_ends_with_the_sentence_where_its_postgresql_was_emptied(
    used: Settings, place: Place, tmp_path: Path
) -> None:
    place.empty()
    words = ["serve", "--no-open", "--data-dir", str(used.data_root), "--port", str(free_port())]
    env = clean_environment() | {"RUNYARD_DATABASE_URL": place.url}
    with (tmp_path / "said").open("wb") as said:
        to = said.fileno()
        process = start_forked(SERVER, words, env, (to, to, to))
        assert process.wait(60) == 1
    told = (tmp_path / "said").read_text()
    assert f"runyard: {place.name} on " in told
    assert "no empty database is made in its place" in told
    assert "Traceback" not in told
    assert place.postgres.tables(place.name) == []


@pytest.mark.expects_error_log
@pytest.mark.parametrize("harm", UNDER_SERVER)
def test_f42_a_postgresql_database_that_is_harmed_under_the_server_is_not_written_to(
    harm: Harm, place: Place, tmp_path: Path
) -> None:
    with real_plane(tmp_path, database_url=place.url) as plane:
        back_up(plane.settings, None)
        [project] = plane.ledgers.projects.all()
        harm(place)
        tables = [] if harm is Place.remove else place.postgres.tables(place.name)
        with pytest.raises(WritingStopped, match=f"nothing is written any more.+{TO_DO}"):
            submit(plane, project)
        assert plane.services.store_watch.check_once() == plane.stores.stopped() != ""
        if harm is Place.remove:
            place.postgres.create(place.name, USED)  # a later database is not the same one
        with pytest.raises(WritingStopped):
            write(plane)
        if harm is not Place.remove:
            assert place.postgres.tables(place.name) == tables


# --- the run store of two ------------------------------------------------------------------------


@pytest.fixture
def control(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> str:
    """The URL of a control store, SQLite or PostgreSQL."""
    if request.param == "PostgreSQL":
        return postgres.create(f"{tmp_path.name}_control", FRESH)
    (tmp_path / "control.db").write_bytes(fresh_database())
    return f"sqlite:///{tmp_path / 'control.db'}"


@pytest.fixture
def runs(tmp_path: Path, postgres: PostgresServer) -> Place:
    """A run store."""
    postgres.create(f"{tmp_path.name}_runs", FRESH)
    return Place(postgres, f"{tmp_path.name}_runs")


@pytest.mark.parametrize(
    ("control", "harm"),
    [("PostgreSQL", Place.remove), ("SQLite", Place.empty)],
    indirect=["control"],
)
def test_f42_a_run_store_that_was_lost_is_refused_by_every_server_of_the_deployment(
    harm: Harm, control: str, runs: Place, tmp_path: Path
) -> None:
    with real_plane(tmp_path, database_url=control, runs_database_url=runs.url) as plane:
        settings = plane.settings
    back_up(settings, None)
    # a new server learns of the run store from the control store
    other = settings.model_copy(update={"data_dir": tmp_path / "other"})
    shutil.copytree(settings.data_root / "backups", other.data_root / "backups")
    harm(runs)
    for one in (settings, other):
        assert refused(one).startswith(f"{runs.name} on ")
    if harm is Place.empty:
        assert runs.postgres.tables(runs.name) == []


@pytest.mark.expects_error_log
@pytest.mark.parametrize(
    ("control", "harm"),
    [("PostgreSQL", Place.empty), ("SQLite", Place.spoil_runs)],
    indirect=["control"],
)
def test_f42_where_a_run_store_is_harmed_under_the_server_neither_store_is_written_to(
    harm: Harm, control: str, runs: Place, tmp_path: Path
) -> None:
    with real_plane(tmp_path, database_url=control, runs_database_url=runs.url) as plane:
        back_up(plane.settings, None)
        project = plane.add_project()
        submit(plane, project)
        harm(runs)
        with pytest.raises(WritingStopped, match=TO_DO):
            submit(plane, project)
        with pytest.raises(WritingStopped, match=TO_DO):
            write(plane)
        assert plane.services.store_watch.check_once().startswith(f"{runs.name} on ")
