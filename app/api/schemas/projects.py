"""Schemas of projects, branches and statistics."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from app.api.schemas.limits import UsageLimit
from app.api.schemas.parts import Answer, Body, BranchName, Moment, Prose, TaskText, Text
from app.api.schemas.project_rules import AutolandOut, AutolandSettings, setting_field
from app.api.schemas.system import StuckOut
from app.domain.projects.approvals import APPROVAL_DAYS
from app.domain.projects.checks import (
    CHECK_ROUNDS,
    CHECK_SECONDS,
    MAX_CHECK_NAME,
    MAX_CHECK_SECONDS,
    MAX_WORD,
    MAX_WORDS,
    OnRed,
)
from app.domain.projects.forge_rules import REVIEW_ROUNDS, MergeStyle
from app.domain.sandbox.levels import (
    DEFAULT_PROCESSES,
    HostService,
    NetworkRule,
    SandboxLevel,
    read_level,
)
from app.domain.sandbox.settings import limit_problem
from app.domain.words import Status

CLEARABLE = frozenset(
    {"agent_command", "setup_command", "prompt", "instructions", "stall_seconds", "model"}
)
Argument = Annotated[str, StringConstraints(max_length=MAX_WORD)]
CheckName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CHECK_NAME)
]
Tracker = Literal["builtin", "forgejo", "gitea", "github"]
Folder = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


def _level_of(word: Any) -> Any:
    try:
        return read_level(word) if isinstance(word, str) else word
    except ValueError:
        return word  # the schema's own error lists the valid levels


Level = Annotated[SandboxLevel, BeforeValidator(_level_of)]


class LimitSettings(Body):
    """The limits of one run, sizes in MB of a million bytes; null: none."""

    memory_mb: int | None = setting_field("memory_mb")
    processes: int | None = setting_field("processes")
    file_mb: int | None = setting_field("file_mb")
    disk_mb: int | None = setting_field("disk_mb")

    @field_validator("*")
    @classmethod
    def _keep_to_bounds(cls, value: int | None, info: ValidationInfo) -> int | None:
        problem = None if value is None else limit_problem(str(info.field_name), value)
        if problem:
            raise ValueError(problem)
        return value


class CheckSetting(Body):
    """A command that runs before a delivery."""

    name: CheckName
    command: list[Argument] = Field(min_length=1, max_length=MAX_WORDS)
    timeout_seconds: int = Field(
        default=CHECK_SECONDS,
        ge=1,
        le=MAX_CHECK_SECONDS,
        description="A check that takes longer has failed.",
    )
    required: bool = Field(
        default=True, description="Whether its failure holds a delivery, or is only shown."
    )


class ProjectSettings(Body):
    """Settings of a project; every field is optional, for POST and PATCH alike."""

    base_branch: BranchName | None = setting_field("base_branch")
    tags: list[Text] | None = setting_field("tags")
    agent: Text | None = setting_field("agent")
    model: Text | None = setting_field("model")
    agent_command: list[Argument] | None = setting_field("agent_command")
    setup_command: list[Argument] | None = setting_field("setup_command")
    prompt: TaskText | None = setting_field("prompt")
    instructions: TaskText | None = setting_field("instructions")
    checks: list[CheckSetting] | None = setting_field("checks")
    check_rounds: int | None = setting_field("check_rounds")
    on_red: OnRed | None = setting_field("on_red")
    autoland: AutolandSettings | None = None
    ci_rounds: int | None = setting_field("ci_rounds")
    review_rounds: int | None = setting_field("review_rounds")
    merge_style: MergeStyle | None = setting_field("merge_style")
    allowed_agents: list[Text] | None = setting_field("allowed_agents")
    approve_start: bool | None = setting_field("approve_start")
    approve_merge: int | None = setting_field("approve_merge")
    approval_days: int | None = setting_field("approval_days")
    budget_seconds: int | None = setting_field("budget_seconds")
    stall_seconds: int | None = setting_field("stall_seconds")
    max_concurrency: int | None = setting_field("max_concurrency")
    open_pr: Literal["runyard", "agent"] | None = setting_field("open_pr")
    pr_sign_in: Folder | None = setting_field("pr_sign_in")
    agent_token: bool | None = setting_field("agent_token")
    branch_pattern: Text | None = setting_field("branch_pattern")
    frameworks: list[Text] | None = setting_field("frameworks")
    resume_after_limit: bool | None = setting_field("resume_after_limit")
    claim_label: Text | None = setting_field("claim_label")
    tell_claims: bool | None = setting_field("tell_claims")
    sandbox: Level | None = setting_field("sandbox")
    network: NetworkRule | None = setting_field("network")
    allowed_hosts: list[Text] | None = setting_field("allowed_hosts")
    allow: list[HostService] | None = setting_field("allow")
    toolchains: list[Folder] | None = setting_field("toolchains")
    limits: LimitSettings | None = None
    owner_hooks: bool | None = setting_field("owner_hooks")


class NewProject(ProjectSettings):
    """The body of `POST /projects`."""

    name: Annotated[Prose, setting_field("name", ..., min_length=1)]
    origin: Prose = Field(min_length=1, max_length=2000)
    tracker: Text | None = setting_field("tracker", max_length=80)
    auto_enabled: bool = setting_field("auto_enabled", default=False)


class ProjectChange(ProjectSettings):
    """The body of `PATCH /projects/{id}`."""

    name: Prose | None = setting_field("name", min_length=1)
    auto_enabled: bool | None = setting_field("auto_enabled")
    origin: Prose | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        description="The place that the same repository has moved to; another one is refused.",
    )
    archived: bool | None = None
    sandbox_notice: Literal[False] | None = Field(
        default=None, description="`false` dismisses the notice of its changed level."
    )
    suggested_checks: list[CheckSetting] | None = Field(
        default=None,
        max_length=0,
        description="`[]` dismisses the suggested checks; to set `checks` does so, too.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _keep_what_is_needed(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in CLEARABLE:
            raise ValueError("This setting cannot be empty.")
        return value


class RecentFailure(Answer):
    """One of the last failures in a row."""

    run_id: str
    status: Status
    label: str
    issue: int | None = None
    because: str
    ended_at: Moment | None = None


class Bar(Answer):
    """One of a project's last runs, drawn as a bar: seconds and outcome."""

    run_id: str
    status: Status
    label: str
    seconds: float | None = None


