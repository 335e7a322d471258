"""Live events of projects: one per project and interval, the last change always, none lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event as database_events

from app.api.live import REBUILD_SECONDS, SLICE, Backlog, LiveStream, ProjectPace
from app.api.live_events import STREAMED, LiveEvent
from app.records.feed import (
    Change,
    LogGrew,
    Numbered,
    ProjectChanged,
    QuotaChanged,
    RunChanged,
    RunEventAppended,
)
from app.records.tables import Project
from tests.builders.rows import add_run
from tests.drivers.query_plans import statements_of
from tests.fakes.planes import TwinPlane, twin_plane

A, B, RUN = ProjectChanged("a"), ProjectChanged("b"), RunChanged("run", "a")


def passed(pace: ProjectPace, now: float, *changes: tuple[int, Change]) -> list[int]:
    """Return the numbers of the changes that pass at this time."""
    return [one.number for one in pace.pass_on([Numbered(*one) for one in changes], now)]


def test_the_first_change_of_a_project_passes_at_once() -> None:
    pace = ProjectPace(10)
    assert passed(pace, 0, (1, A), (2, B)) == [1, 2]
    assert pace.due_at is None


def test_of_many_changes_the_last_passes_when_the_interval_ends() -> None:
    pace = ProjectPace(10)
    passed(pace, 0, (1, A))
    assert passed(pace, 1, (2, A)) == passed(pace, 2, (3, A), (4, A)) == []
    assert pace.due_at == 10
    assert passed(pace, 9.9) == []
    assert passed(pace, 10) == [4]
    assert pace.due_at is None


def test_what_passed_late_begins_an_interval_too() -> None:
    pace = ProjectPace(10)
    passed(pace, 0, (1, A), (2, A))
    passed(pace, 1, (3, A))
    assert passed(pace, 12) == [3]
    assert passed(pace, 21, (4, A)) == []
    assert (pace.due_at, passed(pace, 22)) == (22, [4])


def test_a_change_of_anything_else_is_never_held() -> None:
    pace = ProjectPace(10)
    passed(pace, 0, (1, A))
    assert passed(pace, 1, (2, A), (3, RUN), (4, B), (5, RUN)) == [3, 4, 5]
    assert pace.due_at == 10


def test_a_project_that_rested_for_an_interval_is_forgotten() -> None:
    pace = ProjectPace(10)
    for number in range(1, 100):
        assert passed(pace, 10 * number, (number, ProjectChanged(f"{number}"))) == [number]
    assert len(vars(pace)["_opens"]) == 1


def built(changes: Iterable[Numbered]) -> list[LiveEvent]:
    """Return one event per change, with the number of its last announcement as data."""
    latest: dict[Change, int] = {}
    for one in changes:
        latest.pop(one.change, None)
        latest[one.change] = one.number
    return [
        LiveEvent(number, KINDS.get(type(change), "run.log"), (change, number))
        for change, number in latest.items()
    ]


KINDS: dict[type[Change], str] = {
    ProjectChanged: "project.changed",
    RunChanged: "run.changed",
    QuotaChanged: "quota.changed",
}
CHANGES = (
    *(A, B, ProjectChanged("c"), QuotaChanged("ann")),
    *(RUN, RunChanged("other", "b"), RunChanged("third", "b"), LogGrew("run")),
)


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.lists(st.sampled_from(CHANGES), max_size=5)), max_size=12
    ),
    st.integers(1, 4),
)
def test_whoever_resumes_after_any_event_misses_no_change(
    rounds: list[tuple[int, list[Change]]], most: int
) -> None:
    pace, backlog, now = ProjectPace(10), Backlog(), 0
    published: list[Numbered] = []
    sent: list[LiveEvent] = []
    at: dict[Change, int] = {}
    told: dict[Change, int] = {}

    def send() -> bool:
        passed = backlog.take(most)
        for event in pace.numbered(built(passed), backlog.oldest):
            sent.append(event)
            told.update([event.data])
            for change, number in {one.change: one.number for one in published}.items():
                is_streamed = type(change) in KINDS
                assert not is_streamed or number > event.number or told.get(change) == number
        return bool(passed)

    # the last round comes when nothing can be held any more
    for pause, changes in [*rounds, (10, [])]:
        now += pause
        news = [Numbered(len(published) + n, one) for n, one in enumerate(changes, 1)]
        published += news
        passing = pace.pass_on(news, now)
        for one in passing:
            if isinstance(one.change, ProjectChanged):
                assert now - at.get(one.change, -math.inf) >= 10
                at[one.change] = now
        backlog.add(passing)
        # one slice a round: a backlog is left when the next changes come
        send()
    while send():
        pass
    numbers = [one.number for one in sent if one.kind in STREAMED]
    assert numbers == sorted(numbers)
    assert numbers[-1:] == [one.number for one in published if type(one.change) in KINDS][-1:]
    assert told == {one.change: one.number for one in published}


def test_a_new_change_of_a_run_does_not_wait_for_those_of_a_thousand_others() -> None:
    backlog = Backlog()
    crowd = [Numbered(number, RunChanged(f"run_{number}", "a")) for number in range(1, 1001)]
    backlog.add(crowd)
    first = backlog.take(10)
    news = [
        Numbered(number, change)
        for number, change in enumerate(
            [RunChanged("run", "a"), RunEventAppended("run", 7), LogGrew("run")], 1001
        )
    ]
    backlog.add(news)
    second = backlog.take(10)
    assert second[-3:] == news
    # those that wait longest have their turns in each slice, too
    assert [one.number for one in first[:5]] == [1, 2, 3, 4, 5]
    assert [one.number for one in second[:4]] == [6, 7, 8, 9]
    assert backlog.oldest == 10


def test_a_change_of_no_run_comes_before_all_runs() -> None:
    backlog = Backlog()
    backlog.add([Numbered(number, RunChanged(f"run_{number}", "a")) for number in range(1, 101)])
    backlog.add([Numbered(101, A), Numbered(102, QuotaChanged("ann"))])
    assert [one.number for one in backlog.take(4)] == [1, 100, 101, 102]


@pytest.mark.parametrize("kind", [ProjectChanged, lambda name: RunChanged(name, "a")])
def test_changes_that_come_again_and_again_all_have_their_turns(
    kind: Callable[[str], Change],
) -> None:
    backlog, crowd = Backlog(), [kind(f"{number}") for number in range(100)]
    numbers, sent = itertools.count(1), set[Change]()
    for _ in range(20):
        # faster than they are sent, always in the same order
        backlog.add(Numbered(next(numbers), one) for one in crowd)
        sent |= {one.change for one in backlog.take(10)}
    assert sent == {*crowd}


@pytest.mark.parametrize(
    "crowd",
    [
        [ProjectChanged(f"{number}") for number in range(100)],
        [RunEventAppended("busy", number) for number in range(100)],
    ],
    ids=["projects", "a run"],
)
def test_no_crowd_of_changes_fills_a_slice_alone(crowd: list[Change]) -> None:
    backlog, numbers = Backlog(), itertools.count(1)
    backlog.add([Numbered(next(numbers), RUN)])
    backlog.add(Numbered(next(numbers), one) for one in crowd)
    assert RUN in [one.change for one in backlog.take(10)]


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[TwinPlane]:
    with twin_plane(tmp_path) as twin:
        yield twin


@pytest.fixture
def project(twin: TwinPlane) -> Project:
    return twin.add_project(name="a")


def test_a_burst_of_changes_rebuilds_a_card_once_per_interval(
    twin: TwinPlane, project: Project
) -> None:
    count, heard = 40, []

    def burst() -> None:
        for seconds in range(1, count + 1):
            twin.ledgers.projects.change(project.id, budget_seconds=seconds)

    async def story() -> float:
        loop, live, over = asyncio.get_running_loop(), LiveStream(twin.services), asyncio.Event()

        def on_event(event: LiveEvent) -> None:
            if event.kind != "project.changed":
                return
            heard.append(event)
            if event.data.budget_seconds == count:
                over.set()

        live.open()
        live.subscribe(on_event)
        begun = loop.time()
        threading.Thread(target=burst).start()
        await asyncio.wait_for(over.wait(), 10)
        took = loop.time() - begun
        live.close()
        return took

    took = asyncio.run(story())
    assert len(heard) <= took / REBUILD_SECONDS + 2
    assert heard[-1].number == twin.feed.newest


def add_runs(twin: TwinPlane, project: Project, count: int) -> list[str]:
    """Add queued runs that nothing starts; return their ids."""
    columns = {"project_id": project.id, "provenance": twin.services.identity.as_dict()}
    return [add_run(twin.ledgers.runs, **columns).id for _ in range(count)]


def test_a_large_backlog_is_sent_in_slices_that_later_events_do_not_wait_for(
    twin: TwinPlane, project: Project
) -> None:
    twin.workers.close()
    ids = add_runs(twin, project, 6 * SLICE)
    watched = ids[SLICE]
    kinds: list[tuple[str, str | None]] = []

    async def story() -> None:
        live, over = LiveStream(twin.services), asyncio.Event()

        def on_event(event: LiveEvent) -> None:
            if not kinds:
                # while the first slice is being sent
                twin.feed.publish([LogGrew(watched)])
            kinds.append((event.kind, event.run_id))
            if len(kinds) == len(ids) + 1:
                over.set()

        live.open()
        live.subscribe(on_event)
        twin.feed.publish([RunChanged(run_id, project.id) for run_id in ids])
        await asyncio.wait_for(over.wait(), 20)
        live.close()

    asyncio.run(story())
    # the next slice may have been taken before
    assert kinds.index(("run.log", watched)) < 3 * SLICE
    assert {run_id for kind, run_id in kinds if kind == "run.changed"} == set(ids)


def test_one_who_subscribes_while_a_row_is_read_is_not_left_with_that_row(
    twin: TwinPlane, project: Project
) -> None:
    twin.workers.close()
    [run_id] = add_runs(twin, project, 1)
    is_read, goes_on = threading.Event(), threading.Event()

    def hold_up(*asked: object) -> None:
        if "FROM runs" in str(asked[2]) and not is_read.is_set():
            is_read.set()
            goes_on.wait(20)

    async def story() -> None:
        live, over = LiveStream(twin.services), asyncio.Event()
        live.open()
        leave = live.subscribe(lambda _: None)
        twin.feed.publish([RunChanged(run_id, project.id)])
        assert await asyncio.to_thread(is_read.wait, 20)
        leave()
        twin.ledgers.runs.update_fields(run_id, project.id, hold="new")
        live.subscribe(lambda one: over.set() if one.data.hold == "new" else None)
        goes_on.set()
        await asyncio.wait_for(over.wait(), 20)
        live.close()

    reader = twin.stores.owner_of(run_id).engines[1]
    database_events.listen(reader, "after_cursor_execute", hold_up)
    asyncio.run(story())


def test_the_runs_of_many_events_are_read_by_one_statement(
    twin: TwinPlane, project: Project
) -> None:
    twin.workers.close()
    ids = add_runs(twin, project, SLICE)
    changes = [Numbered(n, RunChanged(run_id, project.id)) for n, run_id in enumerate(ids)]
    live = LiveStream(twin.services)
    live.events_of(changes)
    found: list[LiveEvent] = []
    asked = statements_of(lambda: found.extend(live.events_of(changes)))
    assert len(asked) == 1
    assert [one.run_id for one in found] == ids


def test_an_event_is_written_as_json_once_for_all_streams(
    twin: TwinPlane, project: Project
) -> None:
    (event,) = LiveStream(twin.services).events_of([Numbered(1, ProjectChanged(project.id))])
    assert json.loads(event.json)["id"] == project.id
    assert event.json is event.json
    assert LiveEvent(1, "doctor.changed", {}).json == "{}"
