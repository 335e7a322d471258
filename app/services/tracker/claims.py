"""Claims told on issues at forges: a label while a run works, and one comment for each run."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.domain.backoff import Backoff
from app.domain.lifecycle import DONE
from app.domain.tracker.claims import Outcome, outcome_text, working_text
from app.domain.words import READY_LABEL, Status
from app.failpoints import failpoint
from app.records.feed import FeedBroke, ForgesChanged, Numbered, ProjectNamed, RunChanged
from app.records.runs.announcements import AnnouncementLedger
from app.records.tables import Project, Run
from app.services.concurrency import SingleFlight
from app.services.context import Context, repository_of
from app.services.ports import ClaimNotices, ForgeSilent
from app.services.system.ownership import Leases

log = structlog.get_logger()
PAUSES = Backoff(timedelta(seconds=2), timedelta(minutes=10))
# a forge that refuses to take it this often has been asked enough
MOST_REFUSALS = 5


class ClaimTeller:
    """Tells issues at forges which run works on them, and how it ended.

    Nothing of a run waits for it. Only the server that sweeps tells.
    """

    def __init__(self, context: Context, leases: Leases) -> None:
        self._projects = context.ledgers.projects
        self._ledger = AnnouncementLedger(context.stores)
        self._forges = context.adapters.forges
        self._workers = context.workers
        self._clock = context.clock
        self._leases = leases
        # when telling of a run is tried again, and its consecutive failures
        self._pauses: dict[str, tuple[datetime, int]] = {}
        self._rounds = SingleFlight(lambda _: self.tell_once(self._clock()))
        # those at forges, whose runs are followed
        self._followed: set[str] = set()
        feed = context.feed
        feed.subscribe(self._on_change, RunChanged, projects=self._followed)
        feed.subscribe(self._on_change, (ProjectNamed, ForgesChanged, FeedBroke))

    def request(self) -> None:
        """Tell soon, on a worker thread."""
        if self._forges.is_any():
            self._rounds.request(self._workers)

    def _on_change(self, _: Numbered) -> None:
        # the feed is held while it calls its listeners, and forges may have to be read
        self._workers.submit(self.request)

    def tell_once(self, now: datetime) -> int:
        """Bring every issue up to date with its runs; return how many were told something.

        While a forge is silent, its issues are told later.
        """
        known = {one.id for one in self._projects.all() if one.forge_id is not None}
        self._followed.intersection_update(known)
        self._followed.update(known)
        if not self._leases.may_sweep(now):
            return 0
        due = self._ledger.due()
        self._pauses = {run.id: self._pauses[run.id] for run in due if run.id in self._pauses}
        working = Counter((run.project_id, run.issue) for run in due if run.status not in DONE)
        told = 0
        for run in due:
            if now < self._pauses.get(run.id, (now, 0))[0]:
                continue
            try:
                others = working[run.project_id, run.issue] - (run.status not in DONE)
                told += self._tell(run, is_alone=not others)
                self._pauses.pop(run.id, None)
            except ForgeSilent as silence:
                self._put_off(run, silence, now)
            except Exception:
                log.exception("claim_not_told", run_id=run.id)
                self._wait(run, None, now)
        return told

    def _tell(self, run: Run, *, is_alone: bool) -> bool:
        project = self._projects.find(run.project_id)
        stands = dict(run.announced or {})
        is_over = run.status in DONE
        notices = self._notices_of(project) if project is not None else None
        was_silent = not stands and (run.started_at is None or not _is_told(project))
        if project is None or notices is None or was_silent:
            # nothing is told of runs that never began
            if is_over:
                self._ledger.keep(run.id, None, is_over=True)
            return False
        text, before = _text_of(run), dict(stands)
        if stands.get("text") != text:
            comment = notices.tell(
                repository_of(project), run.issue or 0, run.id, text, stands.get("comment")
            )
            failpoint("claim.after_telling")
            if comment is None:
                log.info("claimed_issue_gone", run_id=run.id)
                self._ledger.keep(run.id, None, is_over=True)
                return False
            stands |= {"text": text, "comment": comment}
            self._ledger.keep(run.id, stands)
        self._label(run, project, notices, stands, is_alone=is_alone)
        if is_over:
            self._ledger.keep(run.id, stands, is_over=True)
        return stands != before

    def _label(
        self,
        run: Run,
        project: Project,
        notices: ClaimNotices,
        stands: dict[str, Any],
        *,
        is_alone: bool,
    ) -> None:
        """Have the issue's label say if a run works on it."""
        repo, number = repository_of(project), run.issue or 0
        is_working = run.status not in DONE and _is_told(project)
        wanted = _label_of(project) if is_working else None
        there = stands.get("label")
        if wanted is None:
            # it may be there though nobody could keep that: this server may have been killed
            for name in {there, _label_of(project)} - {None} if is_alone else ():
                notices.drop_label(repo, number, str(name))
        elif wanted != there:
            if there is not None:
                notices.drop_label(repo, number, str(there))
            notices.add_label(repo, number, wanted)
        failpoint("claim.after_label")
        if wanted != there:
            stands["label"] = wanted
            self._ledger.keep(run.id, stands)

    def _notices_of(self, project: Project) -> ClaimNotices | None:
        return None if project.archived_at is not None else self._forges.notices_of(project)

    def _put_off(self, run: Run, silence: ForgeSilent, now: datetime) -> None:
        log.info("claim_told_later", run_id=run.id, because=silence)
        project = self._projects.find(run.project_id)
        is_waiting = project is not None and project.forge_id in self._forges.refusals()
        tries = self._wait(run, silence.retry_after, now)
        is_refused = silence.needs_attention and not is_waiting
        if is_refused and run.status in DONE and tries >= MOST_REFUSALS:
            log.warning("claim_never_told", run_id=run.id, because=silence)
            self._ledger.keep(run.id, None, is_over=True)

    def _wait(self, run: Run, seconds: int | None, now: datetime) -> int:
        tries = self._pauses.get(run.id, (now, 0))[1] + 1
        pause = max(PAUSES.after(tries), timedelta(seconds=seconds or 0))
        self._pauses[run.id] = now + pause, tries
        return tries


def _is_told(project: Project | None) -> bool:
    return project is not None and project.tell_claims


def _text_of(run: Run) -> str:
    if run.status not in DONE:
        return working_text(run.id)
    delivery = run.delivery or {}
    number, url = delivery.get("number"), delivery.get("url")
    return outcome_text(
        run.id,
        Outcome(
            status=Status(run.status),
            number=number if isinstance(number, int) else None,
            url=url if isinstance(url, str) else "",
            is_kept=run.parked,
        ),
    )


def _label_of(project: Project) -> str | None:
    """Return the label of claims, None for none; the one that starts runs is never one of them."""
    label = (project.claim_label or "").strip()
    return label if label and label.casefold() != READY_LABEL else None
