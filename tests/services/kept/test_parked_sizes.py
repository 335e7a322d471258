"""Sizes of parked work are measured in the background; a request waits only briefly."""

from __future__ import annotations

import threading
from time import monotonic

from app.records.feed import Change, ProjectChanged
from app.services.concurrency import Workers
from app.services.kept.parked import Holdings
from tests.drivers.planes import RealPlane

LEAVES_A_FILE = "echo a > a.txt; exit 3"
HELD = 60.0
MOMENT = HELD / 2


def test_what_takes_long_is_not_known_yet_and_told_when_it_is(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_A_FILE)
    run = plane.finish(project)
    workers = Workers(1)
    told: list[Change] = []
    holdings = Holdings(plane.adapters, workers, plane.clock, told.extend)
    hold = threading.Event()
    workers.submit(hold.wait, HELD)  # keeps the pool's only thread busy
    began = monotonic()
    assert holdings.of([(run, project)]) == {run.id: None}
    assert monotonic() - began < MOMENT
    hold.set()
    assert workers.finish(20)
    assert told == [ProjectChanged(project.id)]
    known = holdings.of([(run, project)])[run.id]
    assert known is not None
    assert (known.words, (known.bytes or 0) > 0) == ("1 file not committed", True)
    # measured again after a while, and published only if changed
    plane.clock.advance(60)
    assert holdings.of([(run, project)]) == {run.id: known}
    assert workers.finish(20)
    assert len(told) == 1
    workers.close()


def test_what_is_not_asked_for_any_more_is_forgotten(plane: RealPlane) -> None:
    project = plane.add_project(LEAVES_A_FILE)
    run = plane.finish(project)
    holdings = Holdings(plane.adapters, plane.workers, plane.clock, lambda _: None)
    first = holdings.of([(run, project)])[run.id]
    assert holdings.of([]) == {}
    (plane.copy(run) / "b.txt").write_text("b")
    second = holdings.of([(run, project)])[run.id]
    assert first is not None
    assert second is not None
    assert (first.words, second.words) == ("1 file not committed", "2 files not committed")
