"""Bulk actions and reads of many runs in a second database."""

from __future__ import annotations

from app.domain.batches import BulkAction
from app.records.feed import BulkChanged, Change
from app.records.runs.run_pages import RunFilter
from app.records.runs.selections import over_and_done
from tests.builders.two_stores import Planes, die, start
from tests.fakes.world import World


def test_who_follows_an_order_hears_of_it_wherever_its_runs_live(
    planes: Planes, world: World
) -> None:
    plane = planes()
    project = plane.add_project(world, max_concurrency=1)
    dead = start(plane, project, issue=plane.add_issue(project))
    die(plane, world, dead)
    start(plane, project, task="another")
    told: list[Change] = []
    plane.feed.subscribe(lambda one: told.append(one.change))
    wanted = RunFilter(project_id=project.id, statuses=("died",))
    plane.services.bulk.order(BulkAction.RETRY, wanted, "", plane.requester(), plane.clock())
    plane.rest()
    [order] = plane.services.bulk.newest(1)
    assert (order.ended_at, bool(order.hold)) == (None, True)
    assert told.count(BulkChanged(order.id)) == 2, "it was given, and what it waits for"


def test_of_runs_that_are_named_each_store_is_asked_for_its_own(
    planes: Planes, world: World
) -> None:
    before = planes(split=False)
    project = before.add_project(world)
    old = start(before, project)
    die(before, world, old)
    after = planes(change_stores=True)
    new = start(after, project, task="another")
    die(after, world, new)
    assert set(over_and_done(after.stores, [old.id, new.id])) == {old.id, new.id}
