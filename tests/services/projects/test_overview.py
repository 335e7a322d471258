"""Project cards: built with few queries, and cached until something changes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from app.domain.batches import BatchStatus
from app.errors import NotFound
from app.records.database.database import Database
from app.records.feed import FeedBroke, Numbered, ProjectChanged
from app.records.tables import AccountHold, Project, Run
from app.services.projects.overview import (
    BARS,
    HEARSAY_SECONDS,
    CardRows,
    Overview,
    ProjectView,
    ProjectViews,
    shown_for,
)
from tests.builders.databases import only_on_sqlite
from tests.builders.poison import unreadable
from tests.builders.rows import NOW, draft_batch, draft_run, stores_on
from tests.drivers.query_plans import statements_of, steps_of
from tests.fakes.planes import TwinPlane


@dataclass
class Seconds:
    """A monotonic clock set by the test."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class CountedViews(ProjectViews):
    """The real project views, with a record of builds and a hook that runs during each."""

    def __init__(self, twin: TwinPlane) -> None:
        services = twin.services
        super().__init__(
            twin.ledgers.runs,
            services.issues,
            services.kept_issues,
            services.projects,
            services.limits,
            services.quarantine,
        )
        self.stores = twin.ledgers.runs.stores
        self.built: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    def of(self, projects: list[Project]) -> dict[str, ProjectView]:
        """Return the views of these projects, by id."""
        with self.stores.looking() as session:
            rows = self.read(session, projects)
        return self.build(rows)

    def build(self, rows: CardRows) -> dict[str, ProjectView]:
        self.built += [project.name for project in rows.projects]
        views = super().build(rows)
        self.meanwhile()
        return views


@pytest.fixture
def projects(twin: TwinPlane) -> list[Project]:
    return [twin.add_project(name=name) for name in ("a", "b", "c")]


@pytest.fixture
def views(twin: TwinPlane, projects: list[Project]) -> CountedViews:
    return CountedViews(twin)


def overview(twin: TwinPlane, views: CountedViews, **given: Any) -> Overview:
    usual: dict[str, Any] = {"lifetime": math.inf}
    return Overview(twin.ledgers.projects, views, twin.feed, twin.clock, **usual | given)


def test_the_cards_of_many_projects_cost_what_those_of_one_cost(
    twin: TwinPlane, projects: list[Project]
) -> None:
    def ask(count: int) -> int:
        views = CountedViews(twin)
        return len(statements_of(lambda: views.of(projects[:count])))

    for project in projects:
        twin.ledgers.projects.change(project.id, strikes=2)
    projects[:] = twin.ledgers.projects.all()
    assert ask(3) == ask(2) <= ask(1) + 1


def test_a_card_takes_one_reader_at_a_time_though_its_project_cannot_be_read(
    twin: TwinPlane, projects: list[Project], views: CountedViews
) -> None:
    cards, pool = overview(twin, views), twin.stores.control.engines[1].pool
    assert isinstance(pool, QueuePool)
    taken: list[int] = []

    def note(*_: object) -> None:
        taken.append(pool.checkedout())

    event.listen(pool, "checkout", note)
    with unreadable(twin, projects[1]):
        for show in (cards.all, lambda: cards.of(projects[1].id)):
            twin.ledgers.projects.names.on_change(Numbered(1, FeedBroke()))
            show()
    event.remove(pool, "checkout", note)
    assert max(taken) == 1


def read_of_runs(ask: Callable[[], object]) -> int:
    """Return the number of full run rows that `ask` loads in this thread."""
    read: list[Run] = []
    requester = threading.get_ident()

    def note(run: Run, _: object) -> None:
        if threading.get_ident() == requester:
            read.append(run)

    event.listen(Run, "load", note)
    try:
        ask()
    finally:
        event.remove(Run, "load", note)
    return len(read)


def test_neither_a_card_nor_a_tick_reads_the_runs_that_wait_in_batches(
    twin: TwinPlane, projects: list[Project], views: CountedViews
) -> None:
    now, later = twin.clock(), twin.clock() + timedelta(days=1)
    sealed = {"status": BatchStatus.PROCESSING, "sealed_at": now}
    batch = draft_batch(project_id=projects[0].id, run_count=60, **sealed)
    with twin.database.transaction() as tx:
        tx.add(batch)
        tx.flush()
        for _ in range(60):
            told = {"project_id": projects[0].id, "batch_id": batch.id, "agent": "script"}
            tx.add(draft_run(**told, status="delayed", due_at=later, hold="late"))
    shown = views.of([projects[0]])[projects[0].id]
    assert (shown.live_runs, shown.hold, len(shown.newest)) == (0, "late", BARS)
    assert read_of_runs(lambda: views.of([projects[0]])) <= BARS
    assert read_of_runs(lambda: twin.services.sweep.tick_once(now)) == 0


