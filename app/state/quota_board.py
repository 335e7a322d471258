"""What the quota's page shows: the person's windows, and how full each busy project is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.api.client import ApiClient
from app.api.schemas import AccountHoldOut, ProjectOut, QuotaOut, SystemOut
from app.domain.lifecycle import LIVE, WAITING


@dataclass(frozen=True)
class Occupied:
    """A project's open runs against how many may be open at once."""

    project: ProjectOut
    active: int
    max: int


@dataclass(frozen=True)
class QuotaBoard:
    """Everything of the page, asked for at one moment."""

    quota: QuotaOut
    batches: QuotaOut
    system: SystemOut
    busy: tuple[Occupied, ...]
    holds: tuple[AccountHoldOut, ...] = ()

    @classmethod
    async def ask(cls, api: ApiClient) -> QuotaBoard:
        """Ask the API. Raises ApiProblem or NoAnswer."""
        quota, batches, system, projects, holds = await asyncio.gather(
            api.quota(), api.batch_quota(), api.system(), api.projects(), api.account_holds()
        )
        busy = sorted(filter(_may_have_open_runs, projects), key=lambda p: p.name.casefold())
        counts = await asyncio.gather(*(api.concurrency(project.id) for project in busy))
        occupied = (
            Occupied(project, count.active, count.max)
            for project, count in zip(busy, counts, strict=True)
        )
        return cls(
            quota, batches, system, tuple(one for one in occupied if one.active), tuple(holds)
        )


def _may_have_open_runs(project: ProjectOut) -> bool:
    last = project.last_run
    is_open = last is not None and last.status in (*LIVE, *WAITING)
    return project.live_runs > 0 or is_open
