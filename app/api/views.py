"""Conversion of rows to API models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from app.api.schemas import (
    Bar,
    ChangeOut,
    LastRun,
    ProjectOut,
    QuotaOut,
    RecentFailure,
    ReportOut,
    RunCheck,
    RunItem,
    RunOut,
    StuckOut,
    TimelineEvent,
    UsageLimit,
)
from app.domain.lifecycle import phase_of
from app.domain.projects.check_rounds import command_at
from app.domain.rules import is_paused
from app.domain.secret_masks import SecretMask
from app.domain.words import Cause, Phase, Status, label_of
from app.services.container import Services
from app.services.lifecycle.owner_hooks import are_on, why_off
from app.services.limits.quota import QuotaWindow
from app.services.projects.overview import ProjectView
from app.services.rows import (
    ChangeRequest,
    CheckResult,
    ListedRun,
    Project,
    Run,
    RunEvent,
    columns_of,
)
from app.services.runs.requests import ttl_of

# agent-written content is never served as a document of our origin
QUARANTINE = {"Content-Security-Policy": "sandbox; default-src 'none'"}
_COLUMNS = tuple(Run.model_fields)

# project fields that no form edits: a form would send the mask back
_TOLD_OF_RUNS = frozenset({"last_run", "recent_failures", "hold", "stuck", "checks_error"})
Maskable = (
    BaseModel | Mapping[str, "Maskable"] | Sequence["Maskable"] | str | float | datetime | None
)
Told = TypeVar("Told", bound=Maskable)


_PROJECT_NAMES = frozenset(ProjectOut.model_fields)


def masked(told: Told, mask: SecretMask) -> Told:
    """Return `told` with secrets masked, in models, mappings and lists of any depth."""
    return _masked(told, mask) if mask else told


def _masked(told: Maskable, mask: SecretMask) -> Any:
    match told:
        case BaseModel():
            return told.model_copy(update=_masked(dict(told), mask))
        case Mapping():
            return {name: _masked(value, mask) for name, value in told.items()}
        case list():
            return [_masked(one, mask) for one in told]
        case _:
            # exact type only: enum members are strings of ours
            return mask.mask_text(told) if type(told) is str else told


def label(run: Run) -> str:
    """Return the user-facing label of a run's status."""
    return label_of(Status(run.status), Cause(run.cause) if run.cause else None)


def run_out(run: Run, project_name: str) -> RunOut:
    """Convert a run, including its task."""
    known = vars(run)  # an attribute of an entity costs ten times as much
    columns = {one: known[one] if one in known else getattr(run, one) for one in _COLUMNS}
    return RunOut.model_validate(_told(columns, project_name, ttl_of(run)))


def named_run_out(services: Services, run: Run, project: Project | None = None) -> RunOut:
    """Convert a run with the names of its person and of its project, unless `project` is given."""
    out = run_out(run, project.name if project else services.projects.name_of(run.project_id))
    return out.model_copy(update={"created_by_name": services.directory.names.get(run.created_by)})


def run_item(run: ListedRun, project_name: str) -> RunItem:
    """Convert a run of a list, without its task."""
    return RunItem.model_validate(_told(columns_of(run), project_name, ttl_of(run)))


def _told(run: dict[str, Any], project_name: str, ttl: int | None) -> dict[str, Any]:
    """Add the fields that a run's columns do not hold under the same name."""
    status, name, phase = _words_for(run["status"], run["cause"])
    return run | {
        "run_id": run["id"],
        "project_name": project_name,
        "status": status,
        "label": name,
        "phase": phase,
        "branch": run["branch_name"],
        "retried_by": run["retries"],
        "delivery": run["delivery"] or None,
        "usage": run,
        "starts_at": run["due_at"],
        "ttl": ttl,
    }


@cache
def _words_for(status: str, cause: str | None) -> tuple[Status, str, Phase]:
    known = Status(status)
    return known, label_of(known, Cause(cause) if cause else None), phase_of(known)


