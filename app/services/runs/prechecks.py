"""Checks before a run is accepted, and its template: never made inside a transaction."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog
from sqlmodel import Session

from app.domain import issues
from app.domain.agents import templates
from app.domain.agents.prompts import Brief, template_for
from app.domain.agents.templates import Template
from app.domain.names import TakenNames, branch_problem
from app.domain.projects.allowed_agents import not_allowed
from app.domain.sandbox.levels import read_level
from app.domain.words import Cause
from app.errors import (
    AccountHeld,
    AgentNotAllowed,
    AgentUnavailable,
    ForgeUnavailable,
    InReview,
    Invalid,
    IssueBlocked,
    IssueClosed,
    NotFound,
    ProjectArchived,
    ProjectBroken,
)
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.template_ledger import TemplateLedger
from app.records.runs.accept_guards import ProjectFacts
from app.records.runs.order_facts import OrderFacts
from app.records.tables import Project, TemplateRow
from app.services.context import Adapters, repository_of
from app.services.limits.usage_limits import UsageLimits
from app.services.people.directory import Directory
from app.services.ports import INCLUDE_LIST, CannotRead, Change, Issue, OriginProblem, Unready
from app.services.runs.requests import RunRequest, as_unavailable, model_for, open_change_of
from app.services.system.origin_watch import OriginWatch

log = structlog.get_logger()
_T = TypeVar("_T")
ASK_AGAIN_SECONDS = 3
PLACE = "place"
UNREADABLE = (
    "Runyard's own clone of this repository could not be read. Try again; if it stays so, "
    "the server's log says why."
)


class Readiness:
    """Readiness of an agent on this machine, and what a project may change about it."""

    def __init__(self, adapters: Adapters) -> None:
        self._agents = adapters.agents
        self._mirrors = adapters.mirrors

    def unready(self, project: Project, agent: str, branch: str) -> Unready | None:
        """Return why an agent cannot run on a branch of a project, None if no reason is known."""
        level = read_level(project.sandbox)
        known = self._agents.unready(agent, project.agent_command, level)
        return self.in_project(known, project, branch)

    def in_project(self, known: Unready | None, project: Project, branch: str) -> Unready | None:
        """Drop a missing sign-in from an agent's finding if the project may supply one."""
        if known is None or known.cause is not Cause.AUTH:
            return known
        return None if self._may_sign_in(known, project, branch) else known

    def _may_sign_in(self, known: Unready, project: Project, branch: str) -> bool:
        if project.setup_command:
            return True
        repo = repository_of(project)
        try:
            return not self._mirrors.exists(repo) or self._mirrors.has_any(
                repo, branch, (INCLUDE_LIST, *known.unless)
            )
        except (CannotRead, OSError):
            return True


class TemplateChoice:
    """Finds a project's templates: its own, its setting `prompt`, and the built-in one."""

    def __init__(self, ledger: TemplateLedger) -> None:
        self._ledger = ledger

    def for_order(self, project: Project, brief: Brief, wanted: str | None) -> Template | None:
        """Return the template of an order, None if its task or issue makes the built-in text.

        `wanted` is a name, or a name with a version. Raises Invalid for one that does not exist.
        """
        chosen = None
        if wanted is not None:
            chosen = self._named(project, wanted) or self._labelled(project, wanted)
            if chosen is None:
                raise Invalid.field("template", f"This project has no template {wanted}.")
        return self._best(project, brief, chosen)

    def for_run(self, project: Project, brief: Brief, label: str | None) -> Template | None:
        """Return the template of a run whose acceptance chose the one with this label.

        A version stays as it was. The setting `prompt` has one text at a time: the present one
        counts, also for a run that was accepted without a template.
        """
        return self._best(project, brief, self._labelled(project, label) if label else None)

    def _best(self, project: Project, brief: Brief, chosen: Template | None) -> Template | None:
        default = None
        name = project.default_template
        if name and chosen is None and brief.issue is None and not (brief.task or "").strip():
            row = self._ledger.find(project.id, name)
            default = row and _template(row)
        return template_for(brief, chosen, setting_of(project), default)

    def _named(self, project: Project, name: str) -> Template | None:
        if name == templates.BUILT_IN_NAME:
            return templates.BUILT_IN
        if name == templates.SETTING_NAME:
            return setting_of(project)
        row = self._ledger.find(project.id, name)
        return row and _template(row)

    def _labelled(self, project: Project, label: str) -> Template | None:
        found = templates.read_label(label)
        if found is None:
            return None
        name, version = found
        if name in templates.RESERVED:
            return self._named(project, name)
        row = self._ledger.find(project.id, name, version)
        return row and _template(row)


