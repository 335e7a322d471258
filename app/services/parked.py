"""Parked work: what is kept and why, and the one unguarded delete."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.words import Cause, Delivers, Status, label_of
from app.errors import ConfirmMismatch, NotDiscarded, NotFound
from app.failpoints import reach
from app.records.audit_ledger import Deed
from app.records.parked_ledger import ParkedLedger
from app.records.succession_ledger import SuccessionLedger
from app.records.tables import Project, Run
from app.services.floor import Ledgers, Outside
from app.services.holdings import Holding, Holdings
from app.services.ports import CannotRead, OriginProblem, Repository
from app.services.prechecks import repository_of
from app.services.push_checks import awaits_word
from app.services.run_locks import Locks
from app.services.trigger import locked_by

log = logging.getLogger(__name__)
NOT_KNOWN_YET = "being measured"
NAME_IT = "Work would be lost, or could not be read. Confirm with the branch name."


@dataclass(frozen=True)
class ParkedView:
    """Kept work: what it holds, why and since when, its age in seconds, and its copy's bytes.

    `bytes` is None while the copy is being measured, and where it cannot be read. With `is_lock`
    nothing is kept but the issue: no run takes it before it is freed. With `needs_push_anyway` a
    check has kept it from being pushed until a person says so.
    """

    project_id: str
    project_name: str
    branch: str
    run_id: str
    issue: int | None
    holds: str
    because: str
    kept_since: datetime
    age_seconds: int
    bytes: int | None
    can_deliver: bool
    needs_push_anyway: bool
    is_lock: bool


class ParkedDesk:
    """Where kept work is shown and discarded."""

    def __init__(
        self,
        ledgers: Ledgers,
        outside: Outside,
        holdings: Holdings,
        locks: Locks,
        on_discarded: Callable[[], None],
    ) -> None:
        self._projects = ledgers.projects
        self._parked = ParkedLedger(ledgers.runs)
        self._successions = SuccessionLedger(ledgers.runs)
        self._mirrors = outside.mirrors
        self._copies = outside.copies
        self._holdings = holdings
        self._locks = locks
        self._on_discarded = on_discarded

    def all(self, now: datetime) -> list[ParkedView]:
        """Everything that is kept, oldest first, one item a branch."""
        projects = {project.id: project for project in self._projects.all()}
        kept = [
            (run, projects[run.project_id])
            for run in self._parked.all()
            if run.project_id in projects
        ]
        holdings = self._holdings.of(kept)
        return [_view(run, project, holdings[run.id], now) for run, project in kept]

    def discard(
        self, project_id: str, branch: str, confirm: str | None, deed: Deed, now: datetime
    ) -> int:
        """Delete a parked branch and its copies, whatever they hold; how many runs it was of.

        `confirm` repeats the branch; it may be None where nothing would be lost.
        Ended in the middle, it leaves the branch listed, and doing it again completes it.
        Raises NotFound, ConfirmMismatch, PrLock, NotDiscarded.
        """
        project = self._projects.find(project_id)
        with self._locks.holding(f"branch {project_id} {branch}"):
            runs = self._parked.of_branch(project_id, branch)
            is_there = runs or self._parked.open_run(project_id, branch)
            if project is None or not is_there:
                raise NotFound
            if confirm not in (None, branch):
                raise ConfirmMismatch
            if confirm is None and not self._holds_nothing(runs, project):
                raise ConfirmMismatch(NAME_IT)
            refuse_in_use(self._parked, project_id, branch)
            self._delete(repository_of(project), runs, branch)
            reach("discard.after_claim")
            self._parked.write(runs, deed, now, kind="note", parked=False)
        self._on_discarded()
        return len(runs)

    def _holds_nothing(self, runs: list[Run], project: Project) -> bool:
        return all(self._holdings.measure(run, project).is_nothing for run in runs)

    def _delete(self, repo: Repository, runs: list[Run], branch: str) -> None:
        claim = self._claim_of(repo, runs, branch)
        for run in runs:
            with self._locks.holding(run.id):
                try:
                    self._copies.remove(run.id)
                except (CannotRead, OSError) as problem:
                    raise NotDiscarded(f"The working copy could not be deleted: {problem}") from (
                        problem
                    )
            reach("discard.after_copy")
        # whoever took the branch while the copies went has it now
        refuse_in_use(self._parked, repo.project_id, branch)
        if claim is not None and not _open_change(runs):
            self._clear_origin(repo, runs)
            if not self._mirrors.release(repo, branch, expected_sha=claim):
                raise NotDiscarded(f"The branch {branch} has moved. Discard it again.")

    def _claim_of(self, repo: Repository, runs: list[Run], branch: str) -> str | None:
        """The commit of the claim, None where it has none (any more)."""
        if not self._mirrors.exists(repo):
            return None
        try:
            tip = self._mirrors.tip(repo, branch)
        except (CannotRead, OSError) as problem:
            raise NotDiscarded(f"The mirror could not be read: {problem}") from problem
        change = _open_change(runs)
        if change and tip not in (None, change["head_sha"]):
            raise NotDiscarded(
                f"Change request #{change['number']} is open on this branch, which has moved on."
                " Merge or close it first."
            )
        return tip

    def _clear_origin(self, repo: Repository, runs: list[Run]) -> None:
        """Delete at origin what we pushed, if it is still exactly that: it would refuse a rerun."""
        ours = [run for run in runs if run.pr_number is None]
        for head in self._successions.pushed_by(ours):
            branch = ours[0].work_branch
            try:
                self._mirrors.delete_at_origin(repo, branch, expected_sha=head)
            except (OriginProblem, CannotRead, OSError) as problem:
                log.info("the branch %s stays at origin: %s", branch, problem)


def refuse_in_use(parked: ParkedLedger, project_id: str, branch: str) -> None:
    """Raise PrLock where an open run writes to the branch."""
    holder = parked.open_run(project_id, branch)
    if holder is not None:
        raise locked_by(holder)


def may_deliver(run: Run, commits: int | None) -> bool:
    """True where a run that ended without delivery left commits that a change could be made of."""
    return run.delivery is None and run.delivers == Delivers.CHANGE and bool(commits)


def _open_change(runs: list[Run]) -> dict[str, object] | None:
    found = (run.delivery for run in runs if run.delivery and run.delivery["state"] == "open")
    return next(found, None)


def _view(run: Run, project: Project, holding: Holding | None, now: datetime) -> ParkedView:
    since = run.ended_at or run.created_at
    return ParkedView(
        project_id=run.project_id,
        project_name=project.name,
        branch=run.work_branch,
        run_id=run.id,
        issue=run.issue,
        holds=holding.words if holding else NOT_KNOWN_YET,
        because=_because(run),
        kept_since=since,
        age_seconds=max(0, int((now - since).total_seconds())),
        bytes=holding.bytes if holding else None,
        can_deliver=holding is not None and may_deliver(run, holding.commits),
        needs_push_anyway=awaits_word(run),
        is_lock=run.issue is not None and holding is not None and holding.is_nothing,
    )


def _because(run: Run) -> str:
    if run.delivery is not None:
        number, state = run.delivery["number"], run.delivery["state"]
        if state == "closed":
            return f"change request #{number} was closed without merging"
        return f"holds more than change request #{number}"
    return run.because or label_of(Status(run.status), Cause(run.cause) if run.cause else None)