@only_on_sqlite("SQLite counts the steps of a statement")
def test_a_card_costs_the_same_however_many_runs_wait(
    twin: TwinPlane, projects: list[Project], views: CountedViews
) -> None:
    one = projects[0]
    issue, ended = (
        twin.add_issue(one).number,
        {"status": "died", "ended_at": NOW, "released_at": NOW},
    )
    twin.finish(one)
    hold: dict[str, Any] = {
        "agent": "amp",
        "account": twin.services.limits._agents.account("amp"),
        "family": "",
    }

    def wait(count: int, **columns: Any) -> None:
        usual = {"project_id": one.id, "created_at": twin.clock()} | columns
        with twin.database.transaction() as tx:
            tx.add_all([draft_run(**usual) for _ in range(count)])

    with twin.database.transaction() as tx:
        tx.add(AccountHold(**hold, since=twin.clock(), evidence="", run_id="run_1"))
    wait(1, parked=True, work_branch="kept", **ended)
    # the rows that a card has to find among all others
    wait(1, hold="first")
    wait(1, agent="amp")
    wait(10, issue=issue)
    few = steps_of(twin.database, lambda: views.of([one]))
    for number in range(20):
        wait(100, hold=f"hold {number}", agent=f"agent {number}", issue=2 + number)
    assert steps_of(twin.database, lambda: views.of([one])) <= 1.2 * few + 100
    shown = views.of([one])[one.id]
    assert (shown.hold, shown.ready_count, shown.parked_count) == ("first", 0, 1)
    assert [held.agent for held in shown.holds] == ["amp"]


def test_a_card_says_the_same_alone_and_among_others(
    twin: TwinPlane, projects: list[Project], views: CountedViews
) -> None:
    twin.start_running(projects[0])
    twin.finish(projects[1])
    twin.add_issue(projects[2])
    together = views.of(twin.ledgers.projects.all())
    assert [together[one.id].live_runs for one in projects] == [1, 0, 0]
    assert [together[one.id].ready_count for one in projects] == [0, 0, 1]
    for project in twin.ledgers.projects.all():
        assert views.of([project]) == {project.id: together[project.id]}


def test_what_has_not_changed_is_not_built_again(
    twin: TwinPlane, projects: list[Project], views: CountedViews
) -> None:
    shown = overview(twin, views)
    first = shown.all()
    assert views.built == ["a", "b", "c"]
    twin.add_issue(projects[1])
    assert [view.ready_count for view in shown.all()] == [0, 1, 0]
    assert views.built == ["a", "b", "c", "b"]
    assert shown.of(projects[2].id) is first[2]
    twin.feed.publish([FeedBroke()])
    shown.all()
    assert views.built[4:] == ["a", "b", "c"]


def test_what_changes_while_it_is_being_built_is_built_again(
    twin: TwinPlane, projects: list[Project], views: CountedViews
) -> None:
    shown = overview(twin, views)
    views.meanwhile = lambda: twin.feed.publish([ProjectChanged(projects[0].id)])
    shown.all()
    views.meanwhile = lambda: None
    shown.all()
    assert views.built == ["a", "b", "c", "a"]
    views.meanwhile = lambda: twin.feed.publish([FeedBroke()])
    twin.feed.publish([FeedBroke()])
    shown.all()
    views.built.clear()
    shown.all()
    assert views.built == ["a", "b", "c"]


@pytest.mark.usefixtures("projects")
def test_a_list_of_which_nothing_changed_is_shown_without_a_question(
    twin: TwinPlane, views: CountedViews
) -> None:
    shown = overview(twin, views)
    first = shown.all()
    assert statements_of(lambda: shown.all()) == []
    assert shown.all() == first
    twin.add_project(name="bb")
    twin.ledgers.projects.change(first[0].project.id, name="z")
    assert [view.project.name for view in shown.all()] == ["b", "bb", "c", "z"]


@pytest.mark.parametrize(("lifetime", "later", "times"), [(30, 29.9, 1), (30, 30, 2), (0, 0, 2)])
def test_a_view_is_shown_for_its_lifetime(
    twin: TwinPlane, views: CountedViews, lifetime: float, later: float, times: int
) -> None:
    seconds = Seconds()
    shown = overview(twin, views, lifetime=lifetime, seconds=seconds)
    shown.all()
    seconds.now += later
    shown.all()
    assert views.built == ["a", "b", "c"] * times


def test_what_is_not_there_is_not_remembered(twin: TwinPlane, views: CountedViews) -> None:
    shown = overview(twin, views)
    for _ in range(2):
        with pytest.raises(NotFound):
            shown.of("proj_none")
    assert views.built == []


POSTGRESQL, SQLITE = "postgresql://yard@/yard", "sqlite:///yard.db"


@pytest.mark.parametrize(
    ("urls", "seconds"),
    [
        ([POSTGRESQL], HEARSAY_SECONDS),
        ([POSTGRESQL, POSTGRESQL], HEARSAY_SECONDS),
        ([SQLITE], 0.0),
        ([POSTGRESQL, SQLITE], 0.0),
    ],
)
def test_a_view_is_remembered_as_surely_as_changes_are_heard_of(
    urls: list[str], seconds: float
) -> None:
    stores = stores_on(*(Database(url, publish=lambda _: None) for url in urls))
    assert shown_for(stores, is_alone=True) == math.inf
    assert shown_for(stores, is_alone=False) == seconds
