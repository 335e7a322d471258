"""Shared transactions: what waits is written together, and what one raises is its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from app.records.database.database import (
    Database,
    DatabaseSilent,
    Transaction,
    watched_writing,
)
from app.records.feed import ProjectChanged
from app.records.stores.shared_transactions import SharedTransactions
from app.records.tables import Person
from tests.builders.rows import NOW, opened_database
from tests.fakes.agents.runs import until

who: ContextVar[str] = ContextVar("who", default="nobody")


class Refused(Exception):
    """The refusal of these tests."""


@dataclass
class Desk:
    """Shared transactions on a database, and a thread for each caller."""

    database: Database
    pool: ThreadPoolExecutor
    opened: int = 0
    fails: bool = False
    come: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = SharedTransactions(self._open, Refused)

    @contextmanager
    def _open(self) -> Generator[Transaction]:
        self.opened += 1
        with self.database.transaction() as tx:
            yield tx
            if self.fails:
                raise DatabaseSilent("the disk is gone")

    def write(self, act: Callable[[Transaction], Any]) -> Future[Any]:
        return self.pool.submit(self.shared.write, act)

    def together(self, *acts: Callable[[Transaction], Any]) -> list[Future[Any]]:
        """Do acts while another one holds the transaction, so that they share the next."""
        goes_on = threading.Event()
        first = self.write(lambda _: goes_on.wait(30))
        until(lambda: self.opened > 0, "the first has begun")
        futures: list[Future[Any]] = []
        for act in acts:
            futures.append(self.write(act))
            until(lambda: len(self.shared._waiting) == len(futures), "it waits")
        self.opened = 0
        goes_on.set()
        for one in (first, *futures):
            one.exception(30)
        return futures

    def names(self) -> list[str]:
        with self.database.reading() as session:
            return list(session.exec(select(Person.name).order_by(col(Person.name))))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = opened_database(tmp_path / "x.db", lambda _: None)
    with ThreadPoolExecutor(20) as pool:
        yield Desk(database, pool)
    database.close()


def adds(name: str) -> Callable[[Transaction], str]:
    def act(tx: Transaction) -> str:
        tx.add(Person(id=name, name=name, created_at=NOW))
        return name

    return act


def refuses(tx: Transaction) -> None:
    tx.exec(select(Person)).all()
    raise Refused


def refuses_a_double(tx: Transaction) -> None:
    if tx.get(Person, "a") is not None:
        raise Refused


def refuses_late(tx: Transaction) -> None:
    adds("late")(tx)
    raise Refused


def refuses_what_it_announced(tx: Transaction) -> None:
    tx.publish(ProjectChanged("project_1"))
    raise Refused


def breaks(tx: Transaction) -> None:
    adds("broken")(tx)
    tx.flush()
    raise ZeroDivisionError


def doubles(tx: Transaction) -> None:
    adds("a")(tx)


def test_acts_that_wait_share_one_transaction_and_each_has_its_result(desk: Desk) -> None:
    done = desk.together(adds("a"), adds("b"), adds("c"))
    assert [one.result() for one in done] == ["a", "b", "c"]
    assert desk.opened == 1
    assert desk.names() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("wrong", "error", "transactions"),
    [
        (refuses, Refused, 1),
        (refuses_late, Refused, 4),
        (refuses_what_it_announced, Refused, 4),
        (breaks, ZeroDivisionError, 4),
        (doubles, Exception, 4),
    ],
    ids=["refuses", "refuses late", "announced", "breaks", "doubles"],
)
def test_one_that_fails_writes_nothing_and_fails_nobody_else(
    desk: Desk, wrong: Callable[[Transaction], None], error: type[Exception], transactions: int
) -> None:
    first, failed, last = desk.together(adds("a"), wrong, adds("b"))
    assert (first.result(), last.result()) == ("a", "b")
    with pytest.raises(error):
        failed.result()
    assert desk.names() == ["a", "b"]
    assert desk.opened == transactions


def test_a_database_that_falls_silent_fails_them_all_and_nothing_is_written(desk: Desk) -> None:
    desk.write(lambda _: None).result()
    desk.fails = True
    for one in desk.together(adds("a"), adds("b"), adds("c")):
        with pytest.raises(DatabaseSilent):
            one.result()
    assert desk.names() == []


def test_nobody_is_refused_for_a_row_that_was_never_committed(desk: Desk) -> None:
    desk.write(lambda _: None).result()
    desk.fails = True
    _, refused = desk.together(adds("a"), refuses_a_double)
    with pytest.raises(DatabaseSilent):
        refused.result()
    assert desk.names() == []


def test_each_act_runs_in_its_callers_context(desk: Desk) -> None:
    def named(name: str) -> Callable[[Transaction], str]:
        return lambda _: f"{name} is {who.get()}"

    def call(name: str) -> str:
        who.set(name)
        return desk.shared.write(named(name))

    goes_on = threading.Event()
    first = desk.write(lambda _: goes_on.wait(30))
    until(lambda: desk.opened == 1, "the first has begun")
    calls = [desk.pool.submit(call, name) for name in ("ann", "bob")]
    until(lambda: len(desk.shared._waiting) == 2, "both wait")
    goes_on.set()
    first.result()
    assert [one.result() for one in calls] == ["ann is ann", "bob is bob"]


def has_begun(desk: Desk, act: Callable[[Transaction], Any]) -> bool:
    """Do an act as a request does; return if that request is known to have begun to write."""
    with watched_writing() as writing:
        with suppress(Refused):
            desk.shared.write(act)
        return writing.has_begun


def test_only_those_that_wrote_are_known_to_have_begun(desk: Desk) -> None:
    goes_on = threading.Event()
    first = desk.write(lambda _: goes_on.wait(30))
    until(lambda: desk.opened == 1, "the first has begun")
    calls = [desk.pool.submit(has_begun, desk, act) for act in (adds("a"), refuses, adds("b"))]
    until(lambda: len(desk.shared._waiting) == 3, "all wait")
    goes_on.set()
    first.result()
    assert [one.result() for one in calls] == [True, False, True]


def test_one_that_is_refused_has_not_begun_though_it_commits_for_another(desk: Desk) -> None:
    goes_on = threading.Event()
    first = desk.write(lambda _: goes_on.wait(30))
    until(lambda: desk.opened == 1, "the first has begun")
    refused = desk.pool.submit(has_begun, desk, refuses)
    until(lambda: len(desk.shared._waiting) == 1, "it waits, and will lead")
    unwatched = desk.write(adds("a"))
    until(lambda: len(desk.shared._waiting) == 2, "both wait")
    goes_on.set()
    assert (first.result(), unwatched.result()) == (True, "a")
    assert refused.result() is False


def test_a_crowd_of_callers_is_written_in_few_transactions(desk: Desk) -> None:
    futures = [desk.write(adds(f"p{n:03}")) for n in range(200)]
    assert [one.result(60) for one in futures] == desk.names()
    assert desk.opened < 100
