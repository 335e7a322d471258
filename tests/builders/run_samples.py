"""Runs and projects as API responses, for tests of the state and the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.api.schemas import ProjectOut, Provenance, RunOut
from app.domain.lifecycle import phase_of
from app.domain.words import Cause, Depth, Status, Trigger, label_of
from app.state.runs.run_board import Submitting

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def run_of(number: int, status: Status = Status.RUNNING, **changes: Any) -> RunOut:
    """Return run number `number`; higher numbers are newer."""
    run_id = f"run_c{number:024d}"
    cause: Cause | None = changes.get("cause")
    values: dict[str, Any] = {
        "id": run_id,
        "run_id": run_id,
        "project_id": "proj_a",
        "project_name": "checkout-api",
        "status": status,
        "label": label_of(status, cause),
        "phase": phase_of(status),
        "trigger": Trigger.MANUAL,
        "depth_level": Depth.STANDARD,
        "target_framework": "auto",
        "branch": "main",
        "work_branch": f"run/{run_id}",
        "agent": "script",
        "created_at": NOON + timedelta(seconds=number),
        "budget_seconds": 7200,
        "correlation_id": f"corr{number:08d}",
        "created_by": "person_local",
        "provenance": Provenance(
            environment="local", version="0.1.0", commit="3f9c2e1", database="sqlite", host="here"
        ),
    }
    return RunOut(**{**values, **changes})


def project_of(**changes: Any) -> ProjectOut:
    """Return a project in state ready."""
    values: dict[str, Any] = {
        "id": "proj_a",
        "name": "checkout-api",
        "origin": "/srv/checkout-api",
        "base_branch": "main",
        "tracker": "builtin",
        "agent": "script",
        "budget_seconds": 7200,
        "max_concurrency": 3,
        "open_pr": "runyard",
        "branch_pattern": "afk/<N>",
        "frameworks": [],
        "sandbox": "none",
        "auto_enabled": False,
        "state": "ready",
        "strikes": 0,
        "paused": False,
        "created_at": NOON,
    }
    return ProjectOut(**{**values, **changes})


def submitting(key: str, project_id: str = "proj_a") -> Submitting:
    """Return a submit that has no response yet."""
    return Submitting(
        key=key,
        project_id=project_id,
        project_name="checkout-api",
        branch="main",
        depth_level=Depth.STANDARD,
        target_framework="auto",
        issue=None,
        began_at=NOON,
        correlation_ids=(f"corr-of-{key}",),
    )
