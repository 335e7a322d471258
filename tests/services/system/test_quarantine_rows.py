"""Internal faults on rows of every kind: each is quarantined alone, and no other waits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.batches import BulkAction
from app.records.runs.quarantine_ledger import MOST_TRIES
from app.records.runs.run_pages import RunFilter
from app.records.tables import Run
from tests.builders.batches import a_batch
from tests.builders.notifications import DESK, PHONE, telling
from tests.builders.two_stores import Planes
from tests.builders.unreadable_rows import FAULT, found, keys, poison, start, tick
from tests.fakes.limited_agents import Limited, install_claude, limited
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

pytestmark = pytest.mark.expects_error_log


@pytest.fixture
def plane(planes: Planes) -> FakePlane:
    return planes()


def test_an_issue_that_cannot_be_started_lets_the_loop_take_the_next(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world, auto_enabled=True)
    sick, well = plane.add_issue(project), plane.add_issue(project)
    accept = plane.services.accept.accept

    def accept_but(order: object, *rest: object, **more: object) -> object:
        if getattr(order, "issue", None) == sick:
            raise FAULT
        return accept(order, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(plane.services.accept, "accept", accept_but)
    tick(plane, MOST_TRIES + 1)
    assert keys(plane) == [f"issue.{project.id}.{sick}"]
    (run,) = plane.ledgers.runs.open_runs(project.id)
    assert (run.issue, run.status) == (well, "running")
    holds = dict(plane.services.afk.plan(project.id, plane.clock()).holds)
    assert holds[sick] == "left to a person: its start failed again and again"
    monkeypatch.setattr(plane.services.accept, "accept", accept)
    plane.services.quarantine.try_again(f"issue.{project.id}.{sick}")
    world.end(run.id, 1)
    tick(plane, 2)
    assert {one.issue for one in plane.ledgers.runs.open_runs(project.id)} == {sick}


def test_a_run_that_cannot_be_resumed_keeps_no_other_waiting_after_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in install_claude(tmp_path / "bin").items():
        monkeypatch.setenv(name, value)
    with limited(tmp_path / "data") as yard:
        project = yard.project()
        sick, well = (yard.order(project) for _ in range(2))
        for run in (sick, well):
            yard.meet_limit(run)
        poison(monkeypatch, yard.plane.services.resume._retry, "resume", sick.id)
        yard.pass_limit()
        assert yard.run(well.id).retried_by is not None
        for _ in range(2 * MOST_TRIES):
            go_on(yard)
        assert keys(yard.plane) == [f"resume.{sick.id}"]
        # a person resumes it manually
        monkeypatch.undo()
        with yard.plane.stores.owner_of(sick.id).transaction() as tx:
            row = tx.get(Run, sick.id)
            assert row is not None
            row.may_resume = False
        yard.tick()
        assert yard.plane.services.quarantine.known() == []


def go_on(yard: Limited) -> None:
    """Let running agents prove that the account works, then sweep so that the next may follow."""
    for run in yard.plane.ledgers.runs.open_runs():
        if run.status == "running":
            yard.work(run)
    yard.tick(after=timedelta(minutes=5))


def test_a_batch_that_cannot_be_aborted_lets_others_end_and_leaves_with_its_own_end(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    sick, well = (a_batch(plane, project, 2, sent=1) for _ in range(2))
    poisoned = poison(monkeypatch, plane.services.sweep._batches._batches, "give_up", sick.id)
    plane.clock.advance(3600)
    tick(plane, MOST_TRIES)
    assert plane.services.batches.find(well.id).status == "aborted"
    assert keys(plane) == [f"batch.{sick.id}"]
    poisoned.is_mended = True
    plane.services.batches.stop(sick.id, "not wanted", plane.clock())
    tick(plane, 1)
    assert plane.services.quarantine.known() == []


def test_an_order_for_many_runs_refuses_what_fails_and_leaves_nothing_behind(
    plane: FakePlane,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    project = plane.add_project(world)
    sick, well = (start(plane, project, task=task) for task in ("one", "two"))
    poison(monkeypatch, plane.services.bulk._actions.stopper, "stop", sick.id)
    desk = plane.services.bulk
    wanted = RunFilter(project_id=project.id)
    bulk = desk.order(BulkAction.STOP, wanted, "by a test", plane.requester(), plane.clock()).bulk
    plane.rest()
    for _ in range(MOST_TRIES):
        desk.request()
        plane.rest()
    assert desk.find(bulk.id).status == "completed"
    assert found(plane, well).status == "stopped"
    assert found(plane, sick).status == "running"
    assert plane.services.quarantine.known() == []
    assert "id_of_unknown_shape" not in caplog.text


def test_a_notification_that_cannot_be_put_into_words_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with telling(tmp_path, PHONE, DESK) as yard:
        project = yard.project()
        yard.notifier.refuses |= {PHONE: "away", DESK: "away"}
        yard.run(project)
        sick = next(row for row in yard.rows() if row.receiver == yard.rows()[0].receiver)
        request: Any = yard.plane.services.notifications.request
        sender = request.__self__
        poisoned = poison(monkeypatch, sender, "_send", sick.id)
        yard.notifier.refuses.clear()
        for _ in range(2 * MOST_TRIES):
            due = [row.due_at for row in yard.rows() if row.state == "pending"]
            yard.set_clock(max(due))
        assert keys(yard.plane) == [f"notice.{sick.id}"]
        assert len(yard.taken(PHONE)) + len(yard.taken(DESK)) == 1
        poisoned.is_mended = True
        yard.plane.services.quarantine.try_again(f"notice.{sick.id}")
        yard.go_round()
        assert len(yard.taken(PHONE)) + len(yard.taken(DESK)) == 2