def setting_of(project: Project) -> Template | None:
    """Return the project's setting `prompt` as a template, None if it is empty."""
    if not (project.prompt or "").strip():
        return None
    return templates.setting_as_template(project.prompt or "", project.prompt_version)


def _template(row: TemplateRow) -> Template:
    return Template(row.name, row.version, row.text)


@dataclass(frozen=True)
class Checked:
    """Results of the checks that the run needs later.

    `in_the_way` is an existing branch that keeps the issue's own branch from being created;
    `change` is the change request on whose branch the run works.
    """

    branch: str
    agent: str
    brief: Brief
    in_the_way: str | None
    issue: Issue | None = None
    template: Template | None = None
    change: Change | None = None


@dataclass
class _Answers:
    """Answers shared by many orders: origin's branches, and the error of each silent service."""

    branches: list[str] | None = None
    silent: dict[str, str] = field(default_factory=dict[str, str])


def refuse_closed(project: Project | ProjectFacts) -> None:
    """Refuse a project in which no run can start. Raises ProjectArchived, ProjectBroken."""
    if project.archived_at is not None:
        raise ProjectArchived
    if project.state == "broken":
        raise ProjectBroken(project.state_because)


def opened(facts: OrderFacts) -> Project:
    """Return the project of an order, if runs can start in it. Raises what refuses them."""
    if facts.unreadable is not None:
        raise facts.unreadable
    if facts.project is None:
        raise NotFound
    refuse_closed(facts.project)
    return facts.project


