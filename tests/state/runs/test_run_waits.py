"""Runs that wait for a usage limit, and its reset time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import UsageLimit
from app.domain.usage_limits import Stand, sentence_of
from app.domain.words import Status
from app.state.runs.run_record import waits_until
from tests.builders.run_samples import NOON, project_of, run_of

RESET = NOON + timedelta(minutes=41)
HELD = sentence_of("claude", "opus", Stand.HELD, RESET)
LIMIT = UsageLimit(agent="claude", family="opus", until=RESET)


@pytest.mark.parametrize(
    ("status", "changes", "waits"),
    [
        (Status.QUEUED, {"hold": HELD}, True),
        (Status.QUEUED, {"hold": sentence_of("codex", "", Stand.HELD, RESET)}, False),
        (Status.QUEUED, {"hold": "3 runs are live; this one is next"}, False),
        (Status.QUEUED, {}, False),
        (Status.RUNNING, {"hold": HELD}, False),
        (Status.LIMITED, {"may_resume": True}, True),
        (Status.LIMITED, {"may_resume": True, "model": "claude-opus-4-5"}, True),
        (Status.LIMITED, {"may_resume": True, "model": "claude-sonnet-4-5"}, False),
        (Status.LIMITED, {"may_resume": True, "agent": "codex"}, False),
        (Status.LIMITED, {"may_resume": False}, False),
        (Status.LIMITED, {"may_resume": True, "retried_by": ["run_b"]}, False),
        (Status.DIED, {"may_resume": True}, False),
    ],
)
def test_a_run_waits_for_the_limit_that_its_sentence_names(
    status: Status, changes: dict[str, Any], *, waits: bool
) -> None:
    run = run_of(1, status, **({"agent": "claude"} | changes))
    assert waits_until(run, project_of(usage_limit=LIMIT)) == (RESET if waits else None)


def test_a_run_that_nobody_goes_on_with_by_itself_waits_for_nothing() -> None:
    run = run_of(1, Status.LIMITED, agent="claude", may_resume=True)
    assert waits_until(run, project_of(usage_limit=LIMIT, resume_after_limit=False)) is None


@pytest.mark.parametrize("limit", [None, LIMIT.model_copy(update={"until": None})])
def test_what_no_time_ends_is_not_counted_down(limit: UsageLimit | None) -> None:
    run = run_of(1, Status.QUEUED, hold=HELD)
    assert waits_until(run, project_of(usage_limit=limit)) is None
    assert waits_until(run, None) is None
