"""Trust in a project's state: agent configuration that changed on base waits for a person."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from app.domain.projects.trust import AGENT_CONFIG, trust_words
from app.errors import ForgeUnavailable, NotFound, NotThisState, ProjectArchived
from app.records.projects.trusted_states import note_judged, trust_commit
from app.records.tables import Project
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, Diff

log = structlog.get_logger()
UNREADABLE = "Runyard's own clone of this repository could not be read just now. Try again."
GONE = "the state that was trusted cannot be read any more: look, and trust this state"


@dataclass(frozen=True)
class State:
    """The newest known commit of base beside the one that a person trusted, and what differs."""

    commit: str | None
    trusted: str | None
    hold: str | None
    files: tuple[str, ...] = ()
    diff: Diff | None = None


class StateTrust:
    """Compares each new commit of base once with the one that a person has looked at."""

    def __init__(self, context: Context) -> None:
        self._stores = context.stores
        self._projects = context.ledgers.projects
        self._mirrors = context.adapters.mirrors

    def on_fetched(self, project: Project) -> None:
        """Compare after a fetch, on a worker's thread."""
        try:
            self.judge_once(project)
        except (CannotRead, OSError) as problem:
            log.info("state_not_judged", project_id=project.id, because=problem)

    def judge_once(self, project: Project) -> str | None:
        """Return why the loop waits for a person, None if it need not. Raises CannotRead."""
        repo = repository_of(project)
        tip = self._mirrors.origin_tip(repo, project.base_branch)
        if tip is None or tip == project.judged_commit:
            return project.trust_hold
        trusted = project.trusted_commit
        hold = None
        if trusted is not None and trusted != tip:
            files = self._mirrors.changed_between(repo, trusted, tip, AGENT_CONFIG)
            if files is None:
                hold = GONE
            elif files:
                hold = trust_words(project.base_branch, files)
        if note_judged(self._stores, project, tip, hold, is_first=trusted is None):
            return hold
        latest = self._projects.find(project.id)
        is_other = latest is not None and _read_as(latest) != _read_as(project)
        return self.judge_once(latest) if latest is not None and is_other else hold

    def state(self, project_id: str) -> State:
        """Return what a person has to look at, with the difference. Raises a Refusal."""
        project = self._find(project_id)
        try:
            return self._state(project)
        except CannotRead as problem:
            raise ForgeUnavailable(UNREADABLE) from problem

    def _state(self, project: Project) -> State:
        repo = repository_of(project)
        tip = self._tip(project)
        hold = self.judge_once(project) if tip else project.trust_hold
        trusted = self._find(project.id).trusted_commit
        if hold is None or tip is None or trusted is None:
            return State(tip, trusted, hold)
        files = self._mirrors.changed_between(repo, trusted, tip, AGENT_CONFIG)
        if files is None:
            return State(tip, trusted, hold)
        diff = self._mirrors.diff_between(repo, trusted, tip, AGENT_CONFIG)
        return State(tip, trusted, hold, tuple(files), diff)

    def trust(self, project_id: str, commit: str) -> State:
        """Trust a commit, which must be the newest known one of base. Raises a Refusal."""
        project = self._find(project_id)
        if project.archived_at is not None:
            raise ProjectArchived
        tip = self._tip(project)
        if tip is None or commit != tip:
            raise NotThisState(commit=tip)
        if (project.trusted_commit, project.trust_hold) != (commit, None):
            trust_commit(self._stores, project, commit)
        return State(tip, tip, None)

    def _tip(self, project: Project) -> str | None:
        if project.state != "ready":
            return None
        return self._mirrors.origin_tip(repository_of(project), project.base_branch)

    def _find(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project


def _read_as(project: Project) -> tuple[str, str | None]:
    return project.base_branch, project.trusted_commit
