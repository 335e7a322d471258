"""Schemas of runs, their timelines, reports and logs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from app.api.schemas.parts import (
    Answer,
    Body,
    BranchName,
    Dollars,
    KeyedBody,
    Moment,
    Number,
    Remark,
    Start,
    Tags,
    TaskText,
    Text,
)
from app.domain.agents.reports import EntryKind
from app.domain.tracker.ci import CiState
from app.domain.words import Cause, CheckStatus, Delivers, Depth, Phase, Status, Trigger


class RunWishes(Body):
    """The fields that describe a run to start, alone or as an item of a batch."""

    depth_level: Depth = Depth.STANDARD
    target_framework: Text = "auto"
    branch: BranchName | None = None
    issue: Number | None = None
    task: TaskText | None = None
    template: Text | None = Field(
        default=None, description="The template that makes its prompt: a name, or `name@version`."
    )
    agent: Text | None = None
    model: Text | None = None
    delivers: Delivers = Delivers.CHANGE
    delay: Start | None = Field(
        default=None,
        description="When it starts: seconds from now, `90m`, `1h`, `tomorrow 02:00` or "
        "`2026-11-23T02:00`; a time without an offset is read by the server's clock.",
    )
    ttl: int | None = Field(default=None, ge=1, le=30 * 86400)
    tags: Tags = Field(default_factory=list)


class RunOrder(RunWishes, KeyedBody):
    """The body of `POST /runs`."""

    project_id: str = Field(min_length=1, max_length=80)
    pr_number: Number | None = None


class RetryOrder(KeyedBody):
    """The body of `POST /runs/{id}/retry`: values that differ from the first run.

    `from` is `parked` (continue from the run's kept work) or `fresh` (start again from the base);
    without it, `parked` if work was kept. `again` allows a retry beside an open one.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    agent: Text | None = None
    model: Text | None = None
    task: TaskText | None = None
    template: Text | None = None
    branch: BranchName | None = None
    again: bool = False
    source: Literal["parked", "fresh"] | None = Field(default=None, alias="from")


class StopOrder(Body):
    """The body of `POST /runs/{id}/stop`."""

    because: Remark | None = None


class _Push(Body):
    push_anyway: bool = Field(
        default=False, description="Push even if they contain a secret or too large a file."
    )


class DeliverOrder(_Push):
    """The optional body of `POST /runs/{id}/deliver`."""


class MergeOrder(_Push):
    """The optional body of `POST /projects/{id}/changes/{number}/merge`."""


class RunPlan(Body):
    """The body of `PATCH /runs/{id}`: a new start time for a delayed run; null starts it now."""

    starts_at: Start | None = Field(
        default=None, description="As `delay` of a new run: a moment, or a span from now."
    )
    start_now: Literal[True] | None = None

    @model_validator(mode="after")
    def _says_one(self) -> RunPlan:
        if (self.starts_at is None) == (self.start_now is None):
            raise ValueError("Give either starts_at or start_now.")
        return self


class UsageOut(Answer):
    """The usage that the agent reported; costs in US dollars."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Dollars | None = None


class CiOut(Answer):
    """The CI of a change's head at its forge; of several jobs the worst counts."""

    state: CiState = CiState.UNKNOWN
    url: str | None = Field(default=None, description="A page that says more.")
    failed: list[str] = Field(default_factory=list[str], description="The jobs that failed.")


class DeliveryOut(Answer):
    """A change request or pull request."""

    kind: Literal["change", "pull_request"]
    number: int
    url: str
    state: Literal["open", "merged", "closed"]
    branch: str = ""
    head_sha: str = ""
    commits: int = 0
    files_changed: int = 0
    additions: int = 0
    deletions: int = 0
    ci: CiOut = Field(default_factory=CiOut)


class Provenance(Answer):
    """The server, version and sandbox that made a run."""

    environment: str
    version: str
    commit: str
    database: str
    host: str
    sandbox: str = Field(default="", description="The level at which its agent ran, once it has.")
    sandbox_means: str = Field(default="", description="What held the agent in.")
    network: str = Field(default="", description="What the agent could reach.")
    allow: str = Field(
        default="", description="The services of the machine that it could use: `docker, dbus`."
    )
    template: str | None = Field(
        default=None,
        description="The template that makes its prompt, as `name@version`; null for the built-in "
        "text of an issue or a task.",
    )
    limits: str = Field(default="", description="What it could use, and what saw to that.")


class RunItem(Answer):
    """A run as a list item: all but its task, which can be long; `title` sums that up."""

    id: str
    run_id: str
    project_id: str
    project_name: str = ""
    status: Status
    label: str
    phase: Phase
    trigger: Trigger
    title: str = ""
    depth_level: Depth
    target_framework: str
    branch: str
    work_branch: str
    base_sha: str | None = None
    head_sha: str | None = None
    issue: int | None = None
    pr_number: int | None = None
    agent: str
    model: str | None = None
    delivers: Delivers = Delivers.CHANGE
    tags: list[str] = Field(default_factory=list[str])
    retry_of: str | None = None
    retried_by: list[str] = Field(default_factory=list[str])
    batch_id: str | None = None
    idempotency_key: str | None = None
    created_at: Moment
    starts_at: Moment | None = None
    ttl: int | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    released_at: Moment | None = None
    deadline: Moment | None = None
    budget_seconds: int
    because: str | None = None
    cause: Cause | None = None
    hold: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    pid: int | None = None
    delivery: DeliveryOut | None = None
    may_resume: bool = False
    resumes: int = 0
    parked: bool = False
    usage: UsageOut = Field(default_factory=UsageOut)
    correlation_id: str
    created_by: str
    provenance: Provenance


class RunOut(RunItem):
    """A run."""

    task: str | None = None
    created_by_name: str | None = Field(
        default=None, description="The name of the person in `created_by`."
    )


class RunsPage(Answer):
    """A page of runs, in the order asked for.

    `looked_among` is 20000 if only the newest 20,000 were searched, else null.
    """

    items: list[RunItem]
    next_cursor: str | None = None
    prev_cursor: str | None = None
    looked_among: int | None = None


class RunsTotal(Answer):
    """The number of runs with one status and cause, and the cost that some of them reported."""

    status: Status
    cause: Cause | None = None
    count: int
    cost_usd: Dollars | None = None


class RunsTotals(Answer):
    """The number and cost of the runs that match a filter, by status and cause.

    `looked_among` is 20000 if only the newest 20,000 were added up, else null.
    """

    items: list[RunsTotal]
    looked_among: int | None = None


class TimelineEvent(Answer):
    """An event of a run."""

    id: int
    at: Moment
    kind: str
    sentence: str
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


class RunCheck(Answer):
    """One check in one round of a run; `exit_code` is null if it did not exit by itself."""

    name: str
    command: list[str] = Field(
        default_factory=list[str], description="Its arguments, as they were when the run began."
    )
    round: int = Field(description="1 for the first; each follow-up is checked in a new one.")
    status: CheckStatus
    required: bool
    exit_code: int | None = None
    because: str | None = Field(default=None, description="Why it did not pass.")
    seconds: float | None = Field(default=None, description="Null while it is running.")
    commit: str
    changed_files: list[str] = Field(
        default_factory=list[str],
        description="Tracked files that it changed, which are not delivered.",
    )
    log_from: int | None = Field(default=None, description="Its part of the run's log, in bytes.")
    log_to: int | None = None
    started_at: Moment
    ended_at: Moment | None = None


class RunChecks(Answer):
    """The checks of a run, one per check and round, oldest first."""

    items: list[RunCheck]


class ReportOut(Answer):
    """The agent's report of its work so far; `sentence` sums it up.

    `working_copy` is the folder of its work; empty if there is none.
    """

    tools_used: int = 0
    files_edited: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Dollars | None = None
    session_id: str | None = None
    final_message: str | None = None
    limit: str | None = None
    limit_resets_at: str | None = None
    sentence: str = ""
    continue_command: str = ""
    working_copy: str = ""


class Timeline(Answer):
    """A run's events, oldest first."""

    items: list[TimelineEvent]


class LogEntry(Answer):
    """An entry of an agent's log, and the position where its line begins; `name` is a tool's.

    `time` is when the line arrived, to the second; null if that is not known.
    """

    at: int
    time: Moment | None = None
    kind: EntryKind
    name: str = ""
    text: str


class LogHitOut(Answer):
    """A matching line of a log: the position of the match, the line's number, and its text.

    In the readable form `offset` is the position where the matching entry begins.
    """

    offset: int
    line: int
    text: str


class LogHitsOut(Answer):
    """Matches in their order; `total` is their number in the whole log.

    In the readable form it is null if there are more than one request reads.
    """

    total: int | None
    items: list[LogHitOut]
    next_cursor: str | None = None


class KeyReset(Body):
    """The project of the key; each project has its own keys."""

    project_id: str = Field(min_length=1, max_length=80)


class KeyOut(Answer):
    """A key that was reset, and its former run."""

    key: str
    project_id: str
    run_id: str
