"""Bursts: many changes at once are merged into few."""

from __future__ import annotations

from app.state.page.connection import Coalescer
from tests.builders.run_samples import run_of


def test_of_one_thing_only_the_newest_change_is_told() -> None:
    burst = Coalescer()
    for title in ("first", "second", "third"):
        burst.add("run.changed", run_of(1, title=title))
    assert [(kind, run.title) for kind, run in burst.take()] == [("run.changed", "third")]


def test_what_changed_last_is_told_last() -> None:
    burst = Coalescer()
    for number in (1, 2, 1):
        burst.add("run.changed", run_of(number))
    assert [run.id for _, run in burst.take()] == [run_of(2).id, run_of(1).id]


def test_two_kinds_about_one_run_are_both_told() -> None:
    burst = Coalescer()
    burst.add("run.changed", run_of(1))
    burst.add("run.log", {"run_id": run_of(1).id})
    burst.add("run.log", {"run_id": run_of(1).id})
    assert [kind for kind, _ in burst.take()] == ["run.changed", "run.log"]


def test_no_event_of_a_timeline_is_swallowed_by_a_later_one() -> None:
    burst = Coalescer()
    for event in ("claimed", "prepared", "spawned"):
        burst.add("run.event", {"run_id": "r", "event": event})
    assert [data["event"] for _, data in burst.take()] == ["claimed", "prepared", "spawned"]


def test_what_was_taken_does_not_wait_any_more() -> None:
    burst = Coalescer()
    burst.add("quota.changed", {})
    assert burst
    burst.take()
    assert not burst
    assert burst.take() == []
