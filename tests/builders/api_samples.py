"""Sample API responses; keyword arguments override members."""

from __future__ import annotations

import json
from typing import Any

RUN_ID = "run_c0123456789abcdefgh7f3k1a"
AT = "2026-11-21T03:14:02.000Z"


def a_run(**changed: Any) -> dict[str, Any]:
    """Return a succeeded run of issue 3."""
    run: dict[str, Any] = {
        "id": RUN_ID,
        "project_id": "proj_1",
        "project_name": "demo",
        "status": "succeeded",
        "label": "Succeeded",
        "phase": "done",
        "trigger": "api",
        "title": "Fix the parser",
        "depth_level": "standard",
        "target_framework": "auto",
        "branch": "main",
        "work_branch": "afk/3",
        "issue": 3,
        "agent": "script",
        "model": None,
        "created_at": AT,
        "started_at": "2026-11-21T03:14:03.000Z",
        "ended_at": "2026-11-21T03:14:45.000Z",
        "released_at": "2026-11-21T03:14:46.000Z",
        "because": "A change was delivered.",
        "exit_code": 0,
        "delivery": {
            "kind": "change",
            "number": 1,
            "url": "/changes/1",
            "state": "open",
            "commits": 1,
            "files_changed": 2,
            "additions": 10,
            "deletions": 2,
        },
        "budget_seconds": 7200,
        "usage": {"input_tokens": 120, "output_tokens": 45, "cost_usd": 0.5},
        "correlation_id": "corr-of-the-run",
        "created_by": "operator",
    } | changed
    return run | {"run_id": run["id"]}


def a_running_run(**changed: Any) -> dict[str, Any]:
    """Return the same run while it is running."""
    return a_run(
        **{
            "status": "running",
            "label": "Running",
            "phase": "live",
            "ended_at": None,
            "delivery": None,
            "because": None,
            "exit_code": None,
            "released_at": None,
        }
        | changed
    )


def a_dead_run(**changed: Any) -> dict[str, Any]:
    """Return the same run, died with exit code 3."""
    return a_run(
        **{
            "status": "died",
            "label": "Died",
            "delivery": None,
            "exit_code": 3,
            "because": "The agent ended with exit code 3.",
        }
        | changed
    )


def a_project(**changed: Any) -> dict[str, Any]:
    """Return a project in state `ready`."""
    return {
        "id": "proj_1",
        "name": "demo",
        "origin": "/srv/demo.git",
        "base_branch": "main",
        "tracker": "builtin",
        "agent": "script",
        "agent_command": ["my-agent", "{prompt}"],
        "budget_seconds": 7200,
        "max_concurrency": 3,
        "branch_pattern": "afk/<N>",
        "frameworks": ["auto", "pytest"],
        "sandbox": "contained",
        "parked_count": 1,
        "checks": [],
        "check_rounds": 2,
        "on_red": "park",
        "suggested_checks": [],
        "state": "ready",
        "auto_enabled": False,
        "paused": False,
        "strikes": 0,
        "recent_failures": [],
        "ready_count": 2,
        "live_runs": 0,
        "archived_at": None,
    } | changed


def a_failure(because: str, *, number: int = 0) -> dict[str, Any]:
    """Return one entry of a project's `recent_failures`."""
    return {
        "run_id": f"run_c0123456789abcdefg00000{number}",
        "status": "died",
        "label": "Died",
        "issue": number + 1,
        "because": because,
        "ended_at": AT,
    }


def a_paused_project(**changed: Any) -> dict[str, Any]:
    """Return a project that is paused after four strikes."""
    reasons = ("agent exited 1", "its time was used up", "agent exited 2")
    failures = [a_failure(because, number=n) for n, because in enumerate(reasons)]
    told = {"auto_enabled": True, "paused": True, "strikes": 4, "recent_failures": failures}
    return a_project(**told | changed)


def an_issue(number: int, **changed: Any) -> dict[str, Any]:
    """Return a claimable issue."""
    return {
        "number": number,
        "title": f"Issue {number}",
        "body": "",
        "labels": ["ready-for-agent"],
        "state": "open",
        "ready": True,
        "claimable": True,
        "hold": None,
        "url": None,
    } | changed


def a_change(**changed: Any) -> dict[str, Any]:
    """Return an open change request."""
    return {
        "number": 4,
        "title": "Fix the parser",
        "body": "Made by a run.",
        "state": "open",
        "branch": "afk/3",
        "base": "main",
        "commits": 1,
        "files_changed": 2,
        "additions": 10,
        "deletions": 2,
        "closes": 3,
        "run_id": RUN_ID,
    } | changed


def kept_work(**changed: Any) -> dict[str, Any]:
    """Return a parked branch with its work."""
    return {
        "project_id": "proj_1",
        "project_name": "demo",
        "branch": "afk/3",
        "run_id": RUN_ID,
        "issue": 3,
        "holds": "2 commits",
        "because": "agent exited 1",
        "kept_since": AT,
        "age_seconds": 3700,
        "bytes": 2048,
        "can_deliver": True,
    } | changed


def a_report(**changed: Any) -> dict[str, Any]:
    """Return an agent's report."""
    return {
        "sentence": "12 tools used, 2 files edited",
        "final_message": "Done.\nAll tests pass.",
        "continue_command": "claude --resume 1",
        "input_tokens": 120,
        "output_tokens": 45,
        "cost_usd": 0.5,
    } | changed


def some_stages(*kinds: str) -> list[dict[str, Any]]:
    """Return a timeline with an entry of each kind."""
    return [
        {"id": number, "at": AT, "kind": kind, "sentence": f"This was {kind}.", "data": {}}
        for number, kind in enumerate(kinds, 1)
    ]


def an_event(name: str, number: int, data: dict[str, Any] | None = None) -> bytes:
    """Return a server-sent event as bytes."""
    text = json.dumps(data or {}, ensure_ascii=False)
    return f"id: {number}\nevent: {name}\ndata: {text}\n\n".encode()
