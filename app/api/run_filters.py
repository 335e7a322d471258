"""The query words by which runs are chosen for a list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime

from app.api.schemas.parts import InUtc, NoNul
from app.domain.words import Depth, Phase, Status, Trigger
from app.services.rows import RunFilter

Word = Annotated[str | None, Query(max_length=200), NoNul]
Instant = Annotated[AwareDatetime, InUtc]
Branch = Annotated[str | None, Query(max_length=244), NoNul]


def asked_for(
    project_id: Word = None,
    status: Annotated[list[Status] | None, Query()] = None,
    phase: Phase | None = None,
    trigger: Trigger | None = None,
    branch: Branch = None,
    issue: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    depth_level: Depth | None = None,
    target_framework: Word = None,
    agent: Word = None,
    tag: Word = None,
    batch_id: Word = None,
    created_after: Instant | None = None,
    created_before: Instant | None = None,
    q: Word = None,
) -> RunFilter:
    """The runs that a query asks for."""
    return RunFilter(
        project_id,
        tuple(status or ()),
        phase,
        trigger,
        branch,
        q,
        batch_id,
        issue=issue,
        depth=depth_level,
        framework=target_framework,
        agent=agent,
        tag=tag,
        created_after=created_after,
        created_before=created_before,
    )


Asked = Annotated[RunFilter, Depends(asked_for)]
