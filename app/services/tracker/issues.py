"""Issues, each with the reason why it is not started now, and edits in the built-in tracker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog

from app.domain.issues import (
    MAX_BODY_BYTES,
    IssueFacts,
    blockers_of,
    branch_of_issue,
    issue_hold,
    queue_order,
)
from app.domain.names import TakenNames
from app.domain.tracker.blockers import circle_objection, with_blockers
from app.domain.words import BUILTIN, Priority
from app.errors import EditedMeanwhile, Invalid, NotFound, ProjectArchived, RateLimited
from app.records.people.run_token_ledger import NoMoreComments, count_comment
from app.records.projects.issue_queue import Beside, NoPlace
from app.records.projects.tracker_ledger import Overtaken
from app.records.runs.selections import ProjectRuns
from app.records.tables import IssueComment, Project
from app.services.context import Adapters, Ledgers, repository_of
from app.services.ports import CannotRead, Forge, Issue, Ready, Repository
from app.services.runs.requests import as_unavailable
from app.services.system.issue_trust import IssueTrust
from app.services.tracker.issue_views import IssueView, view_of

log = structlog.get_logger()
Answer = TypeVar("Answer")
# comments that one run's agent may write, and bytes of each
MOST_OF_RUN = 50
MOST_BYTES_OF_RUN = 64 * 1024
TOO_LONG = "A comment of a run is at most 64 KiB."


@dataclass(frozen=True)
class _Around:
    """Claims, runs and changes of a project; `claims` is None if they could not be read."""

    claims: TakenNames | None
    running: Collection[int]
    changes: Mapping[str, int]


class IssueService:
    """Reads the issues of all trackers, and edits those of the built-in one."""

    def __init__(self, ledgers: Ledgers, adapters: Adapters) -> None:
        self._tracker = ledgers.tracker
        self._projects = ledgers.projects
        self._project_runs = ProjectRuns(ledgers.runs.stores)
        self._mirrors = adapters.mirrors
        self._forge_of = adapters.forge_of
        self._secrets = adapters.secrets
        self.trust = IssueTrust(ledgers.runs.stores, adapters.forges)
        self.on_ready: Callable[[Mapping[str, Ready]], object] = len  # of projects at forges

    # --- reading -------------------------------------------------------------------------------

    def all(self, project_id: str) -> list[IssueView]:
        """Return a project's issues, lowest number first. Raises NotFound, ForgeUnavailable."""
        project = self._find(project_id)
        found = self._ask(project, lambda forge, repo: forge.issues(repo))
        return self._views(project, found, {one.number for one in found if one.state == "open"})

    def one(self, project_id: str, number: int) -> IssueView:
        """Return one issue. Raises NotFound, ForgeUnavailable."""
        project = self._find(project_id)
        found = self._ask(project, lambda forge, repo: forge.issue(repo, number))
        if found is None:
            raise _no_issue(project, number)
        named = [*blockers_of(found.body), *found.dependencies]
        is_open = self._ask(project, lambda forge, repo: forge.open_among(repo, named))
        return self._views(project, [found], is_open)[0]

    def claimable(self, project: Project) -> list[int] | None:
        """Return the claimable numbers in the queue's order, None if they could not be read."""
        issues = self.claimable_issues(project)
        return None if issues is None else [issue.number for issue in issues]

    def claimable_issues(self, project: Project) -> list[Issue] | None:
        """Return the claimable issues in the queue's order, None if they could not be read."""
        return self.claimable_issues_of([project])[project.id]

    def claimable_of(self, projects: Sequence[Project]) -> dict[str, list[int] | None]:
        """Return the claimable numbers of many projects, by project id, with few calls."""
        return {
            project_id: None if issues is None else [issue.number for issue in issues]
            for project_id, issues in self.claimable_issues_of(projects).items()
        }

    def claimable_issues_of(self, projects: Sequence[Project]) -> dict[str, list[Issue] | None]:
        """Return the claimable issues of many projects, by project id, with few calls."""
        ready = self._ready([one for one in projects if one.state != "broken"])
        running = self._project_runs.issues(
            {one: [issue.number for issue in told.issues] for one, told in ready.items() if told}
        )
        return {
            project.id: self.take(project, ready.get(project.id), running[project.id])
            for project in projects
        }

    def comments(self, project_id: str, number: int) -> list[IssueComment]:
        """Return the comments on an issue, oldest first. Raises NotFound, Invalid."""
        self._issue_here(self._kept_here(project_id), number)
        return self._tracker.comments(project_id, number)

    def writable(self, project_id: str) -> Project:
        """Return the project if people may edit its issues here. Raises a Refusal."""
        project = self._kept_here(project_id)
        if project.archived_at is not None:
            raise ProjectArchived
        return project

    # --- editing -------------------------------------------------------------------------------

    def add(
        self,
        project_id: str,
        title: str,
        body: str,
        labels: list[str],
        now: datetime,
        priority: str = Priority.NORMAL,
        blocked_by: Sequence[int] = (),
    ) -> IssueView:
        """Add an issue whose text names these blockers, too. Raises a Refusal."""
        self.writable(project_id)
        body = self._blocked(project_id, 0, body, [*blockers_of(body), *blocked_by])
        row = self._tracker.add_issue(
            project_id,
            title=title,
            body=body,
            labels=list(dict.fromkeys(labels)),
            now=now,
            priority=priority,
        )
        return self.one(project_id, row.number)

    def change(
        self,
        project_id: str,
        number: int,
        changes: dict[str, Any],
        now: datetime,
        was: dict[str, Any] | None = None,
        place: Beside | None = None,
    ) -> IssueView:
        """Edit, label, close or reopen an issue, or move it to a place in the queue.

        `was` holds the values the editor saw; `blocked_by` among the changes has its text name
        exactly these blockers. Raises a Refusal: EditedMeanwhile if what was seen has changed
        since, Invalid if the place is none for it or it cannot wait for a blocker.
        """
        project = self.writable(project_id)
        if "blocked_by" in changes:
            changes, was = self._with_blockers(project, number, changes, was)
        if "labels" in changes:
            changes = changes | {"labels": list(dict.fromkeys(changes["labels"]))}
        try:
            row = self._tracker.change_issue(
                project_id, number, now, was=was, place=place, **changes
            )
        except NoPlace as problem:
            side = "after" if place is not None and place.is_after else "before"
            raise Invalid.field(side, str(problem)) from problem
        except Overtaken as overtaken:
            names = ("title", "body", "labels", "state")
            stands = {name: getattr(overtaken.row, name) for name in names}
            raise EditedMeanwhile(stands=stands) from overtaken
        if row is None:
            raise _no_issue(project, number)
        return self.one(project_id, number)

    def comment(
        self,
        project_id: str,
        number: int,
        author: str,
        body: str,
        now: datetime,
        *,
        run_id: str | None = None,
    ) -> IssueComment:
        """Add a comment to an issue, open or closed; of a run's agent with `run_id`.

        Raises a Refusal.
        """
        self._issue_here(self.writable(project_id), number)
        if run_id is not None:
            if len(body.encode("utf-8", "surrogatepass")) > MOST_BYTES_OF_RUN:
                raise Invalid.field("body", TOO_LONG)
            # as in its log: an agent may know more secrets than it should tell
            body = self._secrets.mask().mask_text(body)
        said = IssueComment(
            project_id=project_id,
            number=number,
            author=author,
            run_id=run_id,
            body=body,
            created_at=now,
        )
        if run_id is None:
            return self._tracker.add_comment(said)
        try:
            return self._tracker.add_comment(
                said, lambda tx: count_comment(tx, run_id, MOST_OF_RUN)
            )
        except NoMoreComments as problem:
            raise RateLimited(f"A run writes at most {MOST_OF_RUN} comments.") from problem

    # --- internals -----------------------------------------------------------------------------

    def _with_blockers(
        self, project: Project, number: int, changes: dict[str, Any], was: dict[str, Any] | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the changes with the text in place of the blockers, and what was seen."""
        row = self._tracker.issue(project.id, number)
        if row is None:
            raise _no_issue(project, number)
        others = {name: value for name, value in changes.items() if name != "blocked_by"}
        body = str(changes.get("body", row.body))
        body = self._blocked(project.id, number, body, changes["blocked_by"])
        # the text was read for this: nobody's edit in between may be lost
        return others | {"body": body}, {"body": row.body} | (was or {})

    def _blocked(self, project_id: str, number: int, body: str, wanted: Sequence[int]) -> str:
        """Return a text that names these blockers. Raises Invalid."""
        named = set(blockers_of(body))
        added = [one for one in wanted if one not in named]
        if added:
            self._check_blockers(project_id, number, added)
        text, by_hand = with_blockers(body, wanted)
        if by_hand is not None:
            words = f"The text names #{by_hand} in a way that only you can change. Edit the text."
            raise Invalid.field("blocked_by", words)
        if len(text.encode()) > MAX_BODY_BYTES:
            raise Invalid.field("blocked_by", "The text has no room to name them.")
        return text

    def _check_blockers(self, project_id: str, number: int, added: Sequence[int]) -> None:
        issues = {one.number: one for one in self._tracker.issues(project_id)}
        opened = (one for one in issues.values() if one.state == "open")
        named = {one.number: blockers_of(one.body) for one in opened}
        for blocker in added:
            # nothing can wait for an issue that does not exist yet, whatever a text says of #0
            said = circle_objection(number, blocker, named) if number else ""
            if not said and blocker not in issues:
                is_change = self._tracker.change(project_id, blocker) is not None
                said = f"#{blocker} {'is a change' if is_change else 'does not exist'}."
            if said:
                raise Invalid.field("blocked_by", said)

    def _find(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project

    def _kept_here(self, project_id: str) -> Project:
        project = self._find(project_id)
        if project.tracker != BUILTIN:
            raise Invalid.field(
                "tracker", "This project's issues are kept elsewhere: edit them there."
            )
        return project

    def _issue_here(self, project: Project, number: int) -> None:
        if self._tracker.issue(project.id, number) is None:
            raise _no_issue(project, number)

    def _ask(self, project: Project, ask: Callable[[Forge, Repository], Answer]) -> Answer:
        with as_unavailable():
            return ask(self._forge_of(project), repository_of(project))

    def _claims(self, project: Project) -> TakenNames | None:
        """Return the branches claimed in the mirror, None if it could not be read."""
        if project.state != "ready":
            return TakenNames(())
        try:
            return TakenNames(self._mirrors.claims(repository_of(project)))
        except CannotRead as problem:
            log.warning("mirror_not_read", project_id=project.id, because=problem)
            return None

    def _ready(self, projects: Sequence[Project]) -> dict[str, Ready | None]:
        """Return what each project's tracker has ready, by project id; None if it was silent."""
        by_forge: dict[Forge, list[Project]] = defaultdict(list)
        for project in projects:
            by_forge[self._forge_of(project)].append(project)
        found: dict[str, Ready | None] = {}
        for forge, theirs in by_forge.items():
            answers = forge.ready_issues([repository_of(project) for project in theirs])
            by_id = {repo.project_id: answer for repo, answer in answers.items()}
            for project in theirs:
                found[project.id] = by_id.get(project.id)
        if away := [one for one in projects if one.forge_id is not None]:
            found |= {one.id: self.trust.judged_ready(one, found[one.id]) for one in away}
            self.on_ready({one.id: told for one in away if (told := found[one.id])})
        return found

    def take(
        self, project: Project, ready: Ready | None, running: Collection[int]
    ) -> list[Issue] | None:
        """Return those that a run could claim, in the queue's order; None if that is not known."""
        if ready is None:
            return None
        if not ready.issues:
            return []
        claims = self._claims(project)
        if claims is None:
            return None
        around = _Around(claims, running, ready.changes)
        opened = ready.open_numbers
        free = [one for one in ready.issues if _hold_of(project, one, around, opened) is None]
        return sorted(free, key=queue_order)

    def view_kept(self, project: Project, issue: Issue, opened: Collection[int]) -> IssueView:
        """Return an issue as a forge told it before; nobody is asked."""
        running = self._project_runs.issues({project.id: [issue.number]})[project.id]
        changes = self._tracker.open_changes_of([project.id]).get(project.id, {})
        around = _Around(self._claims(project), running, changes)
        return view_of(issue, _hold_of(project, issue, around, opened), ())

    def _views(
        self, project: Project, issues: Sequence[Issue], open_numbers: Collection[int]
    ) -> list[IssueView]:
        changes = self._ask(project, lambda forge, repo: forge.open_changes(repo))
        if project.forge_id is not None:
            with as_unavailable():
                issues = self.trust.judged(project, issues)
        asked = {project.id: [one.number for one in issues]}
        running = self._project_runs.issues(asked)[project.id]
        around = _Around(self._claims(project), running, changes)
        named = {one.number: blockers_of(one.body) for one in issues}
        away = {number for numbers in named.values() for number in numbers} - {*open_numbers}
        known = self._ask(project, lambda forge, repo: forge.known_among(repo, away))
        unknown = away - known
        return [
            view_of(
                one,
                _hold_of(project, one, around, open_numbers),
                tuple(number for number in named[one.number] if number in unknown),
            )
            for one in issues
        ]


def _hold_of(
    project: Project, issue: Issue, around: _Around, open_numbers: Collection[int]
) -> str | None:
    """Return why an issue is not started now, None if it may be."""
    branch = branch_of_issue(project.branch_pattern, issue.number)
    standing = around.claims.in_the_way_of(branch) if around.claims else None
    facts = IssueFacts(
        number=issue.number,
        body=issue.body,
        labels=issue.labels,
        is_open=issue.state == "open",
        branch=branch,
        branch_exists=None if around.claims is None else standing == branch,
        has_open_run=issue.number in around.running,
        open_change=around.changes.get(branch),
        in_the_way=standing,
        dependencies=issue.dependencies,
        blocked_elsewhere=issue.blocked_elsewhere,
        doubt=issue.doubt,
    )
    return issue_hold(facts, open_numbers)


def _no_issue(project: Project, number: int) -> NotFound:
    return NotFound(f"{project.name} has no issue #{number}.")
