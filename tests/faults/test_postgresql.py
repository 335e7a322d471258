"""PostgreSQL goes away, comes back, or leaves it open whether a commit was made (F45, F46)."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.records.database import DatabaseSilent
from app.records.migration import migrate
from tests.agents_for_tests.runs import until
from tests.api.workshop import Workshop, open_workshop
from tests.faults.cut_commits import CommitCutter, commit_cutter
from tests.planes import RealPlane, real_plane
from tests.postgres_server import PostgresServer, postgres_server

SECONDS = 30.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server that may be ended."""
    with postgres_server(fsync="on", full_page_writes="on") as server:
        yield server


@pytest.fixture
def shop(tmp_path: Path, postgres: PostgresServer) -> Iterator[Workshop]:
    """A server on it, with a project."""
    address = postgres.create(f"shop_{tmp_path.name}")
    with open_workshop(tmp_path, RUNYARD_DATABASE_URL=address) as shop:
        shop.add_project("shop")
        yield shop


def test_f45_of_what_was_submitted_while_postgresql_crashed_each_key_has_one_run(
    shop: Workshop, postgres: PostgresServer
) -> None:
    project_id = str(shop.projects["shop"]["id"])
    is_down = threading.Event()

    def submit(number: int) -> tuple[list[int], str]:
        said: list[int] = []
        body = {"project_id": project_id, "task": f"{number}", "delay": 3600}
        # each goes on until it is told of its run, as a client does
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

    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(submit, number) for number in range(40)]
        until(lambda: any(one.done() for one in answers), "the first is accepted", SECONDS)
        postgres.crash()
        assert is_down.wait(SECONDS)
        ready = httpx.get(f"{shop.server.url}/readyz")
        assert (ready.status_code, ready.text) == (503, "the database does not answer")
        postgres.start()
        told = [one.result(60) for one in answers]
    until(lambda: httpx.get(f"{shop.server.url}/readyz").is_success, "it is ready again", SECONDS)
    runs = shop.api.get("/runs", params={"limit": 100}).json()["items"]
    assert Counter(run["id"] for run in runs) == Counter(run_id for _, run_id in told)
    assert len(runs) == 40


@pytest.fixture
def far(tmp_path: Path, postgres: PostgresServer) -> Iterator[tuple[RealPlane, CommitCutter]]:
    """A plane whose way to its database can be cut."""
    postgres.create(tmp_path.name)
    with (
        tempfile.TemporaryDirectory(prefix="runyard-cut-") as folder,
        commit_cutter(postgres.socket, Path(folder)) as cutter,
    ):
        address = f"postgresql://runyard@/{tmp_path.name}?host={folder}"
        with real_plane(tmp_path, database_url=address) as plane:
            plane.leases.is_alone = True
            migrate(plane.database, backups=tmp_path, now=plane.clock())
            yield plane, cutter


@pytest.mark.parametrize("passes_on", [True, False], ids=["committed", "lost"])
def test_f46_whether_an_unanswered_commit_was_made_is_found_by_its_key(
    far: tuple[RealPlane, CommitCutter], passes_on: bool
) -> None:
    plane, cutter = far
    project = plane.add_project()
    plane.workers.close()
    order = plane.order(project)
    cutter.arm(passes_on=passes_on)
    with pytest.raises(DatabaseSilent):
        plane.accept(order, "k")
    assert cutter.cuts == 1
    assert len(plane.rows()) == (1 if passes_on else 0)
    accepted = plane.accept(order, "k")
    assert plane.rows() == [accepted.id]
