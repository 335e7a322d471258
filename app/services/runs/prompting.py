"""The prompts of runs: their facts, collected for launch and preview alike, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.domain.agents.prompt_parts import (
    INSTRUCTIONS_FILE,
    MAX_INSTRUCTIONS_BYTES,
    ChangeBrief,
    ClosedChange,
    Comment,
    DeliveredRound,
    MergeBrief,
    as_text,
    merge_text,
    merged_text,
)
from app.domain.agents.prompts import Brief, Prompt, continue_prompt, make_prompt
from app.domain.issues import branch_of_issue
from app.domain.projects.allowed_agents import gets_token
from app.domain.projects.setting import OpenPr
from app.domain.review.base_merges import read_merge
from app.domain.review.sent import read_rows
from app.domain.tracker.agent_requests import TOOLS
from app.domain.words import Delivers, Depth
from app.errors import ForgeUnavailable
from app.records.projects.template_ledger import TemplateLedger
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.prompt_ledger import PromptLedger, last_start_of_issue
from app.records.tables import Project, Run, RunPrompt
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, Change, Issue, Said
from app.services.runs.accept import AcceptService
from app.services.runs.prechecks import UNREADABLE, Checked, TemplateChoice
from app.services.runs.red_checks import RedChecks
from app.services.runs.requests import TEMPLATE, Requester, RunRequest, as_unavailable
from app.services.system.issue_trust import IssueTrust

# the branch of a run that has no id yet
UNNAMED = "run/<run id>"
# deliveries to a change that a prompt names, the newest ones
MOST_ROUNDS = 20
_KIB = MAX_INSTRUCTIONS_BYTES // 1024
CUT = f"({INSTRUCTIONS_FILE} is longer than {_KIB} KiB: the rest is left out.)"


class Prompts:
    """Makes the prompts of runs, and keeps them before their agents start."""

    def __init__(self, context: Context, accept: AcceptService, red_checks: RedChecks) -> None:
        self._stores, self._clock = context.stores, context.clock
        self._kept = PromptLedger(context.stores)
        self._choice = TemplateChoice(TemplateLedger(context.stores))
        self._accept = accept
        self._red_checks = red_checks
        self._handovers = HandoverLedger(context.ledgers.runs)
        self._mirrors = context.adapters.mirrors
        self._forge_of = context.adapters.forge_of
        self._trust = IssueTrust(context.stores, context.adapters.forges)

    def of_run(self, run_id: str) -> list[RunPrompt]:
        """Return the prompts that a run's agent was given, turn by turn."""
        return self._kept.of_run(run_id)

    def first_again(self, run: Run) -> str:
        """Return a run's first prompt for a later turn, "" if none is kept.

        A merge that the run began with is concluded by then.
        """
        kept = self.of_run(run.id)
        told = kept[0].text if kept else ""
        merge = _merge_of(run)
        if merge is None:
            return told
        return told.replace(as_text(merge_text(merge)), as_text(merged_text(merge)))

    def keep(self, run_id: str, n: int, prompt: Prompt) -> None:
        """Keep the prompt of turn `n` of a run; call it before the agent gets it."""
        self._kept.keep(run_id, n, prompt, self._clock())

    def first_turn(
        self, run: Run, project: Project, issue: Issue | None, base: str, *, continues: bool
    ) -> Prompt:
        """Make the first prompt of a run that is being launched; it began at the commit `base`.

        A template is the one of its acceptance: in the same version, or the setting `prompt` as it
        is now. An agent that resumes its session knows the rest. Raises ForgeSilent, CannotRead.
        """
        if run.session_id:
            return continue_prompt(self._new_comments(run, project))
        brief = Brief(
            branch=run.work_branch,
            depth=Depth(run.depth_level),
            framework=run.target_framework,
            delivers=Delivers(run.delivers),
            task=run.task,
            issue=run.issue,
            continues=continues,
            base=base,
            target=run.branch_name,
            review=tuple(one.words for one in read_rows(run.review)) if run.review else (),
            merge=_merge_of(run) if run.merging else None,
        )
        if run.pr_number is not None:
            change = self._forge_of(project).change(repository_of(project), run.pr_number)
            brief = self._on_change(brief, project, change)
        if continues:
            before = self._handovers.of_branch(project.id, run.work_branch)
            checked = [one for one in before if one.check_round and one.id != run.id]
            brief = replace(brief, checks=tuple(self._red_checks.of_newest(checked)))
        template = self._choice.for_run(project, brief, run.provenance.get(TEMPLATE))
        return make_prompt(self._informed(brief, project, issue, besides=run.id), template)

    def preview(self, order: RunRequest, requester: Requester, now: datetime) -> Prompt:
        """Make the prompt that a run of this order would get now, and write nothing.

        The order is checked like one that is to be accepted, apart from quota and limits. Raises a
        Refusal.
        """
        rehearsed = self._accept.rehearse(order, requester, now)
        project, checked = rehearsed.project, rehearsed.checked
        try:
            with as_unavailable():
                brief = self._placed(project, checked)
                whole = self._informed(brief, project, checked.issue)
        except CannotRead as problem:
            raise ForgeUnavailable(UNREADABLE) from problem
        return make_prompt(whole, checked.template)

    def _placed(self, project: Project, checked: Checked) -> Brief:
        """Add the branch and the commit on which a checked order would begin now."""
        repo, number, change = repository_of(project), checked.brief.issue, checked.change
        start, branch = checked.branch, UNNAMED
        if change is not None:
            start = branch = change.branch
        elif number is not None:
            branch = branch_of_issue(project.branch_pattern, number)
        base = self._mirrors.origin_tip(repo, start) if self._mirrors.exists(repo) else None
        if change is not None:
            base = base or change.head_sha
        brief = replace(checked.brief, branch=branch, base=base or "", target=checked.branch)
        return self._on_change(brief, project, change)

    def _on_change(self, brief: Brief, project: Project, change: Change | None) -> Brief:
        """Add the change that a run works on, and the checks that failed for what it holds."""
        if change is None:
            return brief
        runs = self._handovers.of_branch(project.id, change.branch)
        done = [one for one in runs if (one.delivery or {}).get("number") == change.number]
        rounds = [_round_of(one) for one in sorted(done, key=lambda one: (one.created_at, one.id))]
        told = ChangeBrief(
            number=change.number,
            title=change.title,
            branch=change.branch,
            base=change.base,
            closes=change.closes,
            rounds=tuple(rounds[-MOST_ROUNDS:]),
        )
        return replace(brief, change=told, checks=tuple(self._red_checks.of_newest(done)))

    def _informed(
        self, brief: Brief, project: Project, issue: Issue | None, *, besides: str | None = None
    ) -> Brief:
        """Add what project, repository and tracker say. Raises ForgeSilent, CannotRead."""
        is_new = brief.delivers is Delivers.CHANGE and brief.change is None
        is_theirs = is_new and project.open_pr == OpenPr.AGENT
        informed = replace(
            brief,
            project=project.name,
            guide=self._guide(project, brief.base),
            instructions=project.instructions or "",
            opens_with=TOOLS.get(project.tracker, "") if is_theirs else "",
            may_comment=issue is not None and project.agent_token and gets_token(project),
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

    def _new_comments(self, run: Run, project: Project) -> tuple[Comment, ...]:
        """Return the comments on a run's issue, those after the last run marked as new."""
        if run.issue is None:
            return ()
        said = self._forge_of(project).said_about(repository_of(project), run.issue)
        return self._comments(project, run.issue, said, run.id)

    def _comments(
        self, project: Project, issue: int, said: Said, besides: str | None
    ) -> tuple[Comment, ...]:
        heard = said.comments
        if said.others:
            heard = self._trust.heard(project.id, issue, said)
        if not heard:
            return ()
        last = last_start_of_issue(self._stores, project.id, issue, besides=besides)
        return tuple(
            Comment(
                author=one.author,
                at=one.created_at,
                body=one.body,
                is_new=last is not None and one.created_at > last,
            )
            for one in heard
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


def _merge_of(run: Run) -> MergeBrief | None:
    merge = read_merge(run.merging)
    return None if merge is None else MergeBrief(merge.base, merge.files)


def _round_of(run: Run) -> DeliveredRound:
    """Return what a run delivered to its change."""
    done = run.delivery or {}
    return DeliveredRound(
        title=run.title,
        at=run.ended_at or run.created_at,
        head=done["head_sha"],
        commits=done["commits"],
        files_changed=done["files_changed"],
        additions=done["additions"],
        deletions=done["deletions"],
    )
