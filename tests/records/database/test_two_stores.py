"""Each statement uses the store that owns its row, so the other store may be down."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.domain.batches import BatchStatus
from app.domain.lifecycle import Signal
from app.domain.notifications import Kind
from app.domain.words import Status
from app.records.batches.batch_ledger import BatchLedger
from app.records.batches.batch_queue import BatchQueue
from app.records.database.database import Database, DatabaseSilent
from app.records.people.notification_ledger import NoticeLedger
from app.records.people.usage_limit_ledger import HoldLedger
from app.records.runs import run_ledger
from app.records.runs.run_ledger import RunLedger
from app.records.stores.identity import CannotTell, identify, recognise
from app.records.stores.sessions import OnlyOneStore, control_of
from app.records.tables import BulkItem, Project, Run
from tests.builders.databases import TEMPLATE, fresh_database, one_postgres
from tests.builders.rows import (
    NOW,
    add_run,
    batch_id,
    draft_batch,
    draft_run,
    opened_database,
    run_id,
    stores_on,
)
from tests.drivers.store_guard import Astray, strays

# nothing listens on this port
DEAD = "postgresql://127.0.0.1:1/away?connect_timeout=1"


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[Database]:
    """A run store that works."""
    (tmp_path / "runs.db").write_bytes(fresh_database())
    database = Database(f"sqlite:///{tmp_path / 'runs.db'}", publish=lambda _: None)
    yield database
    database.close()


@pytest.fixture
def dead() -> Iterator[Database]:
    """A database that is down."""
    database = Database(DEAD, publish=lambda _: None)
    yield database
    database.close()


@pytest.mark.both_databases
def test_what_concerns_a_run_alone_asks_no_other_store(alive: Database, dead: Database) -> None:
    ledger = RunLedger(stores_on(dead, alive))
    run = add_run(ledger, id=run_id(split=True))
    with ledger.stores.owner_of(run.id).transaction() as tx:
        moved = ledger.move(tx, run, Signal.TAKEN, now=NOW, kind="taken", sentence="taken")
    assert moved is not None
    ledger.append_event_once(run.id, NOW, "note", "a line")
    ledger.update_fields(run.id, run.project_id, hold="waits")
    found = ledger.find(run.id)
    assert found is not None
    assert (found.status, found.hold) == (Status.STARTING, "waits")
    assert [line.kind for line in ledger.timeline(run.id)] == ["accepted", "taken", "note"]


# of rows made in turn: the first in the run store, or the first in the control store
TURNS = [(True, False, True), (False, True, False)]


@pytest.fixture
def both(alive: Database, tmp_path: Path) -> Iterator[RunLedger]:
    """Runs in two stores that work."""
    (tmp_path / "control.db").write_bytes(fresh_database())
    control = Database(f"sqlite:///{tmp_path / 'control.db'}", publish=lambda _: None)
    yield RunLedger(stores_on(control, alive))
    control.close()


@pytest.mark.parametrize("turns", TURNS)
def test_runs_of_both_stores_are_resumed_in_the_order_of_their_ends(
    both: RunLedger, turns: tuple[bool, ...]
) -> None:
    ends = [NOW + timedelta(hours=hour) for hour in range(len(turns))]
    runs = [
        add_run(both, id=run_id(split=split), ended_at=at, may_resume=True)
        for split, at in zip(turns, ends, strict=True)
    ]
    assert [run.id for run in HoldLedger(both.stores).resumable()] == [run.id for run in runs]


@pytest.mark.parametrize("turns", TURNS)
def test_what_aborted_batches_left_in_both_stores_is_newest_first(
    both: RunLedger, turns: tuple[bool, ...]
) -> None:
    made: list[str] = []
    for hour, split in enumerate(turns):
        at = NOW + timedelta(hours=hour)
        batch = draft_batch(id=batch_id(at, split=split), status=BatchStatus.ABORTED)
        with both.stores.owner_of(batch.id).transaction() as tx:
            tx.add(batch)
        mine = {"id": run_id(at, split=split), "batch_id": batch.id, "created_at": at}
        made.append(add_run(both, **mine).id)
    left = BatchQueue(BatchLedger(both.stores)).left_behind()
    assert [run.id for run, _ in left] == made[::-1]


@pytest.mark.parametrize("turns", TURNS)
def test_notifications_of_both_stores_wait_in_the_order_of_their_making(
    both: RunLedger, turns: tuple[bool, ...]
) -> None:
    ledger = NoticeLedger(both.stores)
    for hour, split in enumerate(turns):
        at = NOW + timedelta(hours=hour)
        with both.stores.owner_of(run_id(split=split)).transaction() as tx:
            ledger.write(tx, Kind.FAILED, f"key {hour}", ["one"], {}, now=at, due_at=at)
    waiting = ledger.waiting("one", NOW + timedelta(days=1))
    assert [row.key for row in waiting] == ["key 0", "key 1", "key 2"]


@pytest.mark.both_databases
def test_of_a_store_that_is_away_nothing_is_answered_and_nothing_half_done(
    alive: Database, dead: Database
) -> None:
    ledger = RunLedger(stores_on(alive, dead))
    with pytest.raises(DatabaseSilent):
        ledger.find(run_id(split=True))
    run = draft_run(id=run_id())
    with pytest.raises(DatabaseSilent), ledger.stores.spanning(run.id, "accept") as tx:
        ledger.insert(tx, run, sentence="accepted")
    with pytest.raises(DatabaseSilent), ledger.stores.looking() as session:
        run_ledger.count_live(session)
    with alive.reading() as session:
        assert session.get(Run, run.id) is None


def test_a_session_of_one_store_does_not_answer_for_both(alive: Database, dead: Database) -> None:
    stores = stores_on(dead, alive)
    with stores.owner_of(run_id(split=True)).reading() as session:
        with pytest.raises(OnlyOneStore):
            run_ledger.count_open(session, "proj_1")
        with pytest.raises(OnlyOneStore):
            control_of(session)


@pytest.mark.parametrize(
    ("is_split", "query"),
    [
        (True, select(Project.id)),
        (False, select(Run.id).where(col(Run.id) == run_id(split=True))),
        (True, select(Run.id).where(col(Run.id).in_([run_id()]))),
        (False, select(Run.id).join(BulkItem, col(BulkItem.run_id) == col(Run.id))),
    ],
    ids=["control's table", "run store's row", "control's row", "both"],
)
def test_tests_fail_where_a_store_is_asked_for_what_the_other_one_owns(
    alive: Database, tmp_path: Path, is_split: bool, query: SelectOfScalar[str]
) -> None:
    control = opened_database(tmp_path / "control.db", lambda _: None)
    stores = stores_on(control, alive)
    with stores.owner_of(run_id(split=is_split)).reading() as session, pytest.raises(Astray):
        session.exec(query)
    assert strays
    strays.clear()
    control.close()


def test_a_store_that_may_not_be_asked_who_it_is_has_not_said_it() -> None:
    server = one_postgres()
    owner = Database(
        server.create(f"rights{secrets.token_hex(3)}", TEMPLATE), publish=lambda _: None
    )
    role = f"poor_{secrets.token_hex(3)}"
    with owner.transaction() as tx:
        tx.execute(text(f"CREATE ROLE {role} LOGIN"))
        tx.execute(text("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"))
        tx.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
    url = make_url(owner.url).set(username=role).render_as_string(hide_password=False)
    poor = Database(url, publish=lambda _: None)
    for ask in (identify, recognise):
        assert ask(owner).place
        with pytest.raises(CannotTell, match="permission denied"):
            ask(poor)
    poor.close()
    owner.close()
