"""What goes over the wire: the bodies and answers of api.md, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from app.domain.words import Cause, Delivers, Depth, Phase, Status, Trigger


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
BranchName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=244)]
Key = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
MAX_TASK_BYTES = 32 * 1024


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer: built from rows or plain values."""

    model_config = ConfigDict(from_attributes=True)


# --- runs --------------------------------------------------------------------------------------


class RunOrder(Body):
    """The body of `POST /runs`."""

    project_id: str = Field(min_length=1, max_length=80)
    depth_level: Depth = Depth.STANDARD
    target_framework: Text = "auto"
    branch: BranchName | None = None
    x_idempotency_key: Key | None = None
    issue: int | None = Field(default=None, ge=1)
    pr_number: int | None = Field(default=None, ge=1)
    task: str | None = Field(default=None, max_length=MAX_TASK_BYTES)
    agent: Text | None = None
    model: Text | None = None
    delivers: Delivers = Delivers.CHANGE
    delay: int | None = Field(default=None, ge=0, le=30 * 86400)
    ttl: int | None = Field(default=None, ge=1, le=30 * 86400)
    tags: list[Tag] = Field(default_factory=list, max_length=10)


class StopOrder(Body):
    """The body of `POST /runs/{id}/stop`."""

    because: str | None = Field(default=None, max_length=500)


class UsageOut(Answer):
    """What the agent says it used; costs in US dollars."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


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


class Provenance(Answer):
    """Where and with what a run was made."""

    environment: str
    version: str
    commit: str
    database: str
    host: str


class RunOut(Answer):
    """A run."""

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
    task: str | None = None
    agent: str
    model: str | None = None
    delivers: Delivers = Delivers.CHANGE
    tags: list[str] = Field(default_factory=list)
    retry_of: str | None = None
    retried_by: str | None = None
    batch_id: str | None = None
    created_at: Moment
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
    parked: bool = False
    usage: UsageOut = Field(default_factory=UsageOut)
    correlation_id: str
    created_by: str
    provenance: Provenance


class RunsPage(Answer):
    """A page of runs, newest first."""

    items: list[RunOut]
    next_cursor: str | None = None
    prev_cursor: str | None = None


class TimelineEvent(Answer):
    """One thing that happened to a run."""

    id: int
    at: Moment
    kind: str
    sentence: str
    data: dict[str, Any] = Field(default_factory=dict)


class Timeline(Answer):
    """A run's events, oldest first."""

    items: list[TimelineEvent]


# --- projects ----------------------------------------------------------------------------------


Argv = Annotated[list[Annotated[str, StringConstraints(max_length=4000)]], Field(max_length=100)]
Tracker = Literal["builtin", "forgejo", "github"]


class ProjectSettings(Body):
    """What a project can be told; every field optional, used by POST and PATCH alike."""

    base_branch: BranchName | None = None
    agent: Text | None = None
    agent_command: Argv | None = None
    setup_command: Argv | None = None
    prompt: str | None = Field(default=None, max_length=MAX_TASK_BYTES)
    budget_seconds: int | None = Field(default=None, ge=1, le=30 * 86400)
    stall_seconds: int | None = Field(default=None, ge=1, le=30 * 86400)
    max_concurrency: int | None = Field(default=None, ge=1, le=100)
    open_pr: Literal["runyard", "agent"] | None = None
    branch_pattern: Text | None = None
    frameworks: list[Text] | None = Field(default=None, max_length=50)
    sandbox: Literal["none", "bubblewrap"] | None = None


class NewProject(ProjectSettings):
    """The body of `POST /projects`."""

    name: str = Field(min_length=1, max_length=200)
    origin: str = Field(min_length=1, max_length=2000)
    tracker: Tracker | None = None
    auto_enabled: bool = False


class ProjectChange(ProjectSettings):
    """The body of `PATCH /projects/{id}`."""

    name: str | None = Field(default=None, min_length=1, max_length=200)


class RecentFailure(Answer):
    """One of the last failures in a row."""

    run_id: str
    status: Status
    because: str


