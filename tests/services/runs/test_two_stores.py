"""Runs in a second database: decisions across both stores, and crashes between their commits."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.ids import Store, store_of
from app.errors import ConcurrencyLimit, PrLock, Refusal
from app.failpoints import FailpointHit
from app.records.database.database import Database, DatabaseSilent
from app.records.stores.identity import NewRunsMoved, StoresDiffer, agree, knows_run_store
from app.server.startup import CannotStart
from app.services.kept.retry import RetryOptions
from tests.builders.databases import fresh_database, run_store
from tests.builders.two_stores import Planes, die, found, listed, order, requester, start, strikes
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

# --- where a run lives --------------------------------------------------------------------------


def test_runs_of_before_the_split_stay_where_they_are_and_every_list_shows_both(
    planes: Planes, world: World
) -> None:
    before = planes(split=False)
    project = before.add_project(world)
    old = start(before, project)
    after = planes(change_stores=True)
    new = start(after, project, task="another")

    assert (store_of(old.id), store_of(new.id)) == (Store.CONTROL, Store.RUNS)
    assert set(listed(after)) == {old.id, new.id}
    for run in (old, new):
        assert found(after, run.id).status == "running"
        assert after.ledgers.runs.timeline(run.id)
    assert after.services.listing.count_open(project.id) == 2
    assert after.services.listing.window(after.person, after.clock()).used == 2


def test_a_retry_lives_with_what_it_repeats_whatever_the_setting_says_by_now(
    planes: Planes, world: World
) -> None:
    before = planes(split=False)
    project = before.add_project(world)
    old = start(before, project, issue=before.add_issue(project))
    die(before, world, old)
    after = planes(change_stores=True)
    retry = after.services.retry.retry(old.id, RetryOptions(), after.requester(), after.clock()).run
    assert store_of(retry.id) is Store.CONTROL
    assert found(after, old.id).retried_by == retry.id

    new = start(after, project, issue=after.add_issue(project))
    die(after, world, new)
    drained = planes(runs_split=False, change_stores=True)
    retry = drained.services.retry.retry(
        new.id, RetryOptions(), drained.requester(), drained.clock()
    ).run
    assert store_of(retry.id) is Store.RUNS
    assert store_of(start(drained, project).id) is Store.CONTROL


# --- decisions across both ----------------------------------------------------------------------


def test_a_branch_is_locked_and_a_repository_is_full_across_both(
    planes: Planes, world: World
) -> None:
    before = planes(split=False)
    project = before.add_project(world, max_concurrency=2)
    issue = before.add_issue(project)
    old = start(before, project, issue=issue)
    after = planes(change_stores=True)
    with pytest.raises(PrLock) as locked:
        start(after, project, issue=issue, task="more")
    assert locked.value.members["holder"] == old.id
    start(after, project, task="another")
    with pytest.raises(ConcurrencyLimit):
        start(after, project, task="a third")


def test_a_key_of_one_store_is_known_in_the_other_and_reset_in_both(
    planes: Planes, world: World
) -> None:
    before = planes(split=False)
    project = before.add_project(world)
    old = before.services.accept.accept(
        order(project), requester(before, "key"), before.clock()
    ).run
    after = planes(change_stores=True)
    again = after.services.accept.accept(order(project), requester(after, "key"), after.clock())
    assert (again.run.id, again.replayed) == (old.id, True)

    after.services.keys.reset(project.id, "key", after.person, after.clock())
    new = after.services.accept.accept(order(project), requester(after, "key"), after.clock())
    assert not new.replayed
    assert store_of(new.run.id) is Store.RUNS
    after.services.keys.reset(project.id, "key", after.person, after.clock())
    assert [found(after, run.id).idempotency_key for run in (old, new.run)] == [None, None]


def test_of_many_submits_under_one_key_one_makes_a_run(planes: Planes, world: World) -> None:
    plane = planes(repo_concurrency=50)
    project = plane.add_project(world)
    with ThreadPoolExecutor(8) as threads:
        accept = plane.services.accept.accept
        sent = [
            threads.submit(accept, order(project), requester(plane, "key"), plane.clock())
            for _ in range(24)
        ]
        answers = [one.result(60) for one in sent]
    plane.rest()
    assert len({answer.run.id for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert len(listed(plane)) == 1


def test_a_project_with_an_open_run_in_the_run_store_is_not_archived(
    planes: Planes, world: World
) -> None:
    plane = planes()
    project = plane.add_project(world)
    run = start(plane, project)
    assert plane.ledgers.projects.archive(project.id, plane.clock()) is None
    die(plane, world, run)
    assert plane.ledgers.projects.archive(project.id, plane.clock()) is not None


# --- between two commits ------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["before_consequences", "consequences_delivered"])
def test_g5_a_strike_is_counted_once_whichever_commit_a_crash_comes_after(
    planes: Planes, world: World, point: str
) -> None:
    plane = planes()
    project = plane.add_project(world)
    run = start(plane, project, issue=plane.add_issue(project))
    fail_at(point)
    world.end(run.id, 1)
    with pytest.raises(FailpointHit):
        plane.reaper.reap_once(run.id)
    assert found(plane, run.id).status == "died"
    clear_failpoints()

    successor = planes()
    successor.recover_once()
    assert strikes(successor, project) == 1
    assert successor.services.outbox.catch_up() == 0
    successor.tick()
    assert strikes(successor, project) == 1


def test_strikes_and_their_reset_come_in_the_order_in_which_runs_ended(
    planes: Planes, world: World
) -> None:
    plane = planes()
    project = plane.add_project(world)
    runs = [start(plane, project, issue=plane.add_issue(project)) for _ in range(3)]
    fail_at("before_consequences")
    for run in runs:
        world.end(run.id, 1)
        with pytest.raises(FailpointHit):
            plane.reaper.reap_once(run.id)
    clear_failpoints()
    assert strikes(plane, project) == 0
    assert plane.services.outbox.catch_up() == 3
    assert strikes(plane, project) == 3


def test_a_submit_that_is_cut_between_the_stores_leaves_nothing_and_can_be_sent_again(
    planes: Planes, world: World
) -> None:
    plane = planes()
    project = plane.add_project(world)
    fail_at("accept.between_stores")
    with pytest.raises(FailpointHit):
        plane.services.accept.accept(order(project), requester(plane, "key"), plane.clock())
    assert listed(plane) == []
    clear_failpoints()
    sent = plane.services.accept.accept(order(project), requester(plane, "key"), plane.clock())
    assert not sent.replayed
    assert listed(plane) == [sent.run.id]


@pytest.mark.expects_error_log
def test_a_run_whose_turn_is_cut_between_the_stores_is_taken_by_the_next_sweep(
    planes: Planes, world: World
) -> None:
    plane = planes(max_live_runs=1)
    project = plane.add_project(world)
    first = start(plane, project)
    second = start(plane, project, task="another")
    assert second.status == "queued"
    die(plane, world, first)
    fail_at("take.between_stores")
    plane.tick()
    assert found(plane, second.id).status == "queued"
    clear_failpoints()
    plane.tick()
    assert found(plane, second.id).status == "running"
    assert world.launches.count(second.id) == 1


# --- a silent store -----------------------------------------------------------------------------


def test_a_run_store_that_is_silent_is_never_taken_for_one_without_the_run(
    planes: Planes, world: World
) -> None:
    plane = planes()
    project = plane.add_project(world)
    run = start(plane, project)
    plane.stop()
    dead = planes_on_a_dead_store(plane, world)
    for ask in (
        lambda: dead.ledgers.runs.find(run.id),
        lambda: dead.ledgers.runs.timeline(run.id),
        lambda: listed(dead),
        lambda: dead.services.accept.accept(order(project), requester(dead, "key"), dead.clock()),
        lambda: dead.services.keys.reset(project.id, "key", dead.person, dead.clock()),
        lambda: dead.ledgers.projects.archive(project.id, dead.clock()),
    ):
        with pytest.raises((DatabaseSilent, Refusal)) as silence:
            ask()
        assert getattr(silence.value, "status", 503) == 503
    assert not dead.stores.answers()
    assert dead.ledgers.projects.find(project.id) is not None
    dead.stop()


def planes_on_a_dead_store(plane: FakePlane, world: World) -> FakePlane:
    """Return the same server with its run store down: nothing listens on its port."""
    folder = plane.settings.data_root
    url = "postgresql://127.0.0.1:1/away?connect_timeout=1"
    return FakePlane(folder, world, runs_database_url=url)


# --- servers and the databases they may use -----------------------------------------------------


def test_a_server_that_is_set_otherwise_than_what_is_recorded_does_not_start(
    planes: Planes,
) -> None:
    planes(split=False)
    with pytest.raises(CannotStart, match="RUNYARD_CHANGE_STORES=1"):
        planes()
    planes(change_stores=True)
    planes()
    with pytest.raises(CannotStart, match="set RUNYARD_RUNS_DATABASE_URL"):
        planes(split=False, change_stores=True)
    with pytest.raises(CannotStart, match="new runs live in the run store"):
        planes(runs_split=False)
    planes(runs_split=False, change_stores=True)
    planes(change_stores=True)


def test_the_control_store_under_another_name_is_no_run_store(
    planes: Planes, tmp_path: Path
) -> None:
    url = planes(split=False).settings.database
    alias = f"{url}{'&' if '?' in url else '?'}application_name=other"
    if url.startswith("sqlite:///"):
        (tmp_path / "alias.db").symlink_to(url.removeprefix("sqlite:///"))
        alias = f"sqlite:///{tmp_path / 'alias.db'}"
    with pytest.raises(CannotStart, match="the control store itself, or a copy"):
        planes(runs_database_url=alias)


def test_a_copy_of_the_control_store_is_no_run_store(planes: Planes, tmp_path: Path) -> None:
    file = planes(split=False).settings.database.removeprefix("sqlite:///")
    if not Path(file).exists():
        pytest.skip("the control store is no file")
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with pytest.raises(CannotStart, match="the control store itself, or a copy"):
        planes(runs_database_url=f"sqlite:///{copy}")


def test_another_run_store_and_that_of_another_deployment_are_refused(
    planes: Planes, world: World, tmp_path: Path
) -> None:
    first = planes()
    with pytest.raises(CannotStart, match="another run store"):
        planes(runs_database_url=run_store(tmp_path / "second"))
    stranger = FakePlane(tmp_path / "stranger", world, runs_database_url=run_store(tmp_path))
    with pytest.raises(CannotStart, match="of another deployment"):
        stranger.migrate()
    assert not knows_run_store(stranger.stores)
    # not even to a store that was unclaimed before
    with pytest.raises(StoresDiffer, match="of another deployment"):
        agree(stranger.stores, may_change=False)
    assert not knows_run_store(stranger.stores)
    stranger.stop()
    agree(first.stores, may_change=False)


def test_a_store_that_is_refused_is_left_as_it_was(planes: Planes, tmp_path: Path) -> None:
    # an older server works on it and could not write after a migration
    others = tmp_path / "others.db"
    others.write_bytes(fresh_database())
    with closing(sqlite3.connect(others)) as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.execute("INSERT INTO setting (name, value) VALUES ('control_store', 'x')")
        database.commit()
    with pytest.raises(CannotStart, match="of another deployment"):
        planes(runs_database_url=f"sqlite:///{others}")
    with closing(sqlite3.connect(others)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert database.execute("SELECT name FROM setting").fetchall() == [("control_store",)]


def test_a_store_that_cannot_say_who_it_is_is_refused(planes: Planes, tmp_path: Path) -> None:
    nobody = Database(f"sqlite:///{tmp_path / 'nobody.db'}", publish=lambda _: None)
    stores = replace(planes().stores, runs=nobody)
    with pytest.raises(StoresDiffer, match="did not say who it is"):
        agree(stores, may_change=False)
    nobody.close()


def test_a_running_server_accepts_no_new_run_once_another_was_told_where_they_live_now(
    planes: Planes, world: World
) -> None:
    before = planes(split=False)
    project = before.add_project(world)
    run = start(before, project)
    assert before.services.store_watch.parts() == []
    planes(change_stores=True)

    with pytest.raises(NewRunsMoved, match="Restart it with the same RUNYARD_RUNS_DATABASE_URL"):
        start(before, project, task="another")
    assert "live in the run store" in before.services.store_watch.check_once()
    assert [(one.part, one.brief) for one in before.services.store_watch.parts()] == [
        ("new runs", "new runs are not accepted")
    ]
    # the server finishes runs that it has begun
    world.end(run.id, 1)
    before.tick()
    assert found(before, run.id).status == "died"


def test_a_probe_that_failed_names_the_setting(planes: Planes, tmp_path: Path) -> None:
    nobody = Database(f"sqlite:///{tmp_path / 'nobody.db'}", publish=lambda _: None)
    stores = replace(planes().stores, runs=nobody)
    with pytest.raises(StoresDiffer, match=r"RUNYARD_RUNS_DATABASE_URL\) did not say who it is"):
        agree(stores, may_change=False)
    nobody.close()
