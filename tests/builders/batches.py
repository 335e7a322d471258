"""Batches over an in-memory plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.words import Depth
from app.records.tables import Batch, Project
from app.services.batches.filling import Item
from app.services.runs.requests import RunRequest
from tests.fakes.planes import FakePlane


def a_batch(
    plane: FakePlane,
    project: Project,
    count: int,
    *,
    sent: int | None = None,
    models: Sequence[str] = (),
    **more: Any,
) -> Batch:
    """Seal a batch of `count` items, of which `sent` arrive; `models` names one per item."""
    desk, now = plane.services.batches, plane.clock()
    batch = desk.open(project.id, count, None, plane.requester(), now).batch
    filling = desk.fill(batch.id, plane.requester())
    for index in range(count if sent is None else sent):
        if models:
            more["model"] = models[index]
        order = RunRequest(project.id, Depth.QUICK, "auto", task=f"part {index}", **more)
        filling.take(Item(index, order), plane.clock())
        plane.clock.advance(0.001)
    desk.seal(batch.id, plane.clock())
    plane.rest()
    return desk.find(batch.id)
