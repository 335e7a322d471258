"""The launch order for the engine: the agent's command, prompt, environment and sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.domain.agents.prompts import Prompt
from app.domain.projects.setting import OpenPr
from app.domain.sandbox.levels import (
    HostService,
    Limits,
    NetworkRule,
    SandboxLevel,
    SandboxPolicy,
    read_level,
)
from app.domain.sandbox.network_rules import NetworkRules, WrongHost
from app.domain.sandbox.registries import registries_of
from app.domain.tracker.agent_requests import OPENS, OPENS_AS, TOOLS
from app.domain.words import READY_LABEL, Delivers, Trigger
from app.errors import Invalid
from app.records.tables import Project, Run
from app.services.context import Context, repository_of
from app.services.lifecycle.agent_openings import LendsSignIns
from app.services.lifecycle.handover import continues
from app.services.ports import (
    ForgeSilent,
    Issue,
    Job,
    LaunchOrder,
    LentSignIn,
    PrivateHome,
    PrivateHomeUnavailable,
    SignInUnusable,
    Step,
)
from app.services.runs.prompting import Prompts
from app.services.runs.requests import TEMPLATE
from app.services.system.issue_trust import IssueTrust
from app.services.system.state_trust import StateTrust


def policy_of(project: Project) -> SandboxPolicy:
    """Return the policy of a project. Raises ValueError for a row with impossible values."""
    return SandboxPolicy(
        level=read_level(project.sandbox),
        network=NetworkRule(project.network),
        allowed_hosts=tuple(project.allowed_hosts),
        allow=tuple(HostService(name) for name in project.allow),
        toolchains=tuple(project.toolchains),
        limits=Limits(**project.limits),
    )


@dataclass(frozen=True)
class LaunchTerms:
    """Settings shared by all launches on this server."""

    grace_seconds: float
    launch_seconds: int
    log_cap_bytes: int
    # at which agents reach this server
    address: str


class NotLaunched(Exception):
    """Raised if a step of the launch failed; the message is a sentence."""


class LaunchSpecs:
    """Composes launch orders; asks the tracker for the issue's text."""

    def __init__(
        self,
        context: Context,
        terms: LaunchTerms,
        prompts: Prompts,
        trust: IssueTrust,
        states: StateTrust,
        take_token: Callable[[Run, Project], str | None],
    ) -> None:
        adapters = context.adapters
        self._find = context.ledgers.runs.find
        self._take_token = take_token
        self._prompts = prompts
        self._trust = trust
        self._states = states
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._engine = adapters.engine
        self._agents = adapters.agents
        self._forge_of = adapters.forge_of
        self._homes = adapters.homes
        self._lending = LendsSignIns(adapters)
        self._terms = terms

    def must_be_trusted(self, run: Run, project: Project) -> None:
        """Hold back a run of the loop while a person must look at the state it would begin at.

        Raises NotLaunched, CannotRead.
        """
        if self._is_of_loop(run) and (hold := self._states.judge_once(project)):
            raise NotLaunched(hold)

    def _is_of_loop(self, run: Run) -> bool:
        """Return True for a run that no person started, and for one that resumes such a run."""
        first: Run | None = run
        while first is not None and first.trigger == Trigger.RESUME:
            first = self._find(first.retry_of) if first.retry_of else None
        return first is None or first.trigger == Trigger.AUTO

    def order(self, run: Run, project: Project, base: str, *, seconds: float) -> LaunchOrder:
        """Return the order for a run whose copy is prepared, to start within `seconds`.

        Its prompt is kept with the run. Raises NotLaunched, PromptTooLong, CannotRead.
        """
        made = self._prompt(run, project, base)
        prompt = made.text
        job = Job(
            prompt=prompt,
            prompt_file=self._engine.prompt_file(run.id),
            workdir=self._copies.path(run.id),
            branch=run.work_branch,
            issue=run.issue,
            model=run.model,
            session=run.session_id,
        )
        argv = self._agents.command(run.agent, job, project.agent_command)
        self._note_opening(run, project)
        order = replace(
            self._in_copy(run, project, argv, prompt, base=base, seconds=run.budget_seconds),
            setup=project.setup_command or (),
            launch_seconds=seconds,
            reads_prompt=self._agents.reads_stdin(run.agent),
        )
        self._keep(run, made)
        return order

    def check(
        self, run: Run, project: Project, step: Step, command: Sequence[str], seconds: float
    ) -> LaunchOrder:
        """Return the order for a check, in the agent's surroundings. Raises as `order` does."""
        base = run.base_sha or ""
        order = self._in_copy(run, project, command, "", base=base, seconds=seconds, lends=False)
        return replace(order, step=step)

    def turn(
        self, run: Run, project: Project, step: Step, words: str, seconds: float
    ) -> LaunchOrder:
        """Return the order for a follow-up with these words. Raises as `order` does.

        An agent that resumes its session knows the rest; another gets its first prompt again.
        """
        told = self._prompts.first_again(run) if run.session_id is None else ""
        prompt = f"{told}\n{words}" if told else words
        job = Job(
            prompt=prompt,
            prompt_file=self._engine.prompt_file(run.id, step.turn),
            workdir=self._copies.path(run.id),
            branch=run.work_branch,
            issue=run.issue,
            model=run.model,
            session=run.session_id,
        )
        argv = self._agents.command(run.agent, job, project.agent_command)
        base = run.base_sha or ""
        order = self._in_copy(run, project, argv, prompt, base=base, seconds=seconds)
        self._prompts.keep(run.id, step.turn, Prompt(prompt))
        return replace(order, step=step, reads_prompt=self._agents.reads_stdin(run.agent))

    def _in_copy(
        self,
        run: Run,
        project: Project,
        argv: Sequence[str],
        prompt: str,
        *,
        base: str,
        seconds: float,
        lends: bool = True,
    ) -> LaunchOrder:
        """Return what the orders for an agent and for a check have in common.

        `lends`: an agent gets the token of its run, and the sign-in to open its pull request.
        """
        policy = policy_of(project)
        known, listed = self._hosts(run, policy)
        private_home = self._lodge(run, project, policy, argv)
        env = _environment(self._agents.environment(run.agent, policy.level), private_home)
        facts = _facts(run, project, base)
        readable = [self._mirrors.objects(repository_of(project))]
        if lends and project.agent_token:
            facts |= self._token_facts(run, project)
        if lends and OPENS in run.provenance:
            lent = self._lend(project, private_home)
            env |= lent.environment
            readable.append(lent.folder)
            listed += self._lending.hosts(project) if policy.has_allowed_hosts else []
        return LaunchOrder(
            run_id=run.id,
            argv=argv,
            workdir=self._copies.path(run.id),
            env=env,
            budget_seconds=seconds,
            grace_seconds=self._terms.grace_seconds,
            log_cap_bytes=self._terms.log_cap_bytes,
            prompt=prompt,
            policy=policy,
            known_hosts=known,
            listed_hosts=listed,
            private_home=private_home,
            readable=readable,
            facts=facts,
        )

    def _hosts(self, run: Run, policy: SandboxPolicy) -> tuple[list[str], list[str]]:
        """Return the hosts that agent and languages need, and those that people listed.

        Raises NotLaunched, CannotRead.
        """
        if not policy.has_allowed_hosts:
            return [], []
        known = [*self._agents.hosts(run.agent), *registries_of(self._copies.names(run.id))]
        listed = [*policy.allowed_hosts, *self._agents.chosen_hosts(run.agent)]
        try:
            NetworkRules.read(known, listed)
        except WrongHost as problem:
            raise NotLaunched(f"its list of allowed hosts cannot be read: {problem}") from problem
        return known, listed

    def _lodge(
        self, run: Run, project: Project, policy: SandboxPolicy, argv: Sequence[str]
    ) -> PrivateHome | None:
        """Return the agent's private home, None if it uses the user's own.

        Raises NotLaunched.
        """
        if policy.level is not SandboxLevel.SANDBOXED:
            return None
        # absolute paths in a person's own commands; placeholders hold an issue's text, not paths
        named = [*(project.agent_command or ()), *(project.setup_command or ())]
        programs = [*argv[:1], *(project.setup_command or ())[:1]]
        programs += [word for word in named if word.startswith("/") and "{" not in word]
        try:
            return self._homes.prepare(run.project_id, run.agent, programs, policy.toolchains)
        except PrivateHomeUnavailable as problem:
            raise NotLaunched(str(problem)) from problem

    def _token_facts(self, run: Run, project: Project) -> dict[str, str]:
        """Return what an agent needs to comment on its run's issue, if it may."""
        try:
            token = self._take_token(run, project)
        except Invalid as problem:
            raise NotLaunched(f"its agent was to get a token: {problem}") from problem
        if token is None:
            return {}
        return {"TOKEN": token, "URL": self._terms.address, "PROJECT_ID": run.project_id}

    def _lend(self, project: Project, private_home: PrivateHome | None) -> LentSignIn:
        """Return the sign-in with which an agent opens its pull request. Raises NotLaunched."""
        try:
            return self._lending.lend(project, private_home)
        except SignInUnusable as problem:
            because = f"its agent was to open the pull request, and cannot sign in: {problem}"
            raise NotLaunched(because) from problem

    def _prompt(self, run: Run, project: Project, base: str) -> Prompt:
        """Return the first prompt of a run. Raises NotLaunched, CannotRead."""
        try:
            issue = self._issue(run, project)
            going_on = continues(run)
            return self._prompts.first_turn(run, project, issue, base, continues=going_on)
        except ForgeSilent as silence:
            raise NotLaunched("the tracker did not answer") from silence

    def _note_opening(self, run: Run, project: Project) -> None:
        """Note on a run that is launched now whether its agent opens its pull request, and as whom.

        That counts for it, whatever the project is set to later. A resumed session was told once.
        """
        names = (OPENS, OPENS_AS)
        others = {name: one for name, one in run.provenance.items() if name not in names}
        before = self._find(run.retry_of) if run.session_id and run.retry_of else None
        if before is not None:
            told = {name: before.provenance[name] for name in names if name in before.provenance}
        else:
            is_new = run.pr_number is None and run.delivers == Delivers.CHANGE
            is_theirs = is_new and project.open_pr == OpenPr.AGENT and project.tracker in TOOLS
            account = project.pr_login or ""
            told = {OPENS: OpenPr.AGENT.value, OPENS_AS: account} if is_theirs else {}
        run.provenance = others | told

    def _keep(self, run: Run, prompt: Prompt) -> None:
        self._prompts.keep(run.id, 1, prompt)
        if run.session_id is not None:
            return  # it resumes what the template of its acceptance began
        others = {name: value for name, value in run.provenance.items() if name != TEMPLATE}
        # written with the move to `running`: the project may have changed since the acceptance
        run.provenance = others | ({TEMPLATE: prompt.template.label} if prompt.template else {})

    def _issue(self, run: Run, project: Project) -> Issue | None:
        if run.issue is None:
            return None
        issue = self._forge_of(project).issue(repository_of(project), run.issue)
        if issue is None:
            raise NotLaunched(f"issue #{run.issue} is gone")
        _must_be_wanted(run, issue)
        if self._is_of_loop(run):
            (judged,) = self._trust.judged(project, [issue])
            if judged.doubt:
                raise NotLaunched(judged.doubt)
        return issue


def _facts(run: Run, project: Project, base: str) -> dict[str, str]:
    return {
        "PROJECT": project.name,
        "ISSUE": "" if run.issue is None else str(run.issue),
        "BRANCH": run.work_branch,
        "BASE": base,
        "DEPTH": run.depth_level,
        "FRAMEWORK": run.target_framework,
    }


def _environment(given: dict[str, str], private_home: PrivateHome | None) -> dict[str, str]:
    """Return the agent's environment, adjusted for its private home if it has one."""
    if private_home is None:
        return given
    kept = {name: value for name, value in given.items() if name not in private_home.withheld}
    return {**kept, **private_home.environment}


def _must_be_wanted(run: Run, issue: Issue) -> None:
    """Refuse an issue that changed while its run waited. Raises NotLaunched."""
    if issue.state != "open":
        raise NotLaunched(f"issue #{issue.number} was closed before the agent was started")
    # a person may start an unlabeled issue; the loop never does
    if run.trigger == Trigger.AUTO and READY_LABEL not in issue.labels:
        raise NotLaunched(f"issue #{issue.number} is not labelled {READY_LABEL} any more")
