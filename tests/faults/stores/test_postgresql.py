"""PostgreSQL goes away, comes back, or leaves the outcome of a commit unknown (F45, F46)."""

from __future__ import annotations

import re
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.records.database.database import Database, DatabaseSilent
from app.records.database.migration import migrate
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.servers.postgresql import PostgresServer, postgres_server
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.fakes.agents.runs import until
from tests.fakes.cut_commits import CommitCutter, commit_cutter

SECONDS = 30.0
FRESH = "fresh"
# which stores are in PostgreSQL: the only one, both of two, the run store beside a file
ONE, TWO, MIXED = ("database_url",), ("database_url", "runs_database_url"), ("runs_database_url",)
SOAK = pytest.mark.soak


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server that tests may stop."""
    with postgres_server(fsync="on", full_page_writes="on") as server:
        database = Database(server.create(FRESH), publish=lambda _: None)
        migrate(database, backups=Path(), now=datetime.now(UTC))
        database.close()
        yield server


@pytest.fixture
def names(kind: tuple[str, ...], tmp_path: Path, postgres: PostgresServer) -> dict[str, str]:
    """Fresh databases: their names by setting."""
    named = {setting: f"{tmp_path.name}_{setting}" for setting in kind}
    for name in named.values():
        postgres.create(name, FRESH)
    return named


@pytest.fixture
def shop(tmp_path: Path, postgres: PostgresServer, names: dict[str, str]) -> Iterator[Workshop]:
    """A server on these databases, with a project."""
    urls = {f"RUNYARD_{one.upper()}": postgres.url(name) for one, name in names.items()}
    own = {"RUNYARD_DATABASE_URL": f"sqlite:///{tmp_path / 'control.db'}"}
    with open_workshop(tmp_path, **own | urls) as shop:
        shop.add_project("shop")
        yield shop


@pytest.mark.parametrize(
    "kind",
    [ONE, pytest.param(TWO, marks=SOAK), pytest.param(MIXED, marks=SOAK)],
    ids=["one", "two", "mixed"],
)
def test_f45_of_what_was_submitted_while_postgresql_crashed_each_key_has_one_run(
    shop: Workshop, postgres: PostgresServer
) -> None:
    project_id = str(shop.projects["shop"]["id"])
    is_down, is_back = threading.Event(), threading.Event()

    def submit(number: int) -> tuple[list[int], str]:
        said: list[int] = []
        body = {"project_id": project_id, "task": f"{number}", "delay": 3600}
        # retry until the run is confirmed, as a client does
        while True:
            headers = {"x-idempotency-key": f"key-{number}"}
            answer = shop.api.post("/runs", json=body, headers=headers)
            said.append(answer.status_code)
            if answer.is_success:
                return said, str(answer.json()["id"])
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.elapsed.total_seconds() < 10
            is_down.set()
            assert is_back.wait(SECONDS)

    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(submit, number) for number in range(40)]
        until(lambda: any(one.done() for one in answers), "the first is accepted", SECONDS)
        postgres.crash()
        assert is_down.wait(SECONDS)
        ready = httpx.get(f"{shop.server.url}/readyz", timeout=SECONDS)
        assert ready.status_code == 503
        assert re.match(
            "Unreachable: the (database|control store|run store) does not answer, ", ready.text
        )
        postgres.start()
        is_back.set()
        told = [one.result(60) for one in answers]
    ready = partial(httpx.get, f"{shop.server.url}/readyz", timeout=SECONDS)
    until(lambda: ready().is_success, "it is ready again", SECONDS)
    runs = shop.api.get("/runs", params={"limit": 100}).json()["items"]
    assert Counter(run["id"] for run in runs) == Counter(run_id for _, run_id in told)
    assert len(runs) == 40
    assert shop.api.get("/quota/runs").json()["used"] == 40


@pytest.fixture
def far(
    tmp_path: Path, postgres: PostgresServer, names: dict[str, str]
) -> Iterator[tuple[RealPlane, CommitCutter]]:
    """A plane whose connection to its databases can be cut."""
    with (
        tempfile.TemporaryDirectory(prefix="runyard-cut-") as folder,
        commit_cutter(postgres.socket, Path(folder)) as cutter,
    ):
        urls = {one: f"postgresql://runyard@/{name}?host={folder}" for one, name in names.items()}
        own = {"database_url": f"sqlite:///{tmp_path / 'control.db'}"}
        with real_plane(tmp_path, **own | urls) as plane:
            plane.leases.is_alone = True
            yield plane, cutter


@pytest.mark.parametrize(
    ("kind", "passes_on"),
    [
        pytest.param(ONE, True, id="one-committed", marks=SOAK),
        pytest.param(ONE, False, id="one-lost"),
        pytest.param(TWO, True, id="two-committed", marks=SOAK),
        pytest.param(TWO, False, id="two-lost", marks=SOAK),
        pytest.param(MIXED, True, id="mixed-committed"),
        pytest.param(MIXED, False, id="mixed-lost", marks=SOAK),
    ],
)
def test_f46_whichever_commit_of_a_submit_is_left_open_its_key_finds_the_one_run(
    far: tuple[RealPlane, CommitCutter], kind: tuple[str, ...], passes_on: bool
) -> None:
    plane, cutter = far
    order = plane.order(plane.add_project(), delay_seconds=3600)
    plane.workers.close()
    told: list[str] = []
    for turn in range(len(kind)):
        # the run is committed last, in its own store
        is_made = passes_on and turn == len(kind) - 1
        cutter.arm(passes_on=passes_on, after=turn)
        with pytest.raises(DatabaseSilent):
            plane.accept(order, f"key{turn}")
        assert len(plane.rows()) == len(told) + is_made
        again = [plane.accept(order, f"key{turn}").id for _ in range(2)]
        assert again[0] == again[1]
        told.append(again[0])
        assert sorted(plane.rows()) == sorted(told)
    assert cutter.cuts == len(kind)
    # there are no further commits: with one more to wait for, nothing is cut
    cutter.arm(passes_on=passes_on, after=len(kind))
    plane.accept(order, "whole")
    cutter.disarm()
    assert cutter.cuts == len(kind)
    assert plane.services.listing.window(plane.person, plane.clock()).used == len(told) + 1
