"""How long the loop leaves a project alone whose launches fail."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile

from app.domain.words import Cause, Trigger
from app.records.run_ledger import RunLedger
from app.records.tables import Run

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
MOST = 8


def launch_pause(runs: RunLedger, project_id: str, now: datetime) -> str | None:
    """Why the loop waits after launches that failed, in a row; None where it need not.

    The pause doubles with each, and any other end of a run ends it. Read from the runs: it
    survives restarts.
    """
    newest = runs.newest_of(project_id, limit=MOST)
    failed = list(takewhile(_is_failed_launch, newest))
    if not failed or failed[0].ended_at is None:
        return None
    pause = min(FIRST_PAUSE * 2 ** (len(failed) - 1), LONGEST_PAUSE)
    until = failed[0].ended_at + pause
    if now >= until:
        return None
    return f"the last launch failed ({failed[0].because}); tried again at {until:%H:%M:%S} UTC"


def _is_failed_launch(run: Run) -> bool:
    return run.trigger == Trigger.AUTO and run.cause == Cause.LAUNCH_FAILED
