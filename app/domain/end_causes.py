"""The causes of an agent's end, from the supervisor's reason, the exit code and the output."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.agents.final_output import Failure, LastWord
from app.domain.lifecycle import Signal
from app.domain.words import Cause

# a shell's exit code for an unknown command
NOT_FOUND = 127
MAX_WORDS = 200


class ExitReason(StrEnum):
    """The reason of an end, as the supervisor records it."""

    EXITED = "exited"
    DEADLINE = "deadline"
    USAGE_LIMIT = "usage_limit"
    STOPPED = "stopped"
    STALLED = "stalled"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_MANY_PROCESSES = "too_many_processes"
    DISK_QUOTA = "disk_quota"
    FILE_LIMIT = "file_limit"
    DISK_FULL = "disk_full"
    NOT_SPAWNED = "not_spawned"


@dataclass(frozen=True)
class ExitRecord:
    """The end of an agent: its exit code or signal number, the reason, and the time (UTC).

    `full` is the key in PLACES that had no room left, empty if none; `limit` is the run's own limit
    that was reached, None if it was the machine's.
    """

    code: int | None
    signal: int | None
    reason: ExitReason
    at: datetime
    full: str = ""
    limit: int | None = None


@dataclass(frozen=True)
class Ending:
    """A signal for MOVES with its cause and the sentence shown to people."""

    signal: Signal
    cause: Cause
    because: str


TIME_USED_UP = Ending(Signal.DEADLINE, Cause.BUDGET, "its time was used up, nothing delivered")
LIMITED = Ending(Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, "the agent's usage limit was reached")
PLACES = {
    "log": "the log",
    "copy": "the working copy",
    "tmp": "temporary files",
}
NOTHING_THERE = "the agent's command could not be started"

REASONS: dict[ExitReason, Ending] = {
    ExitReason.DEADLINE: TIME_USED_UP,
    ExitReason.USAGE_LIMIT: LIMITED,
    ExitReason.NOT_SPAWNED: Ending(Signal.GONE, Cause.AGENT_MISSING, NOTHING_THERE),
    ExitReason.STALLED: Ending(Signal.GONE, Cause.STALLED, "the agent wrote nothing for too long"),
    ExitReason.OUT_OF_MEMORY: Ending(
        Signal.GONE, Cause.OUT_OF_MEMORY, "the machine ran out of memory and ended the agent"
    ),
    ExitReason.TOO_MANY_PROCESSES: Ending(
        Signal.GONE, Cause.TOO_MANY_PROCESSES, "the run's limit of processes was reached"
    ),
    ExitReason.DISK_QUOTA: Ending(
        Signal.GONE, Cause.DISK_QUOTA, "the run's limit for its working copy was reached"
    ),
    ExitReason.FILE_LIMIT: Ending(
        Signal.GONE, Cause.DISK_QUOTA, "the run's limit for one file was reached"
    ),
    ExitReason.DISK_FULL: Ending(Signal.GONE, Cause.DISK_FULL, "the disk is full"),
}
# the run's own limits, which have a number
_LIMITS = {
    ExitReason.OUT_OF_MEMORY: "{:,} MB of memory",
    ExitReason.TOO_MANY_PROCESSES: "{:,} processes",
    ExitReason.DISK_QUOTA: "{:,} MB for its working copy",
    ExitReason.FILE_LIMIT: "{:,} MB for one file",
}
FAILURES: dict[Failure, Ending] = {
    Failure.AUTH: Ending(Signal.GONE, Cause.AUTH, "the agent is not signed in"),
    Failure.NETWORK: Ending(Signal.GONE, Cause.NETWORK, "the agent could not reach its model"),
    Failure.OTHER: Ending(Signal.GONE, Cause.EXIT_CODE, "the agent reported a failure"),
}


def ending_of_failure(record: ExitRecord | None, word: LastWord) -> Ending:
    """Return the end of a failed agent that is not at its usage limit.

    A sign-in or network failure in its output takes precedence over the exit code.
    """
    known = FAILURES[word.failure or Failure.OTHER]
    told = Ending(known.signal, known.cause, _with(known.because, word.evidence))
    if word.failure in (Failure.AUTH, Failure.NETWORK) or record is None:
        return told
    if record.code == NOT_FOUND:
        because = "the agent's command was not found (exit code 127)"
        return Ending(Signal.GONE, Cause.AGENT_MISSING, because)
    if record.reason is ExitReason.STOPPED or not (record.code or record.signal):
        return told
    if record.signal is not None:
        return Ending(Signal.GONE, Cause.SIGNAL, f"killed by signal {record.signal}")
    because = _with(f"agent exited {record.code}", word.evidence)
    return Ending(Signal.GONE, Cause.EXIT_CODE, because)


def limit_words(reason: str, figure: int) -> str:
    """Return the sentence for a limit of the run that was reached; empty for other reasons."""
    words = _LIMITS.get(ExitReason(reason), "")
    return f"the run's limit of {words.format(figure)} was reached" if words else ""


def ending_of_reason(record: ExitRecord) -> Ending:
    """Return the end for a reason in REASONS, with the number of the limit if there is one."""
    known = REASONS[record.reason]
    words = "" if record.limit is None else limit_words(record.reason, record.limit)
    return Ending(known.signal, known.cause, words or known.because)


def ending_without_room(record: ExitRecord, how: str) -> Ending:
    """Return the end of an agent whose disk was full, which is no strike."""
    where = f", no room for {PLACES[record.full]}" if record.full else ""
    return Ending(Signal.GONE, Cause.DISK_FULL, f"the disk is full{where}: {how}")


def ending_at_limit(word: LastWord) -> Ending:
    """Return the end of an agent at its usage limit, with the line that it wrote."""
    evidence = word.limit.evidence if word.limit else ""
    return Ending(LIMITED.signal, LIMITED.cause, _with(LIMITED.because, evidence))


def _with(sentence: str, words: str) -> str:
    line = " ".join(words.split())
    if line.startswith("{"):
        # a JSON event is kept as evidence; the sentence is for people
        return sentence
    short = line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 1] + "…"
    return f"{sentence}: {short}" if short else sentence
