"""Bulk orders that cannot proceed: no external lookups, and no other run held up."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import ForgeUnavailable
from tests.builders.bulk import counted, retry_all, stopped
from tests.builders.two_stores import Planes, die, found, start
from tests.fakes.world import FakeMirrors, World


@pytest.mark.parametrize("waits_for", ["window", "repository"])
def test_an_order_that_waits_for_room_asks_nobody_outside(
    planes: Planes, world: World, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    quota, room = (4, 50) if waits_for == "window" else (1000, 1)
    plane = planes(split=False, run_quota=quota)
    project = plane.add_project(world, max_concurrency=room)
    first, *_ = stopped(plane, project, 3)
    live = start(plane, project, task="works")
    looks: list[str] = []
    real = FakeMirrors.inspect_origin

    def look_at_origin(mirrors: FakeMirrors, origin: str, **how: Any) -> Any:
        looks.append(origin)
        return real(mirrors, origin, **how)

    monkeypatch.setattr(FakeMirrors, "inspect_origin", look_at_origin)
    rounds = counted(plane, monkeypatch)
    bulk = retry_all(plane, project_id=project.id)
    assert bulk.hold
    for number in range(3):
        plane.ledgers.runs.update_fields(live.id, project.id, hold=f"works {number}")
        plane.services.bulk.request()
        plane.rest()
    assert len(rounds) > 3
    assert (sum(rounds), looks) == (0, [])
    if waits_for == "repository":
        die(plane, world, live)
        assert found(plane, first).retried_by
        assert looks


@pytest.mark.parametrize(
    ("sick", "rounds"),
    [
        (1, [[0, 1, 2, 3, 4], [0]]),
        (2, [[0, 1], [2, 3, 4, 0, 1]]),
        (5, [[0, 1], [2, 3], [4, 0]]),
    ],
)
def test_a_run_that_gets_no_answer_from_outside_keeps_no_other_waiting(
    planes: Planes,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    sick: int,
    rounds: list[list[int]],
) -> None:
    plane = planes(split=False)
    project = plane.add_project(world)
    ids = stopped(plane, project, 5)
    desk, asked = plane.services.bulk, list[int]()
    real = desk._actions.retry.retry_once

    def retry_once(run_id: str, *rest: Any) -> Any:
        asked.append(ids.index(run_id))
        if run_id in ids[:sick]:
            raise ForgeUnavailable("Its tracker did not answer.")
        return real(run_id, *rest)

    monkeypatch.setattr(desk._actions.retry, "retry_once", retry_once)
    bulk = retry_all(plane, project_id=project.id)
    for due in rounds:
        assert asked == due
        asked.clear()
        desk.request()
        plane.rest()
    counts = desk.counts(bulk.id)
    assert (counts.get("done", 0), counts["pending"]) == (5 - sick, sick)
    assert desk.find(bulk.id).hold == "Its tracker did not answer."
