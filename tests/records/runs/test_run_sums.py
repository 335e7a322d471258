"""Runs by cost and their sums: each once, dearest first, both ways, by index or bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.domain.words import Status
from app.records.database.cursors import BadCursor
from app.records.runs import run_pages
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_pages import RunFilter
from app.records.runs.run_sums import list_by_cost, totals
from app.records.stores.routing import Stores
from tests.builders.rows import NOW, add_run

COSTS = [0.5, None, 3.25, 0.0, 0.5, 12.0]


@pytest.fixture
def six(ledger: RunLedger) -> Stores:
    """Six runs, the oldest first: one cost is unknown, two are the same."""
    for number, cost in enumerate(COSTS):
        at = NOW + timedelta(seconds=number)
        status = Status.DIED if number % 2 else Status.SUCCEEDED
        add_run(ledger, created_at=at, cost_usd=cost, status=status, ended_at=at, released_at=at)
    return ledger.stores


def costs_of(stores: Stores, wanted: RunFilter, limit: int) -> list[list[float | None]]:
    """Return the costs on all pages, and check that each page leads back to the one before."""
    pages = [list_by_cost(stores, wanted, limit=limit, cursor=None)]
    while pages[-1].next_cursor is not None:
        pages.append(list_by_cost(stores, wanted, limit=limit, cursor=pages[-1].next_cursor))
        back = list_by_cost(stores, wanted, limit=limit, cursor=pages[-1].prev_cursor)
        assert [run.id for run in back.items] == [run.id for run in pages[-2].items]
    assert pages[0].prev_cursor is None
    return [[run.cost_usd for run in page.items] for page in pages]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("wanted", "pages"),
    [
        (RunFilter(), [[12.0, 3.25], [0.5, 0.5], [0.0]]),
        (RunFilter(statuses=["died"]), [[12.0, 0.0]]),
        (RunFilter(project_id="nobody's"), [[]]),
        (RunFilter(created_before=NOW + timedelta(seconds=3)), [[3.25, 0.5]]),
    ],
)
def test_the_dearest_come_first_and_an_unknown_cost_is_left_out(
    six: Stores, wanted: RunFilter, pages: list[list[float]]
) -> None:
    assert costs_of(six, wanted, 2) == pages


@pytest.mark.both_databases
def test_sums_are_by_status_and_tell_if_older_runs_are_left_out(
    six: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, looked_among = totals(six, RunFilter())
    assert [(one.status, one.count, one.cost_usd) for one in found] == [
        ("died", 3, 12.0),
        ("succeeded", 3, 4.25),
    ]
    assert looked_among is None
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", 4)
    found, looked_among = totals(six, RunFilter())
    assert (sum(one.count for one in found), looked_among) == (4, 20_000)


@pytest.mark.parametrize(
    ("where", "index"),
    [("", "runs_by_cost"), ("AND project_id = 'proj_1'", "runs_of_project_by_cost")],
)
def test_a_list_by_cost_walks_its_index(six: Stores, where: str, index: str) -> None:
    query = "EXPLAIN QUERY PLAN SELECT id FROM runs WHERE runs.cost_usd IS NOT NULL {} {}"
    order = "ORDER BY cost_usd DESC, id DESC LIMIT 11"
    with six.control.reading() as session:
        plan = " ".join(map(str, session.connection().execute(text(query.format(where, order)))))
    assert index in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("cursor", ["x", "bnxpbmZ8cnVuXzE", "bnwxfHJ1bl8x"])
def test_a_foreign_cursor_is_refused(six: Stores, cursor: str) -> None:
    with pytest.raises(BadCursor):
        list_by_cost(six, RunFilter(), limit=2, cursor=cursor)
