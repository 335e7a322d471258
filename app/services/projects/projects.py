"""Projects: registering, cloning in the background, changing and archiving them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from app.domain.agents.templates import setting_problem
from app.domain.names import OriginKind, branch_problem, origin_kind, origin_problem
from app.domain.names import project_name_problem as name_problem
from app.domain.projects.allowed_agents import agents_problem
from app.domain.projects.settings import PROJECT_SETTINGS
from app.domain.projects.tags import tags_in_order, tags_problem
from app.domain.words import FRAMEWORKS
from app.errors import ForgeUnavailable, Invalid, NameTaken, NotFound, ProjectArchived, ProjectBusy
from app.records.feed import ObstacleRemoved, ProjectChanged
from app.records.projects.change_ends import undecided
from app.records.projects.project_ledger import NameInUse
from app.records.tables import Project
from app.services.concurrency import BoundedQueue
from app.services.context import Context, repository_of
from app.services.lifecycle.owner_hooks import FIELD, hooks_problem, trusted_hooks
from app.services.ports import CannotRead, OriginProblem, Remote, RemoteBranch
from app.services.projects.checks import ProjectChecks, wants_suggestion
from app.services.projects.pr_opening import PrOpening
from app.services.projects.sandbox_settings import SandboxSettings
from app.services.protected_paths import autoland_problems
from app.services.runs.prechecks import Readiness
from app.services.tracker.forges import ForgeService

ORIGIN_SECONDS = 10
CLONES_AT_ONCE = 2
SCRIPT = "script"


class ProjectService:
    """Registers, clones, changes and archives projects."""

    def __init__(
        self,
        context: Context,
        sandboxes: SandboxSettings,
        checks: ProjectChecks,
        forges: ForgeService,
    ) -> None:
        ledgers, adapters, workers = context.ledgers, context.adapters, context.workers
        self._projects = ledgers.projects
        self._runs = ledgers.runs
        self._mirrors = adapters.mirrors
        self._agents = adapters.agents
        self._homes, self._sign_ins = adapters.homes, adapters.sign_ins
        self._workers = workers
        self._readiness = Readiness(adapters)
        self._clones = BoundedQueue(workers, CLONES_AT_ONCE)
        self._publish = context.feed.publish
        self._defaults = {
            "budget_seconds": context.settings.budget_seconds,
            "max_concurrency": context.settings.repo_concurrency,
        }
        self.sandboxes = sandboxes
        self._checks = checks
        self._forges = forges
        self._opening = PrOpening(context.ledgers.forges, context.adapters)
        self._progress: dict[str, int] = {}

    def add(self, name: str, origin: str, now: datetime, **settings: Any) -> Project:
        """Register a repository after reading origin's branches. Raises a Refusal."""
        name = name.strip()
        wrong = self.wrong(None, {**settings, "name": name, "origin": origin})
        if wrong:
            raise Invalid.fields(wrong)
        if self._projects.find_named(name) is not None:
            raise NameTaken(errors=[{"field": "name", "message": "Name already in use"}])
        settings |= self.sandboxes.settle_new(settings) | self._checks.settle(settings)
        settings |= self._opening.settle(None, settings, self.sandboxes.default)
        remote = self._inspect(origin)
        names = [branch.name for branch in remote.branches]
        base = _base_of(remote, settings.get("base_branch"))
        _refuse_no_command(settings.get("agent"), settings.get("agent_command"))
        if FIELD in settings:
            settings[FIELD] = trusted_hooks(self._mirrors, origin, wanted=settings[FIELD])
        project = self._draft(name, origin, base, names, settings, now)
        try:
            self._projects.insert(project)
        except NameInUse as error:
            raise NameTaken from error
        self.clone_soon(project.id)
        return project

    def clone_soon(self, project_id: str) -> None:
        """Have a project in state `cloning` cloned in the background."""
        self._clones.submit(self.clone_once, project_id)

    def clone_once(self, project_id: str) -> bool:
        """Clone a project in state `cloning`. Return False if that made no usable mirror."""
        project = self._projects.find(project_id)
        if project is None or project.state != "cloning":
            return False
        repo = repository_of(project)
        try:
            if not self._mirrors.exists(repo):
                self._mirrors.clone(repo, progress=lambda p, _: self._on_progress(project_id, p))
            found: dict[str, Any] = {
                "known_branches": [branch.name for branch in self._mirrors.branches(repo)],
                "suggested_checks": self._checks.suggested(repo, project.base_branch),
            }
            if project.trusted_commit is None:
                # whoever added it chose the state that it has
                tip = self._mirrors.origin_tip(repo, project.base_branch)
                found |= {"trusted_commit": tip, "judged_commit": tip}
            self._projects.change(project_id, state="ready", state_because=None, **found)
        except OriginProblem as problem:
            self._projects.change(project_id, state="broken", state_because=problem.sentence)
            return False
        except Exception:
            because = "Cloning failed in Runyard; the log has the details."
            self._projects.change(project_id, state="broken", state_because=because)
            raise
        finally:
            self._progress.pop(project_id, None)
        self._publish([ObstacleRemoved()])
        return True

    def resume_clones(self) -> int:
        """Restart the clones that a restart interrupted. Return how many.

        Projects of an earlier version are looked at for checks to suggest, once.
        """
        projects = self._projects.all()
        for project in filter(wants_suggestion, projects):
            if project.suggested_checks is None:
                self._clones.submit(self._checks.suggest_once, project)
        cloning = [one for one in projects if one.state == "cloning"]
        for project in cloning:
            self.clone_soon(project.id)
        return len(cloning)

    def progress(self, project_id: str) -> int | None:
        """Return the percentage of a clone in progress, None if there is none."""
        return self._progress.get(project_id)

    def find(self, project_id: str) -> Project:
        """Return a project by its id. Raises NotFound."""
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project

    def find_named(self, project: str) -> Project:
        """Return a project by its id or name. Raises NotFound."""
        found = self._projects.find(project) or self._projects.find_named(project)
        if found is None:
            raise NotFound
        return found

    def all(self) -> list[Project]:
        """Return all projects."""
        return self._projects.all()

    def name_of(self, project_id: str) -> str:
        """Return a project's name for display, empty if it does not exist."""
        return self._projects.names.one(project_id)

    def names_of(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return the names of the projects that exist, by id, for display."""
        return self._projects.names.of(project_ids)

    def change(self, project_id: str, **settings: Any) -> Project:
        """Change a project's settings. Raises a Refusal."""
        project = self.find(project_id)
        if project.archived_at is not None:
            raise ProjectArchived
        if "name" in settings:
            settings["name"] = settings["name"].strip()
        if wrong := self.wrong(project, settings):
            raise Invalid.fields(wrong)
        if "frameworks" in settings:
            settings["frameworks"] = _all_frameworks(settings["frameworks"])
        if settings.keys() & {"agent", "agent_command"}:
            command = settings.get("agent_command", project.agent_command)
            _refuse_no_command(settings.get("agent", project.agent), command)
        settings |= self._settled(project, settings)
        if not settings:
            return project
        if settings.get("branch_pattern", project.branch_pattern) != project.branch_pattern:
            self._refuse_while_claimed(project)
        lifted = self._checks.lifted(project, settings)
        try:
            changed = self._projects.change(project_id, **settings, **lifted)
        except NameInUse as error:
            raise NameTaken(errors=[{"field": "name", "message": "Name already in use"}]) from error
        if lifted and project.checks_error:
            self._publish([ObstacleRemoved()])
        return changed or project

    def _settled(self, project: Project, settings: dict[str, Any]) -> dict[str, Any]:
        columns = self.sandboxes.settle_change(project, settings) | self._checks.settle(settings)
        columns |= self._opening.settle(project, settings, self.sandboxes.default)
        base = settings.get("base_branch", project.base_branch)
        if base != project.base_branch and project.state == "ready":
            columns["suggested_checks"] = self._checks.suggested(repository_of(project), base)
        if FIELD in settings:
            columns[FIELD] = trusted_hooks(self._mirrors, project.origin, wanted=settings[FIELD])
        if "tags" in settings:
            columns["tags"] = tags_in_order(settings["tags"])
        if "autoland" in settings:
            columns["autoland"] = {**project.autoland, **settings["autoland"]}
        return columns

    def try_checks_again(self, project_id: str) -> None:
        """Lift the loop's hold after a check that could not be started. Raises a Refusal."""
        self._checks.try_again(self.find(project_id))

    def _refuse_while_claimed(self, project: Project) -> None:
        # under another pattern the branches that claim issues now would claim nothing
        try:
            claims = (
                self._mirrors.claims(repository_of(project)) if project.state == "ready" else ()
            )
        except CannotRead as problem:
            raise ForgeUnavailable("The claims could not be read just now. Try again.") from problem
        before, _, after = project.branch_pattern.partition("<N>")
        if any(claim.startswith(before) and claim.endswith(after) for claim in claims):
            raise ProjectBusy(
                "Issues are claimed by branches of the present pattern: merge, close or discard "
                "them first."
            )

    def archive(self, project_id: str, now: datetime) -> Project:
        """Archive a project; its history stays. Raises ProjectBusy."""
        project = self.find(project_id)
        if project.archived_at is not None:
            return project
        for change in undecided(self._runs.stores, project_id):
            if change.may_merge_itself:
                raise ProjectBusy(
                    f"The forge is to merge change request #{change.number}: cancel that first."
                )
        archived = None
        if not self._runs.open_runs(project_id):
            archived = self._projects.archive(project_id, now)
        if archived is None:
            raise ProjectBusy
        # homes hold caches and copied sign-ins, which are recreated after unarchiving
        self._workers.submit(self._homes.remove, project_id)
        self._workers.submit(self._sign_ins.remove, project_id)
        return archived

    def unarchive(self, project_id: str) -> Project:
        """Unarchive a project, with everything it had and its loop off."""
        project = self.find(project_id)
        if project.archived_at is None:
            return project
        return self._projects.unarchive(project_id) or project

    def agent_problem(self, project: Project) -> str | None:
        """Return why the project's agent cannot run here, None if nothing is known against it."""
        if not project.agent:
            return None  # its row cannot be read, which is reported separately
        unready = self._readiness.unready(project, project.agent, project.base_branch)
        return unready.sentence if unready else None

    def branches(self, project_id: str) -> list[RemoteBranch]:
        """Return origin's branches as last known, base first, then by name."""
        project = self.find(project_id)
        repo = repository_of(project)
        found = [RemoteBranch(name, "") for name in project.known_branches]
        if project.state == "ready":
            with suppress(CannotRead):  # fall back to the known branches
                found = self._mirrors.branches(repo)
        return sorted(found, key=lambda one: (one.name != project.base_branch, one.name))

    def remote_of(self, folder: str) -> str | None:
        """Return the remote of a folder's own repository, None if it has no usable one."""
        is_folder = origin_kind(folder) is OriginKind.PATH
        return self._mirrors.remote_of(folder) if is_folder else None

    def _inspect(self, origin: str) -> Remote:
        try:
            return self._mirrors.inspect_origin(origin, timeout_seconds=ORIGIN_SECONDS)
        except OriginProblem as problem:
            if problem.for_good:
                raise Invalid.field("origin", problem.sentence) from problem
            raise ForgeUnavailable(problem.sentence) from problem

    def _on_progress(self, project_id: str, percent: int) -> None:
        if self._progress.get(project_id) != percent:
            self._progress[project_id] = percent
            self._publish([ProjectChanged(project_id)])

    def origin_problem(self, origin: str) -> str | None:
        """Return why an origin is refused; without encryption one has to be at a known forge."""
        if self._forges.is_of_others(origin):
            return "This address is at a forge of another organisation."
        is_plain = origin.startswith("http://")
        return origin_problem(origin, plain=is_plain and self._forges.has(origin))

    def forge_holds(self, projects: Collection[Project]) -> dict[str, str]:
        """Return what holds projects at their forge, by project id: its trouble, or their own."""
        kept_there = [one for one in projects if one.forge_id is not None]
        troubles = self._forges.troubles() if kept_there else {}
        holds = {
            one.id: troubles.get(one.forge_id or "", (one.forge_hold,))[0] for one in kept_there
        }
        return {project_id: hold for project_id, hold in holds.items() if hold}

    def wrong(self, project: Project | None, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return a sentence for each invalid setting of a project (None: a new one), by name."""
        found = self.sandboxes.wrong(project, settings) | self._checks.wrong(settings)
        found |= autoland_problems(settings)
        for name, problem_of in (("name", name_problem), ("origin", self.origin_problem)):
            if isinstance(words := settings.get(name), str):
                found[name] = problem_of(words)
        place = project.origin if project is not None else str(settings.get("origin"))
        found[FIELD] = hooks_problem(place, settings.get(FIELD))
        base, agent = settings.get("base_branch"), settings.get("agent")
        if project is not None and base and base not in project.known_branches:
            found["base_branch"] = f"The repository has no branch {base}."
        if agent is not None and agent not in self._agents.names():
            found["agent"] = f"No agent is called {agent!r}."
        default = str(PROJECT_SETTINGS["agent"].default)
        before = (project.agent, project.allowed_agents) if project else (default, ())
        if problem := agents_problem(settings, *before, self._agents.names()):
            found.setdefault(*problem)
        if isinstance(pattern := settings.get("branch_pattern"), str):
            found["branch_pattern"] = _pattern_problem(pattern)
        found["tags"] = tags_problem(settings.get("tags") or ())
        found["prompt"] = setting_problem(settings.get("prompt") or "")
        for name in ("agent_command", "setup_command"):
            if any("\0" in str(word) for word in settings.get(name) or ()):
                found[name] = "A command must not contain NUL."
        return {name: problem for name, problem in found.items() if problem}

    def _draft(
        self,
        name: str,
        origin: str,
        base: str,
        branches: list[str],
        settings: dict[str, Any],
        now: datetime,
    ) -> Project:
        chosen = {key: value for key, value in settings.items() if value is not None}
        usual = ("tracker", "agent", "open_pr", "branch_pattern")
        defaults: dict[str, Any] = {name: PROJECT_SETTINGS[name].default for name in usual}
        defaults |= self._defaults
        frameworks = _all_frameworks(chosen.pop("frameworks", []))
        chosen["tags"] = tags_in_order(chosen.get("tags", []))
        columns: dict[str, Any] = defaults | chosen | {"base_branch": base}
        return Project(
            id=self._projects.stores.mint_control_id("proj", now),
            name=name,
            origin=origin.rstrip("/") if origin_kind(origin) is OriginKind.PATH else origin,
            frameworks=frameworks,
            known_branches=branches,
            state="cloning",
            created_at=now,
            **columns,
        )


def _refuse_no_command(agent: str | None, command: list[str] | None) -> None:
    """Raise Invalid if no agent is named, or `script` without a command."""
    if command:
        return
    if agent is None:
        raise Invalid.field("agent", "Choose an agent, such as claude, or script with a command.")
    if agent == SCRIPT:
        raise Invalid.field("agent_command", "The script agent needs a command.")


def _all_frameworks(own: list[str]) -> list[str]:
    # a project's own frameworks add to the defaults
    return list(dict.fromkeys((*FRAMEWORKS, *own)))


def _pattern_problem(pattern: str) -> str | None:
    if pattern.count("<N>") != 1:
        return "The pattern needs <N> exactly once."
    return branch_problem(pattern.replace("<N>", "1"))


def _base_of(remote: Remote, wanted: str | None) -> str:
    if not remote.branches:
        raise Invalid.field("origin", "This repository is empty.")
    base = wanted or remote.head
    if base is None:
        raise Invalid.field("base_branch", "Name one: the repository's HEAD is on no branch.")
    if all(branch.name != base for branch in remote.branches):
        raise Invalid.field("base_branch", f"The repository has no branch {base}.")
    return base
