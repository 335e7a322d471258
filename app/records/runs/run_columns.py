"""The columns of a run's row, typed for the statements that write them."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, TypedDict

from sqlmodel import SQLModel

from app.records.tables import Run
from app.records.tables.drafts import drafted


class RunColumns(TypedDict, total=False):
    """The columns of a run that may change after its acceptance; its status changes by a signal."""

    cause: str | None
    because: str | None
    trigger: str
    title: str
    depth_level: str
    target_framework: str
    branch_name: str
    work_branch: str
    base_sha: str | None
    head_sha: str | None
    issue: int | None
    pr_number: int | None
    review: list[dict[str, Any]] | None
    merging: dict[str, Any] | None
    task: str | None
    agent: str
    model: str | None
    delivers: str
    tags: list[str]
    budget_seconds: int
    idempotency_key: str | None
    body_hash: str
    retry_of: str | None
    retried_by: str | None
    retries: list[str]
    batch_id: str | None
    correlation_id: str
    created_by: str
    charged_to: str | None
    provenance: dict[str, str]
    hold: str | None
    awaits_approval: bool
    created_at: datetime
    due_at: datetime | None
    expires_at: datetime | None
    taken_at: datetime | None
    started_at: datetime | None
    deadline: datetime | None
    ended_at: datetime | None
    released_at: datetime | None
    exit_code: int | None
    exit_signal: int | None
    pid: int | None
    supervisor: dict[str, Any] | None
    host: str | None
    instance: str | None
    server: str | None
    delivery: dict[str, Any] | None
    parked: bool
    is_strike: bool
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    session_id: str | None
    resumes: int
    may_resume: bool
    turn: int
    check_round: int
    checks: dict[str, Any] | None


def drafted_run(columns: dict[str, Any]) -> Run:
    """Return an unsaved run with these columns; the others have no value, or their default."""
    return drafted(Run, {**_defaults(), "retries": [], **columns})


@cache
def _defaults() -> dict[str, Any]:
    fields, columns = Run.model_fields, SQLModel.metadata.tables["runs"].columns.keys()
    return {name: None if fields[name].is_required() else fields[name].default for name in columns}
