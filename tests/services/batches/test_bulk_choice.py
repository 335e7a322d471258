"""Selecting runs for a bulk order: the rows read for it, and their order."""

from __future__ import annotations

import gc
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Row

from app.domain.batches import BulkAction
from app.domain.formatting import iso
from app.domain.words import Phase
from app.errors import Invalid
from app.records.batches.bulk_ledger import BulkPage
from app.records.runs import run_pages
from app.records.runs.run_pages import Page, RunFilter
from app.services.batches import bulk_orders
from tests.builders.bulk import retry_all, stopped
from tests.builders.two_stores import Planes, die, start
from tests.drivers.query_plans import statements_of
from tests.fakes.world import World


@pytest.mark.parametrize("action", BulkAction)
def test_an_order_reads_none_of_the_history_that_it_is_not_about(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch, action: BulkAction
) -> None:
    monkeypatch.setattr(bulk_orders, "AT_ONCE", 2)
    plane = planes(split=False)
    project = plane.add_project(world)
    live, dead = start(plane, project, task="works"), start(plane, project, task="dies")
    die(plane, world, dead)
    meant = [live.id if action is BulkAction.STOP else dead.id]
    asked: list[int] = []
    for _ in range(2):
        for run_id in stopped(plane, project, 3):
            plane.ledgers.runs.update_fields(run_id, project.id, retried_by=live.id)
        freeze = partial(bulk_orders.runs_meant, plane.stores, action, RunFilter(project.id))
        assert freeze().run_ids == meant
        asked.append(len(statements_of(freeze)))
    assert asked[0] == asked[1]


def test_of_the_rows_of_an_order_no_more_than_a_page_is_held(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_orders, "AT_ONCE", 2)
    plane = planes(split=False)
    ids = stopped(plane, plane.add_project(world), 7)
    held = list[int]()
    real = bulk_orders.list_runs

    def list_runs(*asked: Any, **how: Any) -> Page:
        gc.collect()
        rows = (one for one in gc.get_objects() if isinstance(one, Row))
        held.append(sum("work_branch" in row._fields for row in rows))
        return real(*asked, **how)

    monkeypatch.setattr(bulk_orders, "list_runs", list_runs)
    wanted = RunFilter(statuses=("stopped",))
    assert bulk_orders.runs_meant(plane.stores, BulkAction.RETRY, wanted).run_ids == ids
    assert held == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        (BulkAction.STOP, RunFilter(statuses=("died",))),
        (BulkAction.STOP, RunFilter(phase=Phase.DONE)),
        (BulkAction.RETRY, RunFilter(statuses=("succeeded", "running"))),
        (BulkAction.RETRY, RunFilter(phase=Phase.LIVE)),
    ],
)
def test_an_order_for_what_it_can_be_done_to_nowhere_is_about_none(
    planes: Planes, world: World, action: BulkAction, wanted: RunFilter
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    start(plane, project, task="works")
    die(plane, world, start(plane, project, task="dies"))
    desk = plane.services.bulk
    bulk = desk.order(action, wanted, "", plane.requester(), plane.clock()).bulk
    assert (desk.find(bulk.id).status, desk.counts(bulk.id)) == ("completed", {})


def test_the_runs_of_an_order_are_paged_once_each_and_back_pages_mirror_forward_ones(
    planes: Planes, world: World
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    ids = stopped(plane, project, 7)
    desk = plane.services.bulk
    bulk = retry_all(plane, project_id=project.id)
    for limit in (1, 2, 3, 7, 9):
        pages: list[BulkPage] = []
        cursor: str | None = ""
        while cursor is not None:
            pages.append(desk.page(bulk.id, limit=limit, cursor=cursor))
            cursor = pages[-1].next_cursor
        assert [item.run_id for page in pages for item in page.items] == ids, limit
        assert all(page.items for page in pages), limit
        assert pages[0].prev_cursor is None, limit
        for before, page in pairwise(pages):
            back = desk.page(bulk.id, limit=limit, cursor=page.prev_cursor)
            assert back.items == before.items, limit


def test_words_and_branches_choose_among_those_that_nothing_has_repeated(
    planes: Planes, world: World
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    repeated, last = stopped(plane, project, 2)
    plane.ledgers.runs.update_fields(repeated, project.id, retried_by=last)
    for wanted in (
        RunFilter(text="part"),
        RunFilter(project.id, text="run/"),
        RunFilter(branch="main"),
    ):
        assert bulk_orders.runs_meant(plane.stores, BulkAction.RETRY, wanted).run_ids == [last], (
            wanted
        )


def test_where_not_all_runs_could_be_looked_at_nothing_is_ordered(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", 3)
    plane = planes(split=False)
    project = plane.add_project(world)
    ids = stopped(plane, project, 4)
    freeze = partial(bulk_orders.runs_meant, plane.stores, BulkAction.RETRY)
    with pytest.raises(Invalid, match=r"Too many runs to search .more than 3"):
        freeze(RunFilter(text="part"))
    # filters served by indexes find all runs, however many there are
    assert freeze(RunFilter(project.id, branch="main")).run_ids == ids


def test_an_order_keeps_the_moments_of_its_filter_and_finds_runs_by_them(
    planes: Planes, world: World
) -> None:
    plane = planes(split=False)
    ids = stopped(plane, plane.add_project(world), 2)
    since = plane.ledgers.runs.find_all(ids)[ids[0]].created_at
    wanted = RunFilter(created_after=since)
    desk = plane.services.bulk
    bulk = desk.order(BulkAction.RETRY, wanted, "", plane.requester(), plane.clock()).bulk
    ordered = [item.run_id for item in desk.page(bulk.id, limit=9, cursor=None).items]
    assert ordered == ids[1:]
    assert desk.find(bulk.id).wanted["created_after"] == iso(since)
