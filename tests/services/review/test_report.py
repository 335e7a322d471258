"""The report and the visits that it counts from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.words import Status
from app.services.review.report import Report
from app.services.review.visits import GAP
from tests.builders.rows import draft_run, run_id
from tests.fakes.planes import TwinPlane

NIGHT = datetime(2026, 3, 4, 22, 10, tzinfo=UTC)


def end_run(twin: TwinPlane, project_id: str, status: Status, at: datetime, **more: object) -> None:
    """Insert an ended run."""
    began = {"started_at": at - timedelta(minutes=30), "cost_usd": 1.5} | more
    run = draft_run(
        id=run_id(at), project_id=project_id, status=status, work_branch=f"b{at:%d%H%M}",
        created_at=at, ended_at=at, released_at=at, **began,
    )  # fmt: skip
    with twin.ledgers.runs.stores.owner_of(run.id).transaction() as tx:
        twin.ledgers.runs.insert(tx, run, sentence="accepted")


def report(twin: TwinPlane, since: datetime, until: datetime) -> Report:
    """Return the report of this time."""
    return twin.services.reports.since(since, until)


@pytest.mark.parametrize("hours", [1, 30, 80])
def test_a_report_counts_whole_days_and_the_first_one_from_its_moment(
    twin: TwinPlane, hours: int
) -> None:
    project = twin.add_project(name="shop")
    ends = [NIGHT + timedelta(hours=number) for number in range(-3, hours)]
    for at in ends:
        end_run(twin, project.id, Status.SUCCEEDED, at)
    found = report(twin, NIGHT, NIGHT + timedelta(hours=hours))
    assert found.figures.succeeded == hours
    assert found.figures.worked_ms == hours * 30 * 60 * 1000
    assert found.figures.cost_usd == pytest.approx(1.5 * hours)


def test_a_report_names_each_project_the_busiest_first(twin: TwinPlane) -> None:
    quiet, busy = twin.add_project(name="a"), twin.add_project(name="b")
    end_run(twin, quiet.id, Status.DIED, NIGHT)
    for minute in (1, 2):
        end_run(twin, busy.id, Status.TIMED_OUT, NIGHT + timedelta(minutes=minute), cost_usd=None)
    found = report(twin, NIGHT, NIGHT + timedelta(hours=1))
    assert [one.project_name for one in found.projects] == ["b", "a"]
    assert found.projects[0].figures.cost_usd is None
    assert (found.figures.died, found.figures.timed_out, found.figures.told_cost) == (1, 2, 1)


def test_a_moment_to_come_has_an_empty_report(twin: TwinPlane) -> None:
    end_run(twin, twin.add_project().id, Status.DIED, NIGHT)
    assert report(twin, NIGHT + timedelta(days=1), NIGHT).projects == ()


def test_the_first_visit_counts_from_the_first_start(twin: TwinPlane) -> None:
    started = twin.clock()
    twin.clock.advance(3600)
    assert twin.services.visits.since(twin.person) == started
    twin.services.visits.begin(twin.person)
    assert twin.services.visits.since(twin.person) == started


def test_a_visit_counts_from_the_end_of_the_one_before(twin: TwinPlane) -> None:
    visits = twin.services.visits
    close = visits.begin(twin.person)
    twin.rest()
    twin.clock.advance(600)
    close()
    twin.rest()
    left_at = twin.clock()
    twin.clock.advance(8 * 3600)
    visits.begin(twin.person)
    assert visits.since(twin.person) == left_at


@pytest.mark.parametrize(("away", "is_new"), [(0, False), (-1, False), (1, True)])
def test_a_visit_ends_once_no_page_was_open_for_five_minutes(
    twin: TwinPlane, away: int, is_new: bool
) -> None:
    visits = twin.services.visits
    first = visits.since(twin.person)
    twin.clock.advance(60)
    visits.begin(twin.person)()
    twin.rest()
    twin.clock.advance(GAP.total_seconds() + away)
    visits.begin(twin.person)
    assert (visits.since(twin.person) != first) is is_new


def test_pages_that_stay_open_keep_a_visit_going(twin: TwinPlane) -> None:
    visits = twin.services.visits
    first = visits.since(twin.person)
    close, other = visits.begin(twin.person), visits.begin(twin.person)
    close()
    for _ in range(5):
        twin.clock.advance(200)
        assert visits.record_once() == 1
    other()
    twin.rest()
    assert visits.record_once() == 0
    visits.begin(twin.person)
    assert visits.since(twin.person) == first


def test_a_server_that_is_killed_loses_no_more_than_the_last_minutes(twin: TwinPlane) -> None:
    visits = twin.services.visits
    visits.begin(twin.person)
    visits.record_once()
    recorded_at = twin.clock()
    twin.clock.advance(8 * 3600)
    # the pages of the killed server are gone without a word; a new one is opened
    visits._pages.clear()
    visits.begin(twin.person)
    assert visits.since(twin.person) == recorded_at
