"""The glossary in code: statuses, triggers, causes and their labels."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The status of a run."""

    DELAYED = "delayed"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CHECKING = "checking"
    DELIVERING = "delivering"
    SUCCEEDED = "succeeded"
    DIED = "died"
    TIMED_OUT = "timed_out"
    LIMITED = "limited"
    STOPPED = "stopped"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"


class Phase(StrEnum):
    """The three phases of a run."""

    WAITING = "waiting"
    LIVE = "live"
    DONE = "done"


class Trigger(StrEnum):
    """The trigger that started a run."""

    MANUAL = "manual"
    AUTO = "auto"
    RETRY = "retry"
    RESUME = "resume"
    BATCH = "batch"
    API = "api"
    REVIEW = "review"


class Priority(StrEnum):
    """The urgency of an issue; the first in this order goes first."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class AfterClose(StrEnum):
    """The place of an issue whose change request is closed without merging."""

    QUEUE = "queue"
    PARK = "park"
    CLOSE = "close"


class MergeWait(StrEnum):
    """The condition of a merge that a forge makes by itself."""

    CHECKS = "checks"
    QUEUE = "queue"


class Side(StrEnum):
    """The side of a diff: the file before the change, or after it."""

    OLD = "old"
    NEW = "new"


class FileStatus(StrEnum):
    """A change to a file as a whole."""

    ADDED = "added"
    DELETED = "deleted"
    RENAMED = "renamed"
    MODIFIED = "modified"


class Depth(StrEnum):
    """The thoroughness that the agent is asked for."""

    QUICK = "quick"
    STANDARD = "standard"
    DEEP = "deep"


class Delivers(StrEnum):
    """The success criterion of a run: a delivered change, or exit code 0."""

    CHANGE = "change"
    REPORT = "report"


class CheckStatus(StrEnum):
    """The status of one check in one round of a run."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"


class RunSort(StrEnum):
    """The order of a list of runs: the newest first, or the dearest."""

    NEWEST = "newest"
    COST = "cost"


class Cause(StrEnum):
    """The cause of a run's end."""

    DELIVERED = "delivered"
    DELIVERED_RED = "delivered_red"
    REPORTED = "reported"
    NO_DELIVERY = "no_delivery"
    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    STALLED = "stalled"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_MANY_PROCESSES = "too_many_processes"
    DISK_QUOTA = "disk_quota"
    CHECKS_FAILED = "checks_failed"
    CHECKS_ERROR = "checks_error"
    HOST_RESTARTED = "host_restarted"
    SESSION_GONE = "session_gone"
    AUTH = "auth"
    AGENT_MISSING = "agent_missing"
    NETWORK = "network"
    DISK_FULL = "disk_full"
    PUSH_REFUSED = "push_refused"
    SECRET_FOUND = "secret_found"  # noqa: S105 - a cause, no secret
    FILE_TOO_LARGE = "file_too_large"
    BUDGET = "budget"
    STOPPED = "stopped"
    APPROVAL_REFUSED = "approval_refused"
    APPROVAL_EXPIRED = "approval_expired"
    USAGE_LIMIT = "usage_limit"
    LAUNCH_FAILED = "launch_failed"
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    ITEM_TOO_LARGE = "item_too_large"
    TTL = "ttl"


LABELS: dict[Status, str] = {
    Status.DELAYED: "Delayed",
    Status.QUEUED: "Queued",
    Status.STARTING: "Starting",
    Status.RUNNING: "Running",
    Status.CHECKING: "Checking",
    Status.DELIVERING: "Delivering",
    Status.SUCCEEDED: "Succeeded",
    Status.DIED: "Died",
    Status.TIMED_OUT: "Timed out",
    Status.STOPPED: "Stopped",
    Status.NOT_STARTED: "Not started",
    Status.EXPIRED: "Expired",
    Status.LIMITED: "Usage limit",
}

FRAMEWORKS = (
    "auto",
    "pytest",
    "unittest",
    "playwright",
    "maestro",
    "jest",
    "vitest",
    "go-test",
    "cargo-test",
    "junit",
)

READY_LABEL = "ready-for-agent"
BUILTIN = "builtin"  # Runyard's own tracker
PAUSE_THRESHOLD = 3


def label_of(status: Status, cause: Cause | None = None) -> str:
    """Return the display label of a status; a death without a delivery has its own."""
    if status is Status.DIED and cause is Cause.NO_DELIVERY:
        return "No delivery"
    return LABELS[status]
