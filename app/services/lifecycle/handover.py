"""Handover of kept work to a retry: branch and copy, or only the branch name.

Every step is written down before it is taken; after a crash at any point it is completed or undone
from what was written, and at every moment exactly one run holds the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from app.domain.ids import is_run_id
from app.failpoints import failpoint
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run, RunEvent
from app.services.context import Adapters
from app.services.ports import BranchTaken, CannotRead, OriginProblem, Repository
from app.services.runs.requests import FROM

log = structlog.get_logger()
ASIDE = "parked"


class NothingKept(Exception):
    """Raised if the work a run was to continue is not there; the message is a sentence."""


def aside_name(branch: str, run_id: str) -> str:
    """Return the branch name for kept work set aside by a retry that starts fresh."""
    return f"{ASIDE}/{branch}/{run_id}"


def is_aside(run: Run) -> bool:
    """Return True if a run's branch was set aside."""
    # the id in the name may be another run's: all runs of the branch are set aside together
    return run.work_branch.startswith(f"{ASIDE}/") and is_run_id(run.work_branch.split("/")[-1])


def continues(run: Run) -> bool:
    """Return True for a run that is to continue kept work and has not begun."""
    return run.retry_of is not None and run.base_sha is not None


def was_to_continue(run: Run, timeline: Sequence[RunEvent]) -> bool | None:
    """Return whether a run was accepted to continue kept work, None if that was not recorded."""
    if run.retry_of is None:
        return False
    source = next((line.data.get(FROM) for line in timeline if line.kind == "accepted"), None)
    return None if source is None else source == "parked"


def _stays(successor: Run) -> bool:
    # an agent finds its session by its working folder
    return successor.session_id is not None


