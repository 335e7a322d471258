"""Commits whose answer is lost: what they changed is announced all the same, if it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from app.api.live import LiveStream
from app.records.database.database import DatabaseSilent
from app.records.feed import (
    BatchSealed,
    Change,
    Numbered,
    RunAccepted,
    RunEventAppended,
    StartMoved,
)
from app.services.batches.filling import Item
from tests.fakes.planes import TwinPlane

AN_HOUR = 3600


@contextmanager
def failing_commits(plane: TwinPlane, *, made: bool) -> Iterator[None]:
    """Let no commit of new runs have an answer; `made` says whether it was made all the same."""

    def commit_and_fail(connection: Connection) -> None:
        if made:
            connection.connection.commit()
        raise OperationalError("COMMIT", {}, OSError("the connection was lost"))

    # of two stores, the one that commits last: without the first, the second writes nothing
    engine = plane.stores.holding_runs()[0].engine
    event.listen(engine, "commit", commit_and_fail)
    try:
        yield
    finally:
        event.remove(engine, "commit", commit_and_fail)


@pytest.fixture
def quiet(twin: TwinPlane) -> TwinPlane:
    """A plane with a project that starts nothing."""
    twin.add_project()
    twin.workers.close()
    return twin


def announced(plane: TwinPlane, act: Callable[[], object]) -> list[Change]:
    """Return what is announced for the sweep by an act whose commit has no answer."""
    found: list[Change] = []
    leave = plane.feed.subscribe(lambda one: found.append(one.change))
    with failing_commits(plane, made=True), pytest.raises(DatabaseSilent):
        act()
    leave()
    return [one for one in found if isinstance(one, RunAccepted | StartMoved | BatchSealed)]


def test_a_run_is_announced_though_the_answer_to_its_commit_is_lost(quiet: TwinPlane) -> None:
    [project] = quiet.ledgers.projects.all()
    found = announced(quiet, lambda: quiet.accept(quiet.order(project)))
    assert found == [RunAccepted(run_id, None) for run_id in quiet.rows()]
    assert len(found) == 1


@pytest.mark.parametrize("is_now", [True, False], ids=["started-now", "moved"])
def test_another_start_is_announced_though_the_answer_to_its_commit_is_lost(
    quiet: TwinPlane, is_now: bool
) -> None:
    [project] = quiet.ledgers.projects.all()
    run = quiet.accept(quiet.order(project, delay_seconds=AN_HOUR))
    planned, now = quiet.services.planned, quiet.clock()

    def change_start() -> None:
        if is_now:
            planned.start_now(run.id, "ann", now)
        else:
            planned.move(run.id, 2 * AN_HOUR, "ann", now)

    due_at = None if is_now else now + timedelta(seconds=2 * AN_HOUR)
    assert announced(quiet, change_start) == [StartMoved(run.id, due_at)]


def test_a_full_batch_is_announced_though_the_answer_to_its_commit_is_lost(
    quiet: TwinPlane,
) -> None:
    [project] = quiet.ledgers.projects.all()
    desk, now = quiet.services.batches, quiet.clock()
    batch = desk.open(project.id, 1, None, quiet.requester(), now).batch
    filling = desk.fill(batch.id, quiet.requester())
    filling.take(Item(0, quiet.order(project, task="a part")), now)
    assert announced(quiet, lambda: desk.seal(batch.id, now)) == [BatchSealed(batch.id)]


@pytest.mark.parametrize("made", [True, False])
def test_pages_get_a_timeline_line_whose_commit_had_no_answer_only_if_it_is_there(
    quiet: TwinPlane, made: bool
) -> None:
    [project] = quiet.ledgers.projects.all()
    ledger, run = quiet.ledgers.runs, quiet.accept(quiet.order(project))
    published: list[Numbered] = []
    quiet.feed.subscribe(published.append)
    with failing_commits(quiet, made=made), pytest.raises(DatabaseSilent):
        ledger.append_event_once(run.id, quiet.clock(), "note", "perhaps written")
    assert [type(one.change) for one in published] == [RunEventAppended]
    sent = LiveStream(quiet.services).events_of(published)
    assert [one.data["event"].sentence for one in sent] == ["perhaps written"] * made
