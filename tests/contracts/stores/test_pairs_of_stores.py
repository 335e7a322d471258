"""The contract of every pair of databases that can hold new runs separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.control_plane.storage import open_stores
from app.domain.ids import Store, store_of
from app.domain.words import Depth
from app.records.feed import Feed
from app.records.runs.run_pages import RunFilter
from app.records.tables import Project, Run
from app.server.startup import CannotStart
from app.services.kept.retry import RetryOptions
from app.services.runs.requests import Requester, RunRequest
from tests.builders.batches import a_batch
from tests.builders.databases import POSTGRESQL, SQLITE, run_store, shared_database
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

# one of each kind, of one kind, and (in the soak) of the other
PAIRS = (
    (SQLITE, POSTGRESQL),
    (SQLITE, SQLITE),
    pytest.param((POSTGRESQL, POSTGRESQL), marks=pytest.mark.soak),
)
Servers = Callable[..., FakePlane]


@pytest.fixture
def world() -> World:
    """The outside world, which outlives each server."""
    return World()


@pytest.fixture(params=PAIRS, ids="-".join)
def servers(
    request: pytest.FixtureRequest, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Servers]:
    """A starter of successive servers on a pair; `split=False` gives one from before the split."""
    control, runs = request.param
    monkeypatch.delenv("RUNYARD_TEST_SPLIT", raising=False)
    with ExitStack() as ends:

        def begin(*, split: bool = True, **settings: Any) -> FakePlane:
            settings["database_url"] = shared_database(tmp_path, control)
            if split:
                settings["runs_database_url"] = run_store(tmp_path, runs)
            plane = FakePlane(tmp_path / "data", world, **settings)
            ends.callback(plane.stop)
            # only one server at a time uses the databases
            plane.leases.is_alone = True
            plane.migrate()
            plane.services.sweep.open()
            plane.recover_once()
            plane.rest()
            return plane

        yield begin


def start(plane: FakePlane, project: Project, key: str | None = None, **wishes: Any) -> Run:
    """Accept and launch a run; repeating a key returns the same run."""
    requester = Requester(**{**plane.requester().__dict__, "key": key})
    order = RunRequest(project.id, Depth.QUICK, "auto", **wishes)
    run = plane.services.accept.accept(order, requester, plane.clock()).run
    plane.rest()
    return found(plane, run.id)


def found(plane: FakePlane, run_id: str) -> Run:
    run = plane.ledgers.runs.find(run_id)
    assert run is not None
    return run


def die(plane: FakePlane, world: World, run: Run) -> None:
    """End a run's agent with exit code 1 and reap the run."""
    world.end(run.id, 1)
    plane.reaper.reap_once(run.id)
    plane.rest()


def finish(plane: FakePlane, world: World) -> None:
    """End every agent and sweep until no run is open."""
    while runs := plane.ledgers.runs.open_runs():
        for run in runs:
            if run.status == "running":
                die(plane, world, run)
        plane.tick()


def strikes(plane: FakePlane, project: Project) -> int:
    row = plane.ledgers.projects.find(project.id)
    assert row is not None
    return row.strikes


def listed(plane: FakePlane, limit: int) -> list[str]:
    """Return the id of every run, read page by page."""
    ids: list[str] = []
    cursor = None
    while True:
        page = plane.services.listing.page(RunFilter(), limit=limit, cursor=cursor)
        ids += [run.id for run in page.items]
        if (cursor := page.next_cursor) is None:
            return ids


def test_a_project_lives_through_the_split_and_back(servers: Servers, world: World) -> None:
    before = servers(split=False)
    project = before.add_project(world)
    old = start(before, project, "old", issue=before.add_issue(project))
    die(before, world, old)
    assert strikes(before, project) == 1

    after = servers(change_stores=True)
    new = start(after, project, "new", issue=after.add_issue(project))
    assert [store_of(run.id) for run in (old, new)] == [Store.CONTROL, Store.RUNS]
    assert start(after, project, "old", issue=old.issue).id == old.id
    die(after, world, new)
    assert (found(after, new.id).status, strikes(after, project)) == ("died", 2)
    retries = [
        after.services.retry.retry(run.id, RetryOptions(), after.requester(), after.clock()).run
        for run in (old, new)
    ]
    after.rest()
    assert [store_of(run.id) for run in retries] == [Store.CONTROL, Store.RUNS]
    batch = a_batch(after, project, 4)
    assert store_of(batch.id) is Store.RUNS

    # a crash: the next server finds the old state and puts new runs in the control store again
    back = servers(runs_split=False, change_stores=True)
    finish(back, world)
    assert back.services.batches.find(batch.id).status == "partly_failed"
    last = start(back, project, task="the last")
    assert store_of(last.id) is Store.CONTROL
    whole = listed(back, 50)
    assert len(whole) == len(set(whole)) == 9
    assert listed(back, 2) == whole
    assert {old.id, new.id, last.id, *(run.id for run in retries)} < set(whole)
    assert back.services.listing.count_open(project.id) == 1


def test_a_file_beside_a_postgresql_control_store_is_refused(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://127.0.0.1:1/away",
        runs_database_url=f"sqlite:///{tmp_path / 'runs.db'}",
    )
    with pytest.raises(CannotStart, match="would not show what another server writes"):
        open_stores(settings, Feed())
