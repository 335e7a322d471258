"""The calls of the API that Runyard's own clients make, each described once.

A function returns the call; a client sends it. Ids are escaped here. Calls that create a run take
an idempotency key. Here are those of projects and runs; the modules beside it have the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.api.client.protocol import Call, only_given

if TYPE_CHECKING:
    from app.api import schemas
    from app.api.client.protocol import Body

READABLE = {"form": "readable"}


def _project(project_id: str, rest: str = "") -> str:
    return f"/projects/{quote(project_id, safe='')}{rest}"


def _run(run_id: str, rest: str = "") -> str:
    return f"/runs/{quote(run_id, safe='')}{rest}"


# --- projects ------------------------------------------------------------------------------------


def projects(
    *, include_archived: bool = True, tag: str | None = None
) -> Call[list[schemas.ProjectOut]]:
    """Return all projects, by default including archived ones; with a tag those that have it."""
    params = {"include_archived": include_archived} | ({"tag": tag} if tag else {})
    return Call("GET", "/projects", "Projects", takes_items=True, params=params)


def project(project_id: str) -> Call[schemas.ProjectOut]:
    """Return one project."""
    return Call("GET", _project(project_id), "ProjectOut")


def figures(project_id: str, days: int) -> Call[schemas.ProjectFigures]:
    """Return statistics of a project's runs over the last `days` days, per day and in total."""
    params = {"days": days}
    return Call("GET", _project(project_id, "/figures"), "ProjectFigures", params=params)


def counts(project_id: str) -> Call[schemas.ProjectCounts]:
    """Return how many runs, open issues and open change requests a project has."""
    return Call("GET", _project(project_id, "/counts"), "ProjectCounts")


def add_project(new: Body) -> Call[schemas.ProjectOut]:
    """Register a repository."""
    return Call("POST", "/projects", "ProjectOut", body=new)


def add_demo_project() -> Call[schemas.ProjectOut]:
    """Create the demo repository with its issues, and register it."""
    return Call("POST", "/demo-project", "ProjectOut")


def change_project(project_id: str, change: Body) -> Call[schemas.ProjectOut]:
    """Change the settings that are set in `change`; leave the others as they are."""
    return Call("PATCH", _project(project_id), "ProjectOut", body=change)


def unarchive_project(project_id: str) -> Call[schemas.ProjectOut]:
    """Unarchive a project."""
    return change_project(project_id, {"archived": False})


def archive_project(project_id: str) -> Call[schemas.ProjectOut]:
    """Archive a project; its history is kept."""
    return Call("DELETE", _project(project_id), "ProjectOut")


def origin(folder: str) -> Call[schemas.OriginOut]:
    """Return a local folder with its remote, if it has a usable one."""
    return Call("GET", "/origins", "OriginOut", params={"folder": folder})


def branches(project_id: str) -> Call[list[schemas.BranchOut]]:
    """Return the branches of origin, base branch first."""
    return Call("GET", _project(project_id, "/branches"), "Branches", takes_items=True)


def try_checks_again(project_id: str) -> Call[schemas.ProjectOut]:
    """Have the loop go on although a check could not be started."""
    return Call("POST", _project(project_id, "/checks/try-again"), "ProjectOut")


def make_ready_label(project_id: str) -> Call[schemas.ProjectOut]:
    """Describe `POST /projects/{id}/ready-label`."""
    return Call("POST", _project(project_id, "/ready-label"), "ProjectOut")


def check_again(project_id: str) -> Call[schemas.ProjectOut]:
    """Have the project's repository looked for now."""
    return Call("POST", _project(project_id, "/check-again"), "ProjectOut")


def state(project_id: str) -> Call[schemas.StateOut]:
    """Return the newest known commit of base, and what a person has to look at there."""
    return Call("GET", _project(project_id, "/trust"), "StateOut")


def trust(project_id: str, commit: str) -> Call[schemas.ProjectOut]:
    """Trust the agent configuration of a commit that a person looked at."""
    return Call("POST", _project(project_id, "/trust"), "ProjectOut", body={"commit": commit})


def concurrency(project_id: str) -> Call[schemas.ConcurrencyOut]:
    """Return a project's open runs and its concurrency limit."""
    params = {"project_id": project_id}
    return Call("GET", "/quota/concurrency", "ConcurrencyOut", params=params)


def reset_key(project_id: str, key: str) -> Call[schemas.KeyOut]:
    """Detach one of your own keys from its run, so that its next use starts a new run."""
    path = f"/idempotency-keys/{quote(key, safe='')}/reset"
    return Call("POST", path, "KeyOut", body={"project_id": project_id})


# --- the auto loop -------------------------------------------------------------------------------


def start_afk(
    project_id: str, *, issue: int | None = None, key: str | None = None
) -> Call[schemas.RunOut]:
    """Start an AFK run for the given issue, or for the first claimable one."""
    body = only_given({"issue": issue})
    return Call("POST", _project(project_id, "/afk/start"), "RunOut", body=body, key=key)


def set_auto(project_id: str, *, enabled: bool) -> Call[schemas.ProjectOut]:
    """Switch a project's auto loop on or off."""
    body = {"enabled": enabled}
    return Call("PUT", _project(project_id, "/afk/auto"), "ProjectOut", body=body)


def reset(project_id: str) -> Call[schemas.ProjectOut]:
    """Reset a project's strikes to zero."""
    return Call("POST", _project(project_id, "/afk/reset"), "ProjectOut")


def next_plan(project_id: str) -> Call[schemas.NextPlan]:
    """Return what the next sweep would do with a project."""
    return Call("GET", _project(project_id, "/next"), "NextPlan")


