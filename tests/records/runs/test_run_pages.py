"""Pages of runs: each row once, in one order, both ways, with ties and both id shapes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlmodel import col

from app.domain.words import Phase, Status
from app.records.database.cursors import BadCursor
from app.records.database.database import Database
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_pages import Page, RunFilter, list_runs
from app.records.stores.routing import Stores
from app.records.tables import Run
from tests.builders.rows import NOW, add_run, batch_id, draft_run, run_id, stores_on

ANY = RunFilter()


def pages_forward(stores: Stores, limit: int, wanted: RunFilter = ANY) -> list[Page]:
    """Return all pages, newest first."""
    pages = [list_runs(stores, wanted, limit=limit, cursor=None)]
    while pages[-1].next_cursor is not None:
        pages.append(list_runs(stores, wanted, limit=limit, cursor=pages[-1].next_cursor))
    return pages


def ids_of(page: Page) -> list[str]:
    return [run.id for run in page.items]


# few distinct times make ties; True means an id in the run store's shape
ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=14)


@pytest.fixture
def halves(open_database: Callable[..., Database]) -> Stores:
    """Stores with runs in two databases."""
    return stores_on(open_database("control"), open_database("runs"))


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, limit=st.integers(1, 5))
@pytest.mark.both_databases
def test_every_row_is_on_one_page_and_back_pages_mirror_forward_ones(
    halves: Stores, rows: list[tuple[int, bool]], limit: int
) -> None:
    added: list[Run] = []
    for at, split in rows:
        moment = NOW + timedelta(microseconds=at)
        added.append(draft_run(id=run_id(moment, split=split), created_at=moment))
    for store in halves.holding_runs():
        with store.transaction() as tx:
            tx.execute(delete(Run))
            tx.add_all([run for run in added if halves.owner_of(run.id) is store])
    expected = sorted(added, key=lambda run: (run.created_at, run.id), reverse=True)
    check_walk(halves, [run.id for run in expected], limit)


def check_walk(stores: Stores, expected: list[str], limit: int) -> None:
    forward = pages_forward(stores, limit)
    assert [one for page in forward for one in ids_of(page)] == expected
    assert all(page.items for page in forward) or not expected
    assert all(len(page.items) == limit for page in forward[:-1])
    assert forward[0].prev_cursor is None
    back = [forward[-1]]
    while back[-1].prev_cursor is not None:
        back.append(list_runs(stores, ANY, limit=limit, cursor=back[-1].prev_cursor))
    assert [ids_of(page) for page in reversed(back)] == [ids_of(page) for page in forward]
    assert back[-1].prev_cursor is None
    # forward again from pages reached backward
    for older, newer in pairwise(back):
        again = list_runs(stores, ANY, limit=limit, cursor=newer.next_cursor)
        assert ids_of(again) == ids_of(older)


def test_a_cursor_survives_new_rows(ledger: RunLedger) -> None:
    for second in range(6):
        add_run(ledger, created_at=NOW + timedelta(seconds=second))
    first = list_runs(ledger.stores, ANY, limit=2, cursor=None)
    expected = list_runs(ledger.stores, ANY, limit=2, cursor=first.next_cursor)
    add_run(ledger, created_at=NOW + timedelta(hours=1))
    again = list_runs(ledger.stores, ANY, limit=2, cursor=first.next_cursor)
    assert ids_of(again) == ids_of(expected)
    # the new rows are on the previous page
    back = list_runs(ledger.stores, ANY, limit=2, cursor=again.prev_cursor)
    assert ids_of(back) == ids_of(first)
    assert back.prev_cursor is not None
    newest = list_runs(ledger.stores, ANY, limit=2, cursor=back.prev_cursor)
    assert len(newest.items) == 1
    assert newest.prev_cursor is None


@pytest.mark.both_databases
def test_a_page_whose_rows_have_gone_elsewhere_leads_back(ledger: RunLedger) -> None:
    stores, waiting = ledger.stores, RunFilter(statuses=["queued"])
    for number in range(4):
        add_run(ledger, created_at=NOW + timedelta(seconds=number // 3))
    first = list_runs(stores, waiting, limit=2, cursor=None)
    second = list_runs(stores, waiting, limit=2, cursor=first.next_cursor)

    def move(page: Page, status: str) -> None:
        with stores.control.transaction() as tx:
            query = update(Run).where(col(Run.id).in_(ids_of(page)))
            tx.execute(query.values(status=status))

    for gone, cursor, other in (
        (first, second.prev_cursor, second),
        (second, first.next_cursor, first),
    ):
        move(gone, "starting")
        empty = list_runs(stores, waiting, limit=2, cursor=cursor)
        assert empty.items == []
        [back] = [one for one in (empty.next_cursor, empty.prev_cursor) if one]
        assert ids_of(list_runs(stores, waiting, limit=2, cursor=back)) == ids_of(other)
        move(gone, "queued")


def test_no_runs_are_one_empty_page(ledger: RunLedger) -> None:
    assert list_runs(ledger.stores, ANY, limit=5, cursor=None) == Page([], None, None)


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "bad",
    [
        *("x", "!!!!", "größe", "\0", "=", "a" * 5000),
        base64.urlsafe_b64encode(b"\xff\xfe|x|y").decode(),
        cursor("n|2026-01-01T00:00:00+00:00"),
        cursor("n|2026-01-01T00:00:00|" + run_id()),
        cursor("x|2026-01-01T00:00:00+00:00|" + run_id()),
        cursor("n|yesterday|" + run_id()),
        cursor("n|0001-01-01T00:00:00+23:59|" + run_id()),
        cursor("n|9999-12-31T23:59:59-23:59|" + run_id()),
        cursor("n|2026-01-01T00:00:00+00:00|a|b"),
        cursor("p|0001-01-01T00:00:00+00:00|" + batch_id()),
        cursor("n|2026-01-01T00:00:00+00:00|"),
        cursor("n|2026-01-01T00:00:00+00:00|a\0b"),
        cursor("n|2026-01-01T00:00:00+00:00|' OR 1=1"),
    ],
)
def test_a_cursor_that_was_not_made_here_is_refused(ledger: RunLedger, bad: str) -> None:
    add_run(ledger)
    with pytest.raises(BadCursor):
        list_runs(ledger.stores, ANY, limit=5, cursor=bad)


@pytest.fixture
def shelf(ledger: RunLedger) -> dict[str, Run]:
    """Runs that each differ in one property."""
    ended = {"ended_at": NOW}
    return {
        "plain": add_run(ledger, title="Mend 100% of_it"),
        "other": add_run(ledger, project_id="proj_2"),
        "issue": add_run(ledger, issue=12, work_branch="afk/12", title="Say hello"),
        "branch": add_run(ledger, branch_name="develop"),
        "running": add_run(ledger, status=Status.RUNNING),
        "died": add_run(ledger, status=Status.DIED, **ended),
        "auto": add_run(ledger, trigger="auto"),
        "tagged": add_run(ledger, tags=["slow", "Größe-50%"]),
    }


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (RunFilter(project_id="proj_2"), {"other"}),
        (RunFilter(project_id="proj_3"), set()),
        (RunFilter(statuses=["died", "running"]), {"died", "running"}),
        (RunFilter(phase=Phase.LIVE), {"running"}),
        (RunFilter(phase=Phase.DONE), {"died"}),
        (RunFilter(phase=Phase.WAITING), {"plain", "other", "issue", "branch", "auto", "tagged"}),
        (RunFilter(phase=Phase.DONE, statuses=["running"]), set()),
        (RunFilter(trigger="auto"), {"auto"}),
        (RunFilter(branch="develop"), {"branch"}),
        (RunFilter(branch="afk/12"), {"issue"}),
        (RunFilter(text="HELLO"), {"issue"}),
        (RunFilter(text="#12"), {"issue"}),
        (RunFilter(text="12"), {"issue"}),
        (RunFilter(text="afk/"), {"issue"}),
        (RunFilter(text="SLO"), {"tagged"}),
        (RunFilter(text="größe-50%"), {"tagged"}),
        (RunFilter(text="slow,"), set()),
        # LIKE wildcards match literally
        (RunFilter(text="100%"), {"plain"}),
        (RunFilter(text="f_it"), {"plain"}),
        (RunFilter(text="%"), {"plain", "tagged"}),
        (RunFilter(text="x' OR 1=1 --"), set()),
        (RunFilter(text="9" * 40), set()),
    ],
)
@pytest.mark.both_databases
def test_a_filter_keeps_what_it_says(
    ledger: RunLedger, shelf: dict[str, Run], wanted: RunFilter, names: set[str]
) -> None:
    found = [run.id for page in pages_forward(ledger.stores, 2, wanted) for run in page.items]
    assert len(found) == len(set(found))
    assert {name for name, run in shelf.items() if run.id in found} == names


@pytest.mark.both_databases
def test_a_run_is_found_by_the_ending_of_its_id(ledger: RunLedger, shelf: dict[str, Run]) -> None:
    run = shelf["plain"]
    for text in (run.id, run.id[-6:], f"…{run.id[-6:]}", run.id[:30]):
        found = list_runs(ledger.stores, RunFilter(text=text), limit=50, cursor=None)
        assert run.id in ids_of(found)