class LastRun(Answer):
    """A project's newest live run, else its newest run, in short."""

    id: str
    status: Status
    label: str
    issue: int | None = None
    title: str = ""
    work_branch: str = ""
    because: str | None = None
    hold: str | None = None
    created_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    deadline: Moment | None = None
    budget_seconds: int = 0


class LimitsOut(Answer):
    """The limits of one run, sizes in MB of a million bytes; null: none."""

    memory_mb: int | None = None
    processes: int | None = DEFAULT_PROCESSES
    file_mb: int | None = None
    disk_mb: int | None = None


class CheckOut(Answer):
    """A command that runs before a delivery."""

    name: str
    command: list[str]
    timeout_seconds: int = CHECK_SECONDS
    required: bool = True


class SuggestedCheck(Answer):
    """A check that the files of the repository suggest."""

    name: str
    command: list[str]


class ProjectOut(Answer):
    """A project."""

    # pages share one model
    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    origin: str
    base_branch: str
    tags: list[str] = Field(default_factory=list[str])
    tracker: Tracker
    agent: str
    model: str | None = None
    agent_command: list[str] | None = None
    setup_command: list[str] | None = None
    prompt: str | None = None
    instructions: str | None = None
    checks: list[CheckOut] = Field(default_factory=list[CheckOut])
    check_rounds: int = CHECK_ROUNDS
    on_red: OnRed = OnRed.PARK
    autoland: AutolandOut = Field(default_factory=AutolandOut)
    ci_rounds: int = 0
    review_rounds: int = REVIEW_ROUNDS
    merge_style: MergeStyle = MergeStyle.MERGE
    approve_start: bool = False
    approve_merge: int = 0
    approval_days: int = APPROVAL_DAYS
    checks_error: str | None = Field(
        default=None,
        description="Why a check could not be started. The loop waits until the checks or the "
        "sandbox are changed, or a person has them tried again.",
    )
    trust_hold: str | None = Field(
        default=None,
        description="Agent configuration that changed on base. The loop waits until a person has "
        "looked at it and trusts this state.",
    )
    suggested_checks: list[SuggestedCheck] = Field(
        default_factory=list[SuggestedCheck],
        description="Checks that the files of the repository suggest, until a person answers.",
    )
    budget_seconds: int
    stall_seconds: int | None = None
    max_concurrency: int
    open_pr: Literal["runyard", "agent"]
    pr_sign_in: str | None = None
    pr_login: str | None = Field(
        default=None, description="The account of the agents' own sign-in at the forge."
    )
    agent_token: bool = False
    branch_pattern: str
    frameworks: list[str]
    sandbox: Level
    sandbox_notice: bool = Field(
        default=False,
        description="Its agents run contained since an upgrade, and nobody has read so yet.",
    )
    network: NetworkRule = NetworkRule.ALL
    allowed_agents: list[str] = Field(default_factory=list[str])
    allowed_hosts: list[str] = Field(default_factory=list[str])
    allow: list[HostService] = Field(default_factory=list[HostService])
    toolchains: list[str] = Field(default_factory=list[str])
    limits: LimitsOut = Field(default_factory=LimitsOut)
    auto_enabled: bool
    resume_after_limit: bool = True
    claim_label: str | None = None
    tell_claims: bool = True
    owner_hooks: bool = False
    owner_hooks_because: str | None = Field(
        default=None, description="Why hooks that were switched on are not run any more."
    )
    state: Literal["cloning", "ready", "broken"]
    state_because: str | None = None
    unreachable: bool = Field(
        default=False,
        description="Its origin is gone or has not answered for a while: nothing starts until it "
        "is back, which Runyard notices by itself.",
    )
    origin_because: str | None = Field(
        default=None, description="Origin's last failure, also where it is not held to be away yet."
    )
    origin_since: Moment | None = None
    agent_ready: bool = True
    agent_problem: str | None = Field(
        default=None, description="Why its agent cannot work on this machine, and what helps."
    )
    sandbox_problem: str | None = Field(
        default=None,
        description="Why its sandbox level is not available on this machine, and what helps.",
    )
    clone_percent: int | None = None
    strikes: int
    paused: bool
    recent_failures: list[RecentFailure] = Field(default_factory=list[RecentFailure])
    ready_count: int | None = None
    live_runs: int = 0
    parked_count: int = 0
    review_count: int = Field(default=0, description="How many of its changes wait for a review.")
    last_run: LastRun | None = None
    recent_runs: list[Bar] = Field(default_factory=list[Bar])
    hold: str | None = None
    forge_hold: str | None = Field(
        default=None, description="What its forge or its repository there lacks, if anything."
    )
    usage_limit: UsageLimit | None = None
    stuck: list[StuckOut] = Field(
        default_factory=list[StuckOut],
        description="What failed five times by a fault of Runyard's and is tried no more, of the "
        "project, its issues and its runs, oldest first; see `/quarantine`.",
    )
    archived_at: Moment | None = None
    created_at: Moment


class Projects(Answer):
    """All projects."""

    items: list[ProjectOut]


class OriginOut(Answer):
    """A folder that could become a project's origin."""

    folder: str
    remote: str | None = Field(
        description="What its own repository calls origin: an address a project could have "
        "instead. Null where there is none, or none that is allowed."
    )


class BranchOut(Answer):
    """A branch of origin."""

    name: str
    is_base: bool
    updated_at: Moment | None = None


class Branches(Answer):
    """A project's branches, base first."""

    items: list[BranchOut]


class ProjectCounts(Answer):
    """Counts of a project; null for what an external tracker keeps."""

    runs: int
    open_issues: int | None
    open_changes: int | None
