"""Salvage: delivering kept commits on request, and releasing runs without proof of their end."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from app.domain.lifecycle import DONE
from app.domain.words import Delivers
from app.errors import (
    AlreadyEnded,
    ChangeClosed,
    ForgeUnavailable,
    NotChecked,
    NotDeliverable,
    NotFound,
    Refusal,
    StillLive,
)
from app.failpoints import failpoint
from app.records.database.database import begin_to_write
from app.records.feed import ObstacleRemoved
from app.records.people.audit_ledger import Deed
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_columns import RunColumns
from app.records.tables import Project, Run
from app.services.context import Context, repository_of
from app.services.kept.parked import is_aside_of_change, refuse_in_use
from app.services.lifecycle.change_heads import ChangeHeads
from app.services.lifecycle.deliver import Deliverer, NotDelivered
from app.services.lifecycle.finalize import delivery_columns, judge_delivered
from app.services.ports import CannotRead, Delivery, Repository
from app.services.push_checks import PUSH_ANYWAY, refusal_of
from app.services.runs.idempotency import Keys, Sent

log = structlog.get_logger()


class Salvage:
    """A person's actions on a run that ended badly; the run's status does not change."""

    def __init__(
        self,
        context: Context,
        deliverer: Deliverer,
        keys: Keys,
    ) -> None:
        ledgers, adapters = context.ledgers, context.adapters
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._parked = ParkedLedger(ledgers.runs)
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._engine = adapters.engine
        self._heads = ChangeHeads(adapters)
        self._deliverer = deliverer
        self._keys = keys
        self._locks = context.locks
        self._publish = context.feed.publish

    # --- deliver -------------------------------------------------------------------------------

    def deliver(
        self,
        run_id: str,
        deed: Deed,
        key: str | None,
        now: datetime,
        *,
        push_anyway: bool = False,
    ) -> tuple[Run, bool]:
        """Deliver a run's kept commits; return the run, and True if the key had already done so.

        `push_anyway` overrides objections of the checks before the push. If interrupted after the
        push, a repeated call completes it. Raises NotFound, KeyReused, KeyTaken, PrLock,
        NotDeliverable, SecretFound, FileTooLarge, NotChecked, ForgeUnavailable.
        """
        run, project = self._find(run_id)
        branch = f"branch {run.project_id} {run.work_branch}"
        with self._locks.holding(branch), self._locks.holding(run_id):
            run = self._runs.find(run_id) or run
            if run.delivery is not None and self._was_delivered_under(run, key):
                return run, True
            self._refuse_used(run, key, deed.person_id, now)
            self._refuse_undeliverable(run)
            missing = self._take_work(run, project)
            change = self._heads.find(project, run)
            if change is not None and change.state != "open":
                raise ChangeClosed.of(change.number, change.state)
            outcome = self._deliverer.deliver_now(run, project, push_anyway=push_anyway)
            if isinstance(outcome, NotDelivered):
                raise _refusal(outcome)
            begin_to_write()
            failpoint("salvage.before_commit")
            data = {PUSH_ANYWAY: True} if push_anyway else {}
            told = replace(deed, because=f"{deed.because}; {missing}") if missing else deed
            is_all = self._has_all(repository_of(project), run, outcome.head_sha)
            self._write(run, outcome, told, {"key": _digest(key), **data}, now, is_all=is_all)
        return self._find(run_id)[0], False

    def _refuse_undeliverable(self, run: Run) -> None:
        if run.delivery is not None:
            number = run.delivery["number"]
            raise NotDeliverable(f"This run is delivered already, as change request #{number}.")
        if run.status not in DONE:
            raise NotDeliverable("This run has not ended yet.")
        if run.delivers != Delivers.CHANGE:
            raise NotDeliverable("This run reports; it opens no change request.")
        if is_aside_of_change(run):
            sentence = f"It was set aside: a retry started from change request #{run.pr_number}."
            raise NotDeliverable(f"{sentence} Discard it.")
        if run.released_at is None:
            raise NotDeliverable("Its processes may still be running. Try again in a moment.")
        refuse_in_use(self._parked, run.project_id, run.work_branch)
        # discarded or handed-over work is not this run's: the branch may hold another run's work
        kept = self._parked.of_branch(run.project_id, run.work_branch)
        if all(one.id != run.id for one in kept):
            raise NotDeliverable("This run's work is no longer kept.")

    def _take_work(self, run: Run, project: Project) -> str | None:
        """Take the commits from a run's copy; return, for people, why some may be missing.

        Raises NotDeliverable if there are none to deliver.
        """
        repo, because, missing = repository_of(project), None, None
        if self._copies.exists(run.id):
            try:
                self._copies.import_work(repo, run.id, run.work_branch)
            except (CannotRead, OSError, ValueError) as problem:
                # commits taken earlier can still be delivered; the copy stays as it is
                because = f"The working copy could not be read: {problem}"
                missing = f"without newer commits of its working copy: {problem}"
                log.info("run_delivered_without_copy", run_id=run.id, because=problem)
        try:
            tip = self._mirrors.tip(repo, run.work_branch)
            base = run.base_sha or tip or ""
            has_commits = tip is not None and self._mirrors.stat(repo, base, tip).commits > 0
        except (CannotRead, OSError) as problem:
            raise NotDeliverable(f"The mirror could not be read: {problem}") from problem
        if not has_commits:
            raise NotDeliverable(because)
        return missing

    def _has_all(self, repo: Repository, run: Run, head_sha: str) -> bool:
        """Return True if a delivered commit has all that the run's branch holds.

        A request that its agent opened may be without some: its branch was rewritten at the forge.
        """
        try:
            tip = self._mirrors.tip(repo, run.work_branch)
            is_same = tip in (None, head_sha)
            return is_same or not self._mirrors.stat(repo, head_sha, tip or "").commits
        except (CannotRead, OSError) as problem:
            log.info("delivered_work_not_read", run_id=run.id, because=problem)
            return False

    def _write(
        self,
        run: Run,
        delivery: Delivery,
        deed: Deed,
        about: dict[str, Any],
        now: datetime,
        *,
        is_all: bool,
    ) -> None:
        word = "opened" if run.pr_number is None else "updated"
        how = " as a draft" if self._deliverer.is_red(run) else ""
        told = f"change request #{delivery.number} {word}{how}, {deed.because}"
        done = replace(deed, because=told)
        is_kept = self._copies.exists(run.id) or not is_all
        columns: RunColumns = {"parked": is_kept, **delivery_columns(delivery)}
        data = {"number": delivery.number, **about}
        self._parked.write([run], done, now, kind="salvage", data=data, **columns)
        for other in self._parked.of_branch(run.project_id, run.work_branch):
            # the change request includes the commits of earlier runs of the branch
            if other.id != run.id and is_all and not self._copies.exists(other.id):
                self._runs.update_fields(other.id, other.project_id, parked=False)

    def _refuse_used(self, run: Run, key: str | None, person_id: str, now: datetime) -> None:
        if key:
            asked = _digest(f"deliver {run.id}")
            self._keys.known(Sent(run.project_id, key, person_id, asked), now)

    def _was_delivered_under(self, run: Run, key: str | None) -> bool:
        digest = _digest(key)
        lines = self._runs.timeline(run.id) if digest else []
        return any(one.kind == "salvage" and one.data.get("key") == digest for one in lines)

    # --- release -------------------------------------------------------------------------------

    def release(self, run_id: str, deed: Deed, now: datetime) -> Run:
        """Release an ended run without proof of its end: frees slot, lock and branch, keeps work.

        Raises NotFound, StillLive, AlreadyEnded.
        """
        self._find(run_id)
        with self._locks.holding(run_id):
            run, project = self._find(run_id)
            if run.status not in DONE:
                raise StillLive("This run is still in progress. Stop it first.")
            parked = self._is_anything_kept(run, project)
            if not self._parked.give_up(run, deed, now, parked=parked):
                raise AlreadyEnded("This run is already released.")
            self._engine.unwatch(run_id)
        self._publish([ObstacleRemoved()])
        return self._find(run_id)[0]

    def _is_anything_kept(self, run: Run, project: Project) -> bool:
        if self._copies.exists(run.id):
            return True
        try:
            tip = self._mirrors.tip(repository_of(project), run.work_branch)
        except (CannotRead, OSError):
            return True  # unreadable work may still be there
        if tip is None or run.delivery is None:
            return tip is not None
        return judge_delivered(run, tip).parked

    def _find(self, run_id: str) -> tuple[Run, Project]:
        run = self._runs.find(run_id)
        project = self._projects.find(run.project_id) if run else None
        if run is None or project is None:
            raise NotFound
        return run, project


def _refusal(outcome: NotDelivered) -> Refusal:
    if outcome.for_good:
        return refusal_of(outcome.cause, outcome.because)
    if outcome.unchecked is not None:
        return NotChecked(f"Not pushed: {outcome.because}")
    sentence = outcome.because[:1].upper() + outcome.because[1:]
    return ForgeUnavailable(f"{sentence.rstrip('.')}. Nothing is lost; deliver it again later.")


def _digest(key: str | None) -> str:
    return hashlib.sha256(key.encode()).hexdigest() if key else ""