class Handover:
    """Moves parked work (branch and copy) to the retry at launch, and back if the launch fails."""

    def __init__(self, runs: RunLedger, adapters: Adapters, clock: Callable[[], datetime]) -> None:
        self._runs = runs
        self._parked = ParkedLedger(runs)
        self._ledger = HandoverLedger(runs)
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._clock = clock

    # --- going on ------------------------------------------------------------------------------

    def has_taken_over(self, successor: Run) -> bool:
        """Return True once the run has taken over the kept work."""
        return bool(self._recorded(successor, "copy_of"))

    def take_over(self, repo: Repository, successor: Run) -> tuple[str, str]:
        """Move the work kept on a run's branch to that run, and return the branch's base and tip.

        Raises CannotRead, and NothingKept, which leaves everything as it was.
        """
        kept = self._kept_for(successor)
        tip = self._mirrors.tip(repo, successor.work_branch)
        if tip is not None and successor.base_sha is not None and self.complete(successor):
            return successor.base_sha, tip  # an earlier launch was cut short after the move
        if not kept or tip is None:
            raise NothingKept(
                f"{successor.work_branch} is no longer kept; retry with a fresh start"
            )
        with_copy = [run for run in kept if self._copies.exists(run.id)]
        holder = (with_copy or kept)[-1]
        base = holder.base_sha or successor.base_sha or tip
        # runs without a copy of their own only have the branch, which passes with it
        passing = [run for run in kept if run is holder or run not in with_copy]
        data = {"branch": successor.work_branch, "base_sha": base, "copy_of": holder.id}
        self._ledger.pass_on(passing, successor, self._clock(), base_sha=base, data=data)
        failpoint("retry.after_take_over")
        self._copies.adopt(holder.id, successor.id, in_place=_stays(successor))
        failpoint("retry.after_adopt")
        return base, tip

    def complete(self, successor: Run) -> bool:
        """Finish an interrupted take-over; return False if the run took nothing over.

        Raises CannotRead.
        """
        told = self._recorded(successor, "copy_of")
        if told:
            self._ledger.take_remaining(successor, self._clock())
        for holder in told:
            self._copies.adopt(holder, successor.id, in_place=_stays(successor))
        return bool(told)

    def leave_as_found(self, repo: Repository, successor: Run) -> str:
        """Accept the copy as it is found; return, for people, how it was kept.

        If its state before checks was not put back when its run ended, it never is: a person may
        have worked in it since. Raises CannotRead.
        """
        is_unsettled = self._copies.drop_state(repo, successor.id)
        more = ", as it is: what its checks changed there was not put back" if is_unsettled else ""
        return f"that was kept{more}"

    def is_anothers(self, run: Run) -> bool:
        """Return True if the work on a run's branch is kept for an earlier run."""
        return bool(self._parked.of_branch(run.project_id, run.work_branch))

    # --- starting again ------------------------------------------------------------------------

    def set_aside(self, repo: Repository, successor: Run) -> None:
        """Rename the kept branch, which frees its name. Raises NothingKept, CannotRead."""
        branch, kept = successor.work_branch, self._kept_for(successor)
        tip = self._mirrors.tip(repo, branch)
        if not kept and (tip is None or successor.pr_number is not None):
            return
        name = aside_name(branch, kept[-1].id if kept else successor.retry_of or successor.id)
        # written first: after a crash past the rename, it says what to undo
        now, sentence = self._clock(), f"setting {branch} aside as {name}"
        self._runs.append_event_once(successor.id, now, "note", sentence, set_aside=name)
        if tip is not None:
            try:
                self._mirrors.rename(repo, branch, name)
            except BranchTaken as taken:
                raise NothingKept(f"the branch {name} exists already") from taken
        failpoint("retry.after_rename")
        pushed = self._ledger.heads(successor.project_id, branch).pushed
        self._ledger.rename(kept, name, now, sentence=f"set aside as {name}: a retry starts again")
        if successor.pr_number is None:
            self._clear_origin(repo, branch, pushed)

    def bring_back(self, repo: Repository, successor: Run) -> None:
        """Undo `set_aside` if the successor did it and its branch is gone again; safe to repeat.

        Raises CannotRead.
        """
        for name in self._recorded(successor, "set_aside"):
            branch, aside = successor.work_branch, self._mirrors.tip(repo, name)
            if aside is not None and not self._is_back(repo, successor, name, aside):
                return  # the successor's own work is kept there: leave both as they are
            kept = self._parked.of_branch(successor.project_id, name)
            sentence = f"back as {branch}: the retry came to nothing"
            self._ledger.rename(kept, branch, self._clock(), sentence=sentence)

    def _kept_for(self, successor: Run) -> list[Run]:
        """Return the parked runs of a run's branch; on a change's, those that it does not show."""
        kept = self._parked.of_branch(successor.project_id, successor.work_branch)
        return [run for run in kept if successor.pr_number is None or run.delivery is None]

    def _is_back(self, repo: Repository, successor: Run, name: str, aside: str) -> bool:
        """Give the branch `name`, at `aside`, its old name back; False if that is in use."""
        branch = successor.work_branch
        here = self._mirrors.tip(repo, branch)
        if here is None:
            self._mirrors.rename(repo, name, branch)
            return True
        # the branch of a change request outlives a launch that came to nothing
        if successor.pr_number is None or here not in (successor.base_sha, aside):
            return False
        if here != aside and not self._mirrors.move(repo, branch, aside, expected_sha=here):
            return False
        return self._mirrors.release(repo, name, expected_sha=aside)

    def _clear_origin(self, repo: Repository, branch: str, pushed: frozenset[str]) -> None:
        """Delete our pushed branch at origin unless it has moved: it would reject the new work."""
        for head in pushed:
            try:
                self._mirrors.delete_at_origin(repo, branch, expected_sha=head)
            except (OriginProblem, CannotRead, OSError) as problem:
                log.info("branch_left_at_origin", branch=branch, because=problem)

    def _recorded(self, successor: Run, name: str) -> list[str]:
        found = (event.data.get(name) for event in reversed(self._runs.timeline(successor.id)))
        return [str(value) for value in found if value]
