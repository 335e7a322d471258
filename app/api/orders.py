"""What a body asks for, as the services know it."""

from __future__ import annotations

from app.api.schemas import RunWishes
from app.services.submits import Order


def order_of(wishes: RunWishes, project_id: str) -> Order:
    """The order of a run of this project."""
    return Order(
        project_id=project_id,
        depth=wishes.depth_level,
        framework=wishes.target_framework,
        branch=wishes.branch,
        issue=wishes.issue,
        task=wishes.task,
        agent=wishes.agent,
        model=wishes.model,
        delivers=wishes.delivers,
        delay_seconds=wishes.delay if isinstance(wishes.delay, int) else None,
        starts_on=wishes.delay if isinstance(wishes.delay, str) else None,
        ttl_seconds=wishes.ttl,
        tags=tuple(wishes.tags),
    )
