"""Bulk orders over an in-memory plane."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.batches import BulkAction
from app.records.runs.run_pages import RunFilter
from app.records.tables import Bulk, Project
from tests.builders.two_stores import order
from tests.fakes.planes import FakePlane

LITTLE = {"repo_concurrency": 1000, "max_live_runs": 1}


def stopped(plane: FakePlane, project: Project, count: int) -> list[str]:
    """Return the ids of `count` stopped runs, which can be retried."""
    ids: list[str] = []
    for number in range(count):
        plane.clock.advance(0.01)
        # their moment never comes: nothing is launched
        asked = order(project, task=f"part {number}", delay_seconds=60)
        ids.append(plane.services.accept.accept(asked, plane.requester(), plane.clock()).run.id)
        plane.services.stopper.stop(ids[-1], "not wanted", plane.clock())
    plane.rest()
    return ids


def retry_all(plane: FakePlane, **wanted: Any) -> Bulk:
    desk = plane.services.bulk
    bulk = desk.order(
        BulkAction.RETRY, RunFilter(**wanted), "", plane.requester(), plane.clock()
    ).bulk
    plane.rest()
    return desk.find(bulk.id)


def counted(plane: FakePlane, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the number of items that each round settles."""
    rounds: list[int] = []
    real = plane.services.bulk.continue_once

    def go_on_once() -> int:
        rounds.append(0)
        rounds[-1] = real()
        return rounds[-1]

    monkeypatch.setattr(plane.services.bulk, "continue_once", go_on_once)
    return rounds
