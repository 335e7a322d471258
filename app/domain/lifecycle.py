"""The state machine of runs; `MOVES` is the only place that lists legal moves."""

from __future__ import annotations

from enum import StrEnum

from app.domain.words import LABELS, Phase, Status


class Signal(StrEnum):
    """The events that can change a run's status."""

    DUE = "due"
    TAKEN = "taken"
    CUT_SHORT = "no agent began, proved after a restart, first time"
    STOP = "stop"
    APPROVAL_REFUSED = "approval refused"
    APPROVAL_EXPIRED = "approval expired"
    TTL_OVER = "ttl over"
    REFUSED = "refused by a pre-check"
    AGENT_ALIVE = "agent alive"
    LAUNCH_FAILED = "launch failed or too slow, undone"
    CHECKS_TO_RUN = "agent done, checks to run"
    WORK_TO_DELIVER = "agent done, work to deliver"
    DELIVERED = "delivered"
    GONE = "gone, nothing delivered"
    DEADLINE = "deadline"
    USAGE_LIMIT = "agent's usage limit"
    PUSH_REFUSED = "refused for good"
    CHECKS_PASSED = "all required pass"
    FOLLOW_UP = "a follow-up begins"
    CHECKS_RED = "red to the end"
    RED_DRAFT = "red to the end, as a draft"
    CHECKS_BROKEN = "a check cannot start"


MOVES: dict[tuple[Status, Signal], Status] = {
    (Status.DELAYED, Signal.DUE): Status.QUEUED,
    (Status.DELAYED, Signal.STOP): Status.STOPPED,
    (Status.QUEUED, Signal.TAKEN): Status.STARTING,
    (Status.QUEUED, Signal.STOP): Status.STOPPED,
    (Status.QUEUED, Signal.APPROVAL_REFUSED): Status.STOPPED,
    (Status.QUEUED, Signal.APPROVAL_EXPIRED): Status.STOPPED,
    (Status.QUEUED, Signal.TTL_OVER): Status.EXPIRED,
    (Status.QUEUED, Signal.REFUSED): Status.NOT_STARTED,
    (Status.STARTING, Signal.AGENT_ALIVE): Status.RUNNING,
    (Status.STARTING, Signal.LAUNCH_FAILED): Status.NOT_STARTED,
    (Status.STARTING, Signal.CUT_SHORT): Status.QUEUED,
    (Status.STARTING, Signal.STOP): Status.STOPPED,
    (Status.RUNNING, Signal.CHECKS_TO_RUN): Status.CHECKING,
    (Status.RUNNING, Signal.WORK_TO_DELIVER): Status.DELIVERING,
    (Status.RUNNING, Signal.DELIVERED): Status.SUCCEEDED,
    (Status.RUNNING, Signal.GONE): Status.DIED,
    (Status.RUNNING, Signal.DEADLINE): Status.TIMED_OUT,
    (Status.RUNNING, Signal.USAGE_LIMIT): Status.LIMITED,
    (Status.RUNNING, Signal.STOP): Status.STOPPED,
    (Status.CHECKING, Signal.CHECKS_PASSED): Status.DELIVERING,
    (Status.CHECKING, Signal.FOLLOW_UP): Status.RUNNING,
    (Status.CHECKING, Signal.CHECKS_RED): Status.DIED,
    (Status.CHECKING, Signal.RED_DRAFT): Status.DELIVERING,
    (Status.CHECKING, Signal.CHECKS_BROKEN): Status.DIED,
    (Status.CHECKING, Signal.DEADLINE): Status.TIMED_OUT,
    (Status.CHECKING, Signal.STOP): Status.STOPPED,
    (Status.DELIVERING, Signal.DELIVERED): Status.SUCCEEDED,
    (Status.DELIVERING, Signal.PUSH_REFUSED): Status.DIED,
    (Status.DELIVERING, Signal.STOP): Status.STOPPED,
}

WAITING = frozenset({Status.DELAYED, Status.QUEUED})
LIVE = frozenset({Status.STARTING, Status.RUNNING, Status.CHECKING, Status.DELIVERING})
DONE = frozenset(Status) - WAITING - LIVE


def phase_of(status: Status) -> Phase:
    """Return the phase that a status belongs to."""
    if status in WAITING:
        return Phase.WAITING
    return Phase.LIVE if status in LIVE else Phase.DONE


def next_status(status: Status, signal: Signal) -> Status | None:
    """Return the status after a signal, or None if the move is illegal."""
    return MOVES.get((status, signal))


def diagram() -> str:
    """Return the state diagram as Mermaid text, for docs/lifecycle.md."""
    lines = ["stateDiagram-v2", "    [*] --> delayed", "    [*] --> queued"]
    lines += [f"    {a} --> {b}: {signal}" for (a, signal), b in MOVES.items()]
    lines += [f"    {status} --> [*]" for status in LABELS if status in DONE]
    return "\n".join(lines)