def report_out(services: Services, run: Run) -> ReportOut:
    """Build the report of a run's agent so far."""
    report = services.reporter.of(run)
    return ReportOut(
        sentence=report.sentence,
        continue_command=services.reporter.continue_command(run, report),
        working_copy=services.listing.working_copy(run),
        **report.as_data(),
    )


def check_out(check: CheckResult, run: Run, mask: SecretMask) -> RunCheck:
    """Convert a check of a run."""
    told = {name: getattr(check, name) for name in RunCheck.model_fields if hasattr(check, name)}
    seconds = None
    if check.ended_at is not None:
        seconds = max(0.0, (check.ended_at - check.started_at).total_seconds())
    command = list(command_at(run.checks, check.position))
    out = RunCheck(**told, command=command, seconds=seconds, commit=check.sha)
    return masked(out, mask)


def event_out(event: RunEvent) -> TimelineEvent:
    """Convert a timeline event."""
    return TimelineEvent.model_validate(event)


def project_out(view: ProjectView, mask: SecretMask) -> ProjectOut:
    """Convert a project with its figures; `mask` is applied only to fields derived from runs."""
    row = view.project
    columns = {name: value for name, value in row.model_dump().items() if name in _PROJECT_NAMES}
    columns["owner_hooks"] = are_on(row)
    columns.pop("forge_hold", None)
    is_answered = row.checks_answered or bool(row.checks)
    columns["suggested_checks"] = [] if is_answered else row.suggested_checks or []
    out = ProjectOut(
        **columns,
        owner_hooks_because=why_off(row),
        paused=is_paused(row.strikes),
        recent_failures=[_failure(run) for run in view.failures],
        ready_count=view.ready_count,
        clone_percent=view.clone_percent,
        live_runs=view.live_runs,
        parked_count=view.parked_count,
        review_count=view.review_count,
        last_run=_last_run(view.last) if view.last else None,
        recent_runs=[_bar(run) for run in view.newest],
        hold=view.hold,
        forge_hold=view.forge_hold,
        agent_ready=view.agent_problem is None,
        agent_problem=view.agent_problem,
        sandbox_problem=view.sandbox_problem,
        usage_limit=UsageLimit.model_validate(view.usage_hold) if view.usage_hold else None,
        stuck=[StuckOut.model_validate(one) for one in view.stuck],
    )
    told = {name: getattr(out, name) for name in _TOLD_OF_RUNS}
    return out.model_copy(update=masked(told, mask))


def _last_run(run: Run) -> LastRun:
    return LastRun.model_validate({"label": label(run), **run.model_dump()})


def _failure(run: Run) -> RecentFailure:
    return RecentFailure(
        run_id=run.id,
        status=Status(run.status),
        label=label(run),
        issue=run.issue,
        because=run.because or "",
        ended_at=run.ended_at,
    )


def _bar(run: Run) -> Bar:
    seconds = None
    if run.started_at is not None and run.ended_at is not None:
        seconds = (run.ended_at - run.started_at).total_seconds()
    return Bar(run_id=run.id, status=Status(run.status), label=label(run), seconds=seconds)


def change_out(change: ChangeRequest, undone_by: int | None = None) -> ChangeOut:
    """Convert a change request; `undone_by` is the one that reverts it."""
    return ChangeOut(
        kind="change",
        url=f"/projects/{change.project_id}/changes/{change.number}",
        forge_url=change.url,
        undone_by=undone_by,
        **{
            name: getattr(change, name)
            for name in ChangeOut.model_fields
            if name not in {"kind", "url", "forge_url", "undone_by"}
        },
    )


def quota_out(window: QuotaWindow, retry_after: int | None) -> QuotaOut:
    """Convert a person's quota window; `retry_after` in seconds."""
    return QuotaOut(
        limit=window.limit,
        remaining=window.remaining,
        used=window.used,
        window_seconds=window.seconds,
        limit_of=window.limit_of,
        reset_at=window.reset_at,
        free_at=window.free_at,
        retry_after=retry_after,
    )
