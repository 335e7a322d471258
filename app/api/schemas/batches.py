"""Schemas of batches and bulk actions."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from app.api.schemas.parts import Answer, Body, Dollars, KeyedBody, Moment, Remark, Tag, Text
from app.api.schemas.runs import RunOut, RunWishes
from app.domain.batches import MAX_ITEMS, BatchStatus, BulkAction, BulkState, BulkStatus
from app.domain.words import Depth, Phase, Status, Trigger


class BatchOrder(KeyedBody):
    """The body of `POST /batches`."""

    project_id: str = Field(min_length=1, max_length=80)
    run_count: int = Field(ge=1, le=MAX_ITEMS, strict=True)
    parent_run_id: str | None = Field(default=None, max_length=80)


class BatchMade(Answer):
    """The created batch; `replayed` if the key had already created it."""

    id: str
    run_count: int
    replayed: bool


class BatchLine(RunWishes):
    """A line of `POST /batches/{id}/items`: the run to start and its index."""

    index: int = Field(ge=0, strict=True)


class BatchTaken(Answer):
    """The outcome of one line."""

    index: int
    status: Literal["accepted", "deduplicated", "not_started"]
    run_id: str
    because: str | None = None


class BatchReceipt(Answer):
    """The outcome of each line of one call, and the progress of the whole batch."""

    sealed: bool
    expected: int
    received: int
    items: list[BatchTaken]


class BatchOut(Answer):
    """A batch; `counts` are its runs by status."""

    id: str
    project_id: str
    project_name: str = ""
    run_count: int
    received: int = 0
    status: BatchStatus
    label: str
    because: str | None = None
    counts: dict[str, int] = Field(default_factory=dict[str, int])
    parent_run_id: str | None = None
    created_by: str
    created_at: Moment
    sealed_at: Moment | None = None
    ended_at: Moment | None = None
    correlation_id: str


class BatchReport(BatchOut):
    """A batch with its results; costs in US dollars."""

    missing: list[int] = Field(default_factory=list[int])
    waiting: int = 0
    live: int = 0
    delivered: int = 0
    no_change: int = 0
    held: int = 0
    failed: int = 0
    stopped: int = 0
    cost_usd: Dollars | None = None


class Batches(Answer):
    """A page of batches, newest first."""

    items: list[BatchOut]
    next_cursor: str | None = None
    prev_cursor: str | None = None


class BatchItemOut(Answer):
    """An item of a batch, and its run."""

    index: int
    run: RunOut


class BatchItems(Answer):
    """A page of a batch's items, in their order."""

    items: list[BatchItemOut]
    next_cursor: str | None = None
    prev_cursor: str | None = None


class BulkFilter(Body):
    """The choice of runs, by the filters of `GET /runs`."""

    project_id: str | None = Field(default=None, max_length=80)
    status: list[Status] = Field(default_factory=list[Status])
    phase: Phase | None = None
    trigger: Trigger | None = None
    branch: Text | None = None
    issue: int | None = Field(default=None, ge=1, le=2**31 - 1)
    depth_level: Depth | None = None
    target_framework: Text | None = None
    agent: Text | None = None
    tag: Tag | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    q: Text | None = None
    batch_id: str | None = Field(default=None, max_length=80)


class BulkOrder(KeyedBody):
    """The body of `POST /bulk`; it applies to the runs that match the filter now."""

    action: BulkAction
    filter: BulkFilter
    because: Remark | None = None


class BulkOut(Answer):
    """A bulk action and its progress; `hold` says why it waits."""

    id: str
    action: BulkAction
    status: BulkStatus
    total: int
    pending: int
    done: int
    refused: int
    left: int
    hold: str | None = None
    created_by: str
    created_at: Moment
    ended_at: Moment | None = None


class Bulks(Answer):
    """The latest bulk actions, newest first."""

    items: list[BulkOut]


class BulkItemOut(Answer):
    """A run of a bulk action and its outcome; `new_run_id` is the retry."""

    run_id: str
    state: BulkState
    because: str | None = None
    new_run_id: str | None = None


class BulkItems(Answer):
    """A page of a bulk action's runs, in the order in which they are handled."""

    items: list[BulkItemOut]
    next_cursor: str | None = None
    prev_cursor: str | None = None
