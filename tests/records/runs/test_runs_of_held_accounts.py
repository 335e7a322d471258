"""Runs that wait for an account at its limit: found and counted without reading all that wait."""

from __future__ import annotations

import pytest

from app.domain.words import Status
from app.records.database.database import Database
from app.records.people.usage_limit_ledger import HoldLedger
from app.records.tables import AccountHold
from tests.builders.databases import only_on_sqlite
from tests.builders.rows import NOW, draft_run, stores_on
from tests.drivers.query_plans import steps_of

MANY = 1_000
FAMILIES = [
    ("", "haiku-9", True),
    ("opus", "Claude-OPUS-9", True),
    ("opus", None, True),
    ("opus", "haiku-9", False),
]


def hold_of(agent: str, family: str = "") -> AccountHold:
    return AccountHold(agent=agent, account="a", family=family, since=NOW, evidence="", run_id="r")


def put_runs(database: Database, count: int, **columns: object) -> HoldLedger:
    with database.transaction() as tx:
        tx.add_all(draft_run(**columns) for _ in range(count))
    return HoldLedger(stores_on(database))


@pytest.mark.both_databases
@pytest.mark.parametrize(("family", "model", "is_needed"), FAMILIES)
def test_a_queued_run_needs_the_account_of_its_agent_and_its_model(
    database: Database, family: str, model: str | None, is_needed: bool
) -> None:
    ledger = put_runs(database, 2, status=Status.QUEUED, agent="claude", model=model)
    assert ledger.has_queued(hold_of("claude", family)) is is_needed
    assert ledger.count_waiting([hold_of("claude", family)]) == [2 * is_needed]
    assert not ledger.has_queued(hold_of("codex", family))


@pytest.mark.both_databases
def test_runs_that_wait_to_be_resumed_are_counted_and_ended_ones_are_not(
    database: Database,
) -> None:
    over = {"ended_at": NOW, "released_at": NOW, "agent": "claude"}
    put_runs(database, 1, status=Status.LIMITED, may_resume=True, **over)
    ledger = put_runs(database, 1, status=Status.DIED, **over)
    holds = [hold_of("claude"), hold_of("codex")]
    assert ledger.count_waiting(holds) == [1, 0]
    assert not ledger.has_queued(holds[0])


@only_on_sqlite("SQLite counts the steps of a statement")
def test_a_run_that_needs_the_account_is_found_without_reading_the_others(
    database: Database,
) -> None:
    hold = hold_of("claude")
    ledger = put_runs(database, MANY, status=Status.QUEUED, agent="claude")
    assert ledger.has_queued(hold)
    assert steps_of(database, lambda: ledger.has_queued(hold)) < MANY
