"""Runs that are accepted at the same time share a transaction, and each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection

from app.errors import ConcurrencyLimit, RateLimited, Refusal
from app.records.feed import Numbered, RunAccepted
from app.records.people.audit_pages import first_misfit
from app.records.tables import Project, Run
from app.services.runs.requests import RunRequest
from tests.fakes.agents.runs import until
from tests.fakes.planes import TwinPlane, twin_plane

QUOTA = 7


@pytest.fixture
def still(tmp_path: Path) -> Iterator[TwinPlane]:
    """A plane that accepts but never starts runs, with a small quota."""
    with twin_plane(tmp_path, run_quota=QUOTA) as plane:
        plane.add_project(name="one")
        plane.workers.close()
        yield plane


@pytest.fixture
def project(still: TwinPlane) -> Project:
    """The only project."""
    return still.ledgers.projects.all()[0]


def accept_together(
    plane: TwinPlane, orders: list[tuple[RunRequest, str | None]]
) -> list[Run | Refusal]:
    """Accept orders that all come while another transaction is open; in their order."""
    database = plane.stores.owner_of(plane.stores.mint_run_id(plane.clock()))
    [shared] = [one for owner, one in plane.services.accept._shared.items() if owner is database]
    commits: list[Connection] = []
    futures: list[Future[Run]] = []

    def count(connection: Connection) -> None:
        commits.append(connection)

    with ThreadPoolExecutor(len(orders)) as pool:
        with database.transaction() as tx:
            tx.begin_now()
            futures.append(pool.submit(plane.accept, *orders[0]))
            until(lambda: shared._is_led and not shared._waiting, "the first is at the lock")
            for number, order in enumerate(orders[1:], 1):
                futures.append(pool.submit(plane.accept, *order))
                until(lambda most=number: len(shared._waiting) == most, "it waits")
            event.listen(database.engine, "commit", count)
        found = [one.exception(60) or one.result() for one in futures]
    event.remove(database.engine, "commit", count)
    assert len(commits) <= 3, "of the one before, of the first, of all others"
    for one in found:
        assert isinstance(one, Run | Refusal), one
    return [one for one in found if isinstance(one, Run | Refusal)]


def orders_of(
    plane: TwinPlane, project: Project, count: int
) -> list[tuple[RunRequest, str | None]]:
    return [(plane.order(project, task=f"number {n}"), f"key-{n}") for n in range(count)]


def test_all_are_accepted_announced_and_audited(still: TwinPlane, project: Project) -> None:
    told: list[str] = []

    def hear(one: Numbered) -> None:
        if isinstance(one.change, RunAccepted):
            told.append(one.change.run_id)

    still.feed.subscribe(hear)
    assert still.ledgers.projects.change(project.id, max_concurrency=20)
    runs = accept_together(still, orders_of(still, project, QUOTA))
    ids = [one.id for one in runs if isinstance(one, Run)]
    assert len(ids) == QUOTA
    assert sorted(told) == sorted(ids) == sorted(still.rows())
    assert isinstance(first_misfit(still.stores.control), int)


def test_no_limit_of_a_project_is_passed(still: TwinPlane, project: Project) -> None:
    assert still.ledgers.projects.change(project.id, max_concurrency=3)
    found = accept_together(still, orders_of(still, project, 6))
    assert [type(one) for one in found] == [Run] * 3 + [ConcurrencyLimit] * 3
    assert still.services.listing.count_open(project.id) == 3


def test_no_quota_is_passed(still: TwinPlane, project: Project) -> None:
    assert still.ledgers.projects.change(project.id, max_concurrency=20)
    found = accept_together(still, orders_of(still, project, QUOTA + 2))
    assert [type(one) for one in found] == [Run] * QUOTA + [RateLimited] * 2
    assert still.services.listing.window(still.person, still.clock()).remaining == 0


def test_one_key_makes_one_run_and_equal_orders_without_keys_too(
    still: TwinPlane, project: Project
) -> None:
    order = still.order(project, task="the same")
    found = accept_together(still, [(order, "k"), (order, "k"), (order, None), (order, None)])
    first, again, *twins = found
    assert isinstance(first, Run)
    assert isinstance(again, Run)
    assert first.id == again.id
    assert [one.code for one in twins if isinstance(one, Refusal)] == ["already_running"] * 2
    assert len(still.rows()) == 1