# --- runs ----------------------------------------------------------------------------------------


def runs(*, status: Sequence[str] = (), **filters: Any) -> Call[schemas.RunsPage]:
    """Return a page of runs.

    Filters: project_id, phase, trigger, branch, q, limit, cursor, and others of `GET /runs`.
    """
    return Call("GET", "/runs", "RunsPage", params={"status": list(status), **filters})


def run_totals(*, status: Sequence[str] = (), **filters: Any) -> Call[schemas.RunsTotals]:
    """Return what the runs that match come to, with the filters of `runs`."""
    return Call("GET", "/runs/totals", "RunsTotals", params={"status": list(status), **filters})


def run(run_id: str) -> Call[schemas.RunOut]:
    """Return one run."""
    return Call("GET", _run(run_id), "RunOut")


def start_run(
    order: Body, key: str | None, correlation_id: str | None = None
) -> Call[schemas.RunOut]:
    """Submit a run; it carries the correlation id of the first submit under its key."""
    known = correlation_id or ""
    return Call("POST", "/runs", "RunOut", body=order, key=key, correlation_id=known)


def retry(
    run_id: str, *, key: str | None = None, correlation_id: str | None = None, **wishes: Any
) -> Call[schemas.RunOut]:
    """Retry a run as a new run; `agent`, `model` and `from` override the copied values."""
    body, known = only_given(wishes), correlation_id or ""
    return Call("POST", _run(run_id, "/retry"), "RunOut", body=body, key=key, correlation_id=known)


def resume(
    run_id: str, *, key: str | None = None, correlation_id: str | None = None
) -> Call[schemas.RunOut]:
    """Resume a run that ended at a usage limit, now and as a new run."""
    known = correlation_id or ""
    return Call("POST", _run(run_id, "/resume"), "RunOut", body={}, key=key, correlation_id=known)


def plan_run(run_id: str, plan: dict[str, Any]) -> Call[schemas.RunOut]:
    """Reschedule a delayed run to `starts_at`, or start it now with `start_now`."""
    return Call("PATCH", _run(run_id), "RunOut", body=plan)


def stop(run_id: str, because: str | None = None) -> Call[schemas.RunOut]:
    """Stop a run."""
    return Call("POST", _run(run_id, "/stop"), "RunOut", body=only_given({"because": because}))


def deliver(
    run_id: str, key: str | None = None, *, push_anyway: bool = False
) -> Call[schemas.RunOut]:
    """Push a run's kept commits and open its change; `push_anyway` overrides a failed check."""
    body = {"push_anyway": True} if push_anyway else {}
    return Call("POST", _run(run_id, "/deliver"), "RunOut", body=body, key=key)


def release(run_id: str) -> Call[schemas.RunOut]:
    """Release an ended run without proof that all its processes are gone."""
    return Call("POST", _run(run_id, "/release"), "RunOut")


def timeline(run_id: str) -> Call[list[schemas.TimelineEvent]]:
    """Return a run's events, oldest first."""
    return Call("GET", _run(run_id, "/timeline"), "Timeline", takes_items=True)


def checks(run_id: str) -> Call[list[schemas.RunCheck]]:
    """Return the checks of a run with their results."""
    return Call("GET", _run(run_id, "/checks"), "RunChecks", takes_items=True)


def report(run_id: str) -> Call[schemas.ReportOut]:
    """Return the agent's report on a run so far."""
    return Call("GET", _run(run_id, "/report"), "ReportOut")


def diff(run_id: str) -> Call[bytes]:
    """Return a run's unified diff; its headers say if it was truncated."""
    return Call("GET", _run(run_id, "/diff"))


def log(run_id: str, *, offset: int, limit: int, readable: bool = False) -> Call[bytes]:
    """Return bytes of a run's log, or entries; a negative offset counts from the end."""
    params = {"offset": offset, "limit": limit} | (READABLE if readable else {})
    return Call("GET", _run(run_id, "/log"), params=params)


def search_log(
    run_id: str, words: str, *, readable: bool, cursor: str | None, limit: int
) -> Call[schemas.LogHitsOut]:
    """Return the lines of a run's log, or its entries, that contain `words`."""
    params = {"q": words, "limit": limit, "cursor": cursor} | (READABLE if readable else {})
    return Call("GET", _run(run_id, "/log/search"), "LogHitsOut", params=params)


def run_events(run_id: str) -> Call[bytes]:
    """Return a run's live events as a stream."""
    return Call("GET", _run(run_id, "/events"))


def all_events() -> Call[bytes]:
    """Return every live event as a stream."""
    return Call("GET", "/events")


def export(run_id: str) -> Call[bytes]:
    """Return everything about a run as a ZIP file, as a stream."""
    return Call("GET", _run(run_id, "/export"))


# --- kept work and quarantine --------------------------------------------------------------------


def parked() -> Call[list[schemas.ParkedOut]]:
    """Return all parked work, oldest first."""
    return Call("GET", "/parked", "Parked", takes_items=True)


def discard(project_id: str, branch: str, confirm: str | None) -> Call[schemas.Discarded]:
    """Delete parked work; `confirm` repeats the branch name."""
    body = only_given({"project_id": project_id, "branch": branch, "confirm": confirm})
    return Call("POST", "/parked/discard", "Discarded", body=body)


def stuck() -> Call[list[schemas.StuckOut]]:
    """Return everything in quarantine, oldest first."""
    return Call("GET", "/quarantine", "QuarantineOut", takes_items=True)


def try_again(key: str) -> Call[schemas.StuckOut]:
    """Take an item out of quarantine so that it is tried again."""
    return Call("POST", f"/quarantine/{quote(key, safe='')}/retry", "StuckOut")