class Prechecks:
    """The checks of an order that need no lock."""

    def __init__(
        self,
        projects: ProjectLedger,
        adapters: Adapters,
        limits: UsageLimits,
        origins: OriginWatch,
        people: Directory,
    ) -> None:
        self._people = people
        self._origins = origins
        self._projects = projects
        self._limits = limits
        self._mirrors = adapters.mirrors
        self._agents = adapters.agents
        self._readiness = Readiness(adapters)
        self._forge_of = adapters.forge_of
        self._templates = TemplateChoice(TemplateLedger(projects.stores))
        # None if each order makes its own calls
        self._answers: _Answers | None = None
        # False if nothing of what origin answers is written
        self._notes_answers = True

    def asking_once(self) -> Prechecks:
        """Return a copy for many orders of a project that asks origin and silent services once."""
        checks = copy(self)
        checks._answers = _Answers()
        return checks

    def only_reading(self) -> Prechecks:
        """Return a copy that writes nothing: what origin answers counts for one order alone."""
        checks = copy(self)
        checks._notes_answers = False
        return checks

    def project(self, project_id: str, session: Session | None = None) -> Project:
        """Return the project if runs can start in it, as `session` sees it. Raises a Refusal."""
        project = self._projects.find(project_id, session)
        if project is None:
            raise NotFound
        refuse_closed(project)
        return project

    def limit(self, project: Project, order: RunRequest, now: datetime) -> AccountHeld | None:
        """Return the refusal of an order whose account is at its usage limit, or None."""
        is_resume = order.again is not None and order.again.is_resume
        if is_resume or order.batch_id is not None:
            return None
        due_at = order.due_at(now) or now
        with self._projects.stores.looking() as session:
            agent, model = order.agent or project.agent, model_for(order, project)
            return self._limits.refusal(session, agent, model, due_at)

    def order(
        self, project: Project, order: RunRequest, limit: AccountHeld | None, person_id: str
    ) -> Checked:
        """Check that agent, framework, branch and issue exist and are usable. Raises a Refusal."""
        self._must_be_reached(project)
        change = open_change_of(order, project, self._forge_of)
        wrong = self.wrong(
            project,
            agent=order.agent,
            framework=order.framework,
            branch=change.base if change else order.branch,
        )
        if wrong:
            raise Invalid.fields(wrong)
        branch = change.base if change else order.branch or project.base_branch
        agent = self._agent(project, order.agent, branch, person_id)
        if limit is not None:
            raise limit
        issue = order.picked
        if issue is None and (number := order.issue) is not None:
            issue = self._ask("tracker", lambda: self._issue(project, number))
        brief = Brief(
            branch="",
            depth=order.depth,
            framework=order.framework,
            delivers=order.delivers,
            task=order.task,
            issue=order.issue,
            issue_title=issue.title if issue else "",
        )
        template = self._templates.for_order(project, brief, order.template)
        in_the_way = None if order.picked else self._in_the_way(project, order.issue)
        if in_the_way is not None:
            self.refuse_in_review(project, in_the_way)
        return Checked(branch, agent, brief, in_the_way, issue, template, change)

    def refuse_in_review(self, project: Project, branch: str) -> None:
        """Raise InReview if a change on this branch is open for review."""
        with as_unavailable():
            number = self._forge_of(project).open_changes(repository_of(project)).get(branch)
        if number is not None:
            raise InReview.of(project.id, number)

    def _must_be_reached(self, project: Project) -> None:
        if not project.unreachable:
            return
        # the person wants the current state, not that of the last periodic check
        silent = {} if self._answers is None else self._answers.silent
        if PLACE not in silent:
            seconds, notes = ASK_AGAIN_SECONDS, self._notes_answers
            silent[PLACE] = self._origins.check_now(project, seconds, notes_it=notes) or ""
        if silent[PLACE]:
            raise ProjectBroken(f"Repository unreachable: {silent[PLACE]}")

    def _agent(self, project: Project, name: str | None, branch: str, person_id: str) -> str:
        agent, known = name or project.agent, self._people.agents
        mine = (self._people.read_agents() if known is None else known).get(person_id, ())
        here = project.allowed_agents
        if (here and agent not in here) or (mine and agent not in mine):
            raise AgentNotAllowed(not_allowed(agent, here, mine))
        unready = self._readiness.unready(project, agent, branch)
        if unready:
            raise AgentUnavailable(unready.sentence)
        return agent

    def wrong(
        self,
        project: Project,
        *,
        agent: str | None = None,
        framework: str | None = None,
        branch: str | None = None,
    ) -> dict[str, str]:
        """Return the problem with each invalid value, by field; None means the project's value.

        Raises ForgeUnavailable if origin has to be asked for a branch and does not answer.
        """
        wrong: dict[str, str] = {}
        agent, branch = agent or project.agent, branch or project.base_branch
        if agent not in self._agents.names():
            wrong["agent"] = f"No agent is called {agent!r}."
        if framework is not None and framework not in project.frameworks:
            wrong["target_framework"] = "This framework is not one of the project's."
        if problem := branch_problem(branch):
            wrong["branch"] = problem
        elif branch not in project.known_branches and branch not in self._ask_again(project):
            wrong["branch"] = f"The repository has no branch {branch}."
        return wrong

    def _ask_again(self, project: Project) -> list[str]:
        answers = self._answers
        if answers is not None and answers.branches is not None:
            return answers.branches
        branches = self._ask("origin", lambda: self._read_origin(project))
        if answers is not None:
            answers.branches = branches
        return branches

    def _ask(self, whom: str, ask: Callable[[], _T]) -> _T:
        silent = {} if self._answers is None else self._answers.silent
        if whom in silent:
            raise ForgeUnavailable(silent[whom])
        try:
            return ask()
        except ForgeUnavailable as silence:
            silent[whom] = silence.detail
            raise

    def _read_origin(self, project: Project) -> list[str]:
        try:
            remote = self._mirrors.inspect_origin(project.origin, timeout_seconds=ASK_AGAIN_SECONDS)
        except OriginProblem as problem:
            raise ForgeUnavailable(problem.sentence) from problem
        names = [branch.name for branch in remote.branches]
        if self._notes_answers:
            self._projects.change(project.id, known_branches=names)
        return names

    def _issue(self, project: Project, number: int) -> Issue:
        forge, repo = self._forge_of(project), repository_of(project)
        with as_unavailable():
            issue = forge.issue(repo, number)
            if issue is None:
                raise Invalid.field("issue", f"There is no issue #{number}.")
            if issue.state != "open":
                raise IssueClosed(f"Issue #{number} is closed.")
            blockers = [*issues.blockers_of(issue.body), *issue.dependencies]
            named = [one for one in blockers if one != number]
            blocker = min(forge.open_among(repo, named), default=None) if named else None
        if blocker is not None:
            raise IssueBlocked(f"Issue #{number} is blocked by #{blocker}.", by=blocker)
        for elsewhere in issue.blocked_elsewhere:
            raise IssueBlocked(f"Issue #{number} is blocked by {elsewhere}.")
        return issue

    def _in_the_way(self, project: Project, issue: int | None) -> str | None:
        if issue is None:
            return None
        branch, repo = issues.branch_of_issue(project.branch_pattern, issue), repository_of(project)
        if not self._mirrors.exists(repo):
            return None
        try:
            if self._mirrors.tip(repo, branch) is not None:
                return branch
            return TakenNames(self._mirrors.claims(repo)).in_the_way_of(branch)
        except CannotRead as problem:
            log.warning("mirror_not_read", project_id=project.id, because=problem)
            raise ForgeUnavailable(UNREADABLE) from problem
