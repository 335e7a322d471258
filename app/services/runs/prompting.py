"""The prompts of runs: their facts, collected for launch and preview alike, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.domain.agents.prompt_parts import (
    INSTRUCTIONS_FILE,
    MAX_INSTRUCTIONS_BYTES,
    ClosedChange,
    Comment,
)
from app.domain.agents.prompts import CONTINUE, Brief, Prompt, make_prompt
from app.domain.issues import branch_of_issue
from app.domain.words import Delivers, Depth
from app.errors import ForgeUnavailable
from app.records.projects.template_ledger import TemplateLedger
from app.records.runs.prompt_ledger import PromptLedger, last_start_of_issue
from app.records.tables import Project, Run, RunPrompt
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, ForgeSilent, Issue, Said
from app.services.runs.prechecks import UNREADABLE, Prechecks, TemplateChoice
from app.services.runs.requests import TEMPLATE, RunRequest

# the branch of a run that has no id yet
UNNAMED = "run/<run id>"
_KIB = MAX_INSTRUCTIONS_BYTES // 1024
CUT = f"({INSTRUCTIONS_FILE} is longer than {_KIB} KiB: the rest is left out.)"


class Prompts:
    """Makes the prompts of runs, and keeps them before their agents start."""

    def __init__(self, context: Context, prechecks: Prechecks) -> None:
        self._stores, self._clock = context.stores, context.clock
        self._kept = PromptLedger(context.stores)
        self._choice = TemplateChoice(TemplateLedger(context.stores))
        self._prechecks = prechecks
        self._mirrors = context.adapters.mirrors
        self._forge_of = context.adapters.forge_of

    def of_run(self, run_id: str) -> list[RunPrompt]:
        """Return the prompts that a run's agent was given, turn by turn."""
        return self._kept.of_run(run_id)

    def keep(self, run_id: str, n: int, prompt: Prompt) -> None:
        """Keep the prompt of turn `n` of a run; call it before the agent gets it."""
        self._kept.keep(run_id, n, prompt, self._clock())

    def first_turn(
        self, run: Run, project: Project, issue: Issue | None, base: str, *, continues: bool
    ) -> Prompt:
        """Make the first prompt of a run that is being launched; it began at the commit `base`.

        The template is the one of its acceptance, in the same version. Raises ForgeSilent,
        CannotRead.
        """
        if run.session_id:
            return Prompt(CONTINUE)
        brief = Brief(
            branch=run.work_branch,
            depth=Depth(run.depth_level),
            framework=run.target_framework,
            delivers=Delivers(run.delivers),
            task=run.task,
            issue=run.issue,
            continues=continues,
            base=base,
        )
        template = self._choice.for_run(project, brief, run.provenance.get(TEMPLATE))
        return make_prompt(self._informed(brief, project, issue, besides=run.id), template)

    def preview(self, order: RunRequest, now: datetime) -> Prompt:
        """Make the prompt that a run of this order would get now, and write nothing.

        The order is checked like one that is to be accepted, apart from quota and limits. Raises a
        Refusal.
        """
        project = self._prechecks.project(order.project_id)
        order.due_at(now)
        checked = self._prechecks.order(project, order, None)
        repo, number = repository_of(project), order.issue
        branch = UNNAMED if number is None else branch_of_issue(project.branch_pattern, number)
        try:
            has_mirror = self._mirrors.exists(repo)
            base = self._mirrors.origin_tip(repo, checked.branch) if has_mirror else None
            brief = replace(checked.brief, branch=branch, base=base or "")
            whole = self._informed(brief, project, checked.issue)
        except ForgeSilent as silence:
            raise ForgeUnavailable("This project's tracker did not answer.") from silence
        except CannotRead as problem:
            raise ForgeUnavailable(UNREADABLE) from problem
        return make_prompt(whole, checked.template)

    def _informed(
        self, brief: Brief, project: Project, issue: Issue | None, *, besides: str | None = None
    ) -> Brief:
        """Add what project, repository and tracker say. Raises ForgeSilent, CannotRead."""
        informed = replace(
            brief,
            project=project.name,
            guide=self._guide(project, brief.base),
            instructions=project.instructions or "",
        )
        if issue is None:
            return informed
        said = self._forge_of(project).said_about(repository_of(project), issue.number)
        return replace(
            informed,
            issue_title=issue.title,
            issue_body=issue.body,
            comments=self._comments(project, issue.number, said, besides),
            closed=tuple(
                ClosedChange(one.number, one.closed_at, one.because)
                for one in said.unwanted
                if one.because.strip()
            ),
        )

    def _comments(
        self, project: Project, issue: int, said: Said, besides: str | None
    ) -> tuple[Comment, ...]:
        if not said.comments:
            return ()
        last = last_start_of_issue(self._stores, project.id, issue, besides=besides)
        return tuple(
            Comment(
                author=one.author,
                at=one.created_at,
                body=one.body,
                is_new=last is not None and one.created_at > last,
            )
            for one in said.comments
        )

    def _guide(self, project: Project, base: str) -> str:
        """Return the repository's own instructions at a commit; empty without the commit."""
        repo = repository_of(project)
        if not base:
            return ""
        most = MAX_INSTRUCTIONS_BYTES
        found = self._mirrors.read_file(repo, base, INSTRUCTIONS_FILE, most=most)
        if found is None:
            return ""
        return f"{found.text.rstrip()}\n\n{CUT}" if found.is_cut else found.text