class Bar(Answer):
    """One of a project's last runs, drawn as a bar: seconds and outcome."""

    run_id: str
    status: Status
    label: str
    seconds: float | None = None


class LastRun(Answer):
    """The newest run of a project, in short."""

    id: str
    status: Status
    label: str
    issue: int | None = None
    title: str = ""
    work_branch: str = ""
    because: str | None = None
    created_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    deadline: Moment | None = None
    budget_seconds: int = 0


class ProjectOut(Answer):
    """A project."""

    id: str
    name: str
    origin: str
    base_branch: str
    tracker: Tracker
    agent: str
    agent_command: list[str] | None = None
    setup_command: list[str] | None = None
    prompt: str | None = None
    budget_seconds: int
    stall_seconds: int | None = None
    max_concurrency: int
    open_pr: Literal["runyard", "agent"]
    branch_pattern: str
    frameworks: list[str]
    sandbox: Literal["none", "bubblewrap"]
    auto_enabled: bool
    state: Literal["cloning", "ready", "broken"]
    state_because: str | None = None
    clone_percent: int | None = None
    strikes: int
    paused: bool
    recent_failures: list[RecentFailure] = Field(default_factory=list)
    ready_count: int | None = None
    live_runs: int = 0
    last_run: LastRun | None = None
    recent_runs: list[Bar] = Field(default_factory=list)
    hold: str | None = None
    archived_at: Moment | None = None
    created_at: Moment


class Projects(Answer):
    """Every project."""

    items: list[ProjectOut]


class BranchOut(Answer):
    """A branch of origin."""

    name: str
    is_base: bool
    updated_at: Moment | None = None


class Branches(Answer):
    """A project's branches, base first."""

    items: list[BranchOut]


class NewIssue(Body):
    """The body of `POST /projects/{id}/issues`."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
    body: str = Field(default="", max_length=256 * 1024)
    labels: list[Tag] = Field(default_factory=list, max_length=20)


class IssueChange(Body):
    """The body of `PATCH /projects/{id}/issues/{n}`."""

    title: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
        | None
    ) = None
    body: str | None = Field(default=None, max_length=256 * 1024)
    labels: list[Tag] | None = Field(default=None, max_length=20)
    state: Literal["open", "closed"] | None = None


class IssueOut(Answer):
    """An issue of a project's tracker."""

    number: int
    title: str
    body: str
    labels: list[str]
    state: Literal["open", "closed"]
    ready: bool
    claimable: bool
    hold: str | None = None
    url: str | None = None


class Issues(Answer):
    """A project's issues, lowest number first."""

    items: list[IssueOut]


class ChangeOut(DeliveryOut):
    """A change request of the built-in tracker."""

    title: str
    body: str = ""
    base: str
    run_id: str | None = None
    closes: int | None = None
    merged_sha: str | None = None
    created_at: Moment
    ended_at: Moment | None = None


class Changes(Answer):
    """A project's change requests, newest first."""

    items: list[ChangeOut]


# --- the rest ----------------------------------------------------------------------------------


class QuotaOut(Answer):
    """A person's sliding window of accepted runs."""

    limit: int
    remaining: int
    used: int
    window_seconds: int
    reset_at: Moment | None = None
    retry_after: int | None = None


class ConcurrencyOut(Answer):
    """Open runs of one repository against its limit."""

    active: int
    max: int


class LoginLink(Answer):
    """A link that signs a browser in once."""

    url: str


class Finding(Answer):
    """One line of doctor: `level` is ok, look or none."""

    level: Literal["ok", "look", "none"]
    check: str
    found: str
    advice: str = ""


class SettingOut(Answer):
    """One setting with where its value came from."""

    name: str
    value: str
    origin: Literal["environment", "runyard.toml", "default", "command line"]


class DoctorOut(Answer):
    """Everything doctor sees."""

    items: list[Finding]
    settings: list[SettingOut]


class SystemOut(Answer):
    """What this server is, for the foot of every page."""

    provenance: Provenance
    base_url: str
    now: Moment
    live_runs: int
    success_rate: float | None = None
    ended_7d: int = 0
    person: str
