"""Hooks of a local origin: run once a person switches them on, until they change."""

from __future__ import annotations

from datetime import datetime

from app.domain.names import OriginKind, origin_kind
from app.errors import ForgeUnavailable, Invalid
from app.records.projects.project_ledger import HOOKS_CHANGED, ProjectLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Project
from app.services.ports import Mirrors, OriginProblem

FIELD = "owner_hooks"
NOT_LOCAL = "Only a repository in a folder of this machine has hooks that run here."
# stands in timelines: a run has it once, whatever the version
LEFT_OUT = "the repository's own hooks were not run: they have changed since they were switched on"
_CHANGED = (
    "The repository's own hooks, or the settings beside them, have changed since they were "
    "switched on, so they are not run. Review them, then switch them on again."
)


def hooks_problem(origin: str, wanted: object) -> str | None:
    """Return why an origin's hooks cannot be switched on, None if they can."""
    return NOT_LOCAL if wanted and origin_kind(origin) is not OriginKind.PATH else None


def trusted_hooks(mirrors: Mirrors, origin: str, *, wanted: bool) -> str | None:
    """Return the `owner_hooks` column: the digest of the hooks as they are now, None for off.

    Raises Invalid, ForgeUnavailable.
    """
    if not wanted:
        return None
    try:
        return mirrors.hooks_of(origin)
    except OriginProblem as problem:
        if problem.for_good:
            raise Invalid.field(FIELD, problem.sentence) from problem
        raise ForgeUnavailable(problem.sentence) from problem


def are_on(project: Project) -> bool:
    """Return True if the hooks of a project's origin run, as far as known."""
    return project.owner_hooks not in (None, HOOKS_CHANGED)


def why_off(project: Project) -> str | None:
    """Return why hooks that a person switched on no longer run, or None."""
    return _CHANGED if project.owner_hooks == HOOKS_CHANGED else None


def append_left_out_hooks(runs: RunLedger, run_id: str, project: Project, now: datetime) -> None:
    """Note on the run, once, and on the project that changed hooks were not run."""
    ProjectLedger(runs.stores).set_changed_hooks(project.id, project.owner_hooks)
    if all(event.sentence != LEFT_OUT for event in runs.timeline(run_id)):
        runs.append_event_once(run_id, now, "note", LEFT_OUT)
