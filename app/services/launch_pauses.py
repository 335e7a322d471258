"""How long the loop leaves a project alone where its runs fail for want of something else."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile

from app.domain.words import Cause, Status, Trigger
from app.records.run_ledger import RunLedger
from app.records.tables import Run

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
FIRST_PAUSE_AFTER_WORK = timedelta(minutes=10)
MOST = 8
# no agent's fault, and nothing that the next issue's run would meet otherwise
SURROUNDINGS = {Cause.PUSH_REFUSED, Cause.AUTH, Cause.NETWORK, Cause.DISK_FULL, Cause.AGENT_MISSING}


def launch_pause(runs: RunLedger, project_id: str, now: datetime) -> str | None:
    """Why the loop waits after auto runs that failed in a row by their surroundings, or None.

    The pause doubles with each, and any other end of an auto run ends it. Read from the runs: it
    survives restarts.
    """
    newest = runs.newest_of(project_id, limit=MOST, trigger=Trigger.AUTO)
    failed = list(takewhile(_is_held_back, newest))
    if not failed or failed[0].ended_at is None:
        return None
    was_launched = failed[0].status != Status.NOT_STARTED
    first = FIRST_PAUSE_AFTER_WORK if was_launched else FIRST_PAUSE
    until = failed[0].ended_at + min(first * 2 ** (len(failed) - 1), LONGEST_PAUSE)
    if now >= until:
        return None
    what = "run could do nothing about it" if was_launched else "launch failed"
    return f"the last {what} ({failed[0].because}); tried again at {until:%H:%M:%S} UTC"


def _is_held_back(run: Run) -> bool:
    if run.status == Status.NOT_STARTED:
        return not run.parked  # what keeps its claim is never met again
    return run.status == Status.DIED and run.cause in SURROUNDINGS
