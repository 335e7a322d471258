"""Composes notifications, each in the transaction of its event, and the digests of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from app.domain.notifications import (
    DIGEST_RUNS,
    Digest,
    Kind,
    Outcome,
    Told,
    outcome_of,
    outcome_words,
)
from app.domain.quiet_hours import Timetable, Window
from app.domain.review.inbox import change_path, run_path
from app.domain.usage_limits import MAX_RESUMES
from app.domain.words import PAUSE_THRESHOLD, Cause, Status, Trigger
from app.records.database.database import Transaction
from app.records.feed import (
    BatchEnded,
    Happening,
    NothingKept,
    PersonNeeded,
    ProjectBroke,
    ProjectPaused,
    RunEnded,
    WorkParked,
)
from app.records.people.notification_ledger import OF_BATCH, NoticeLedger
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.project_reading import ProjectUnreadable
from app.records.runs.selections import EndedAlike, EndedRuns, ended_of_batch, last_of_batch
from app.records.tables import Notification, Run
from app.services.notifications.receivers import Receivers

AGENT_WORDS = {
    Cause.AUTH: "needs you: its agent is not signed in",
    Cause.AGENT_MISSING: "needs you: its agent was not found",
}
FAILED_WORDS = {
    Outcome.FAILED: "failed: nothing is kept",
    Outcome.NO_CHANGE: "made no change: nothing is kept",
}
WORK_IS_KEPT = "needs you: work is kept until you decide"
KEPT_WORDS = {
    Cause.SECRET_FOUND: "needs you: its commits contain a secret and were not pushed",
    Cause.FILE_TOO_LARGE: "needs you: a file in its commits is too large, so they were not pushed",
    Cause.CHECKS_FAILED: "needs you: its checks failed, and its work is kept until you decide",
    Cause.CHECKS_ERROR: "needs you: a check could not be started, and its work is kept",
}
RED_DRAFT = "delivered as a draft: its checks failed"
ISSUE_IS_HELD = "needs you: the issue stays out of the queue until you free it"
LIMIT_IS_MET = "needs you: it waits at its usage limit until you resume it"


@dataclass(frozen=True)
class Outcomes:
    """Numbers of runs by outcome, and their cost in US dollars (None if no run reported one)."""

    counts: Counter[Outcome]
    cost_usd: float | None


def outcomes_of(ended: Iterable[EndedAlike]) -> Outcomes:
    """Sum up ended runs."""
    counts: Counter[Outcome] = Counter()
    costs: list[float] = []
    for one in ended:
        counts[outcome_of(one.status, one.cause)] += one.count
        costs += [] if one.cost_usd is None else [one.cost_usd]
    return Outcomes(counts, round(sum(costs), 6) if costs else None)


@dataclass(frozen=True)
class NoticeRules:
    """Kinds and times of notifications; `address` is the base URL of this server."""

    kinds: frozenset[Kind]
    timetable: Timetable
    address: str


class Notices:
    """Writes notifications for domain events, on a server that has receivers."""

    def __init__(
        self,
        ledger: NoticeLedger,
        projects: ProjectLedger,
        rules: NoticeRules,
        receivers: Receivers,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._projects = projects
        self._rules = rules
        self._receivers = receivers
        self._clock = clock

    def record(self, tx: Transaction, happening: Happening) -> None:
        """Write the notifications of an event, in its transaction."""
        if not self._receivers.all():
            return
        now = self._clock()
        for kind, key, told in self._write(tx, happening, now):
            if marks := self._receivers.marks_for(_project_of(happening), kind):
                due_at = self._rules.timetable.free_at(now)
                about = told.as_data()
                self._ledger.write(tx, kind, key, marks, about, now=now, due_at=due_at)

    def _write(
        self, tx: Transaction, happening: Happening, now: datetime
    ) -> Iterator[tuple[Kind, str, Told | Digest]]:
        match happening:
            case RunEnded(run):
                yield from self._write_end(run, now)
            # read again: the run may have been loaded before its end was written
            case WorkParked(run, holds_work):
                yield from self._write_parked(tx.get(Run, run.id) or run, holds_work=holds_work)
            case NothingKept(run):
                yield from self._write_failure(tx.get(Run, run.id) or run)
            case ProjectPaused(project_id, because):
                what = f"is paused after {PAUSE_THRESHOLD} failures in a row"
                told = Told(self._name(project_id), what, "", because, f"/projects/{project_id}")
                yield Kind.PAUSED, f"paused:{project_id}:{now.isoformat()}", told
            case ProjectBroke(project_id, because):
                told = Told(
                    self._name(project_id),
                    "needs you: it could not be cloned",
                    "",
                    because,
                    f"/projects/{project_id}",
                )
                yield Kind.NEEDS_YOU, f"broken:{project_id}:{now.isoformat()}", told
            case BatchEnded(batch_id):
                yield Kind.DIGEST, f"{OF_BATCH}{batch_id}", self._sum_up(tx, happening)
            case PersonNeeded(key, project_id, what, because, path):
                told = Told(self._name(project_id), what, "", because, path)
                yield Kind.NEEDS_YOU, key, told

    def _write_end(self, run: Run, now: datetime) -> Iterator[tuple[Kind, str, Told]]:
        if run.status == Status.SUCCEEDED:
            what = RED_DRAFT if run.cause == Cause.DELIVERED_RED else "delivered"
            yield Kind.DELIVERED, f"delivered:{run.id}", self.describe(run, what)
        if run.cause in AGENT_WORDS:
            told = Told(
                self._name(run.project_id),
                AGENT_WORDS[Cause(run.cause)],
                run.agent,
                run.because or "",
                "/settings",
            )
            # one message per agent and day, however many runs it fails
            yield Kind.NEEDS_YOU, f"{run.cause}:{run.agent}:{now.date()}", told
        if _is_limited_for_good(run):
            what = "needs you: its account met its usage limit again and again"
            yield Kind.NEEDS_YOU, f"limited:{run.id}", self.describe(run, what)
        if run.parked:
            yield from self._write_parked(run, holds_work=True)
        elif run.released_at is not None:
            yield from self._write_failure(run)

    def _write_parked(self, run: Run, *, holds_work: bool) -> Iterator[tuple[Kind, str, Told]]:
        continues = run.may_resume and self._resumes_by_itself(run.project_id)
        if continues or _is_limited_for_good(run):
            return  # no person is needed, or the run's end has notified already
        empty = LIMIT_IS_MET if run.issue is None else ISSUE_IS_HELD
        kept = KEPT_WORDS.get(Cause(run.cause), WORK_IS_KEPT) if run.cause else WORK_IS_KEPT
        what = kept if holds_work else empty
        # `Try again` is on the project's page
        is_of_project = run.cause == Cause.CHECKS_ERROR
        path = f"/projects/{run.project_id}" if is_of_project else run_path(run.id)
        told = Told(self._name(run.project_id), what, run.work_branch, run.because or "", path)
        yield Kind.NEEDS_YOU, f"parked:{run.id}", told

    def _write_failure(self, run: Run) -> Iterator[tuple[Kind, str, Told]]:
        if run.parked or run.delivery or run.may_resume or run.cause in AGENT_WORDS:
            return  # work is kept, the run resumes, or its end has notified already
        if run.status == Status.NOT_STARTED and run.trigger == Trigger.AUTO:
            return  # the loop retries its issue
        outcome = outcome_of(Status(run.status), Cause(run.cause) if run.cause else None)
        if what := FAILED_WORDS.get(outcome):
            yield Kind.FAILED, f"failed:{run.id}", self.describe(run, what)

    def _sum_up(self, tx: Transaction, batch: BatchEnded) -> Digest:
        outcomes = outcomes_of(ended_of_batch(tx, batch.batch_id))
        lines = tuple(map(self.line_of, last_of_batch(tx, batch.batch_id, limit=DIGEST_RUNS)))
        what = f"batch of {batch.run_count}: {outcome_words(outcomes.counts)}"
        path = f"/batches/{batch.batch_id}"
        told = Told(self._name(batch.project_id), what, path=path)
        more = outcomes.counts.total() - len(lines)
        return Digest(outcomes.counts, outcomes.cost_usd, lines, more, told)

    def line_of(self, run: Run) -> Told:
        """Return an ended run as a line of a digest."""
        cause = Cause(run.cause) if run.cause else None
        is_red = cause is Cause.DELIVERED_RED
        return self.describe(run, RED_DRAFT if is_red else outcome_of(Status(run.status), cause))

    def describe(self, run: Run, what: str) -> Told:
        """Return a run as one message, with `what` happened to it."""
        subject = run.title if run.issue is None else f"#{run.issue} {run.title}"
        because, path = run.because or "", run_path(run.id)
        if run.delivery:
            because = f"change request #{run.delivery['number']}"
            # as the inbox: a pull request is at its forge, and its run links there
            if run.delivery["kind"] == "change":
                path = change_path(run.project_id, run.delivery["number"])
        return Told(self._name(run.project_id), what, subject, because, path)

    def _resumes_by_itself(self, project_id: str) -> bool:
        try:
            project = self._projects.find(project_id)
        except ProjectUnreadable:
            return False  # it needs a person anyway
        return project is not None and project.resume_after_limit

    def _name(self, project_id: str) -> str:
        # the name can be read even if the rest of the project's row cannot
        return self._projects.names.one(project_id) or "a project"


def _project_of(happening: Happening) -> str:
    match happening:
        case RunEnded(run) | WorkParked(run) | NothingKept(run):
            return run.project_id
        case _:
            return happening.project_id


def _is_limited_for_good(run: Run) -> bool:
    return run.status == Status.LIMITED and run.resumes >= MAX_RESUMES


@dataclass(frozen=True)
class Night:
    """The runs that ended in a time window: the same for every receiver."""

    outcomes: Outcomes
    runs: tuple[Told, ...]
    ended: int


class Digests:
    """Writes the digest that is due, once per receiver."""

    def __init__(
        self,
        ledger: NoticeLedger,
        ended: EndedRuns,
        notices: Notices,
        rules: NoticeRules,
        receivers: Receivers,
    ) -> None:
        self._ledger = ledger
        self._ended = ended
        self._notices = notices
        self._rules = rules
        self._receivers = receivers

    def write_once(self, now: datetime) -> int:
        """Write the digest that is due and not yet written. Return the number of receivers."""
        window = self._rules.timetable.last_window(now)
        if window is None or Kind.DIGEST not in self._rules.kinds:
            return 0
        key = f"digest:{window.end.isoformat()}"
        told = self._ledger.told(key)
        lacking = [
            one.mark
            for one in self._receivers.all()
            if one.mark not in told and (one.since is None or one.since <= window.end)
        ]
        if not lacking:
            return 0
        # without quiet hours nothing is held back for a digest
        is_quiet = self._rules.timetable.quiet is not None
        waiting = self._ledger.due_receivers(window.end) if is_quiet else set[str]()
        night = self._look_back(window)

        def gathered(receiver: str) -> list[Notification]:
            return self._ledger.waiting(receiver, window.end) if receiver in waiting else []

        return sum(self._write(key, one, night, gathered(one), now) for one in lacking)

    def _write(
        self, key: str, receiver: str, night: Night, rows: list[Notification], now: datetime
    ) -> bool:
        kept = [_line_of(row) for row in rows if _is_own_line(row)]
        lines = (*kept, *night.runs)[:DIGEST_RUNS]
        more = len(kept) + night.ended - len(lines)
        digest = Digest(night.outcomes.counts, night.outcomes.cost_usd, lines, more=more)
        if digest.is_empty and not rows:
            return False
        ids = [row.id for row in rows]
        self._ledger.add_digest(key, receiver, digest.as_data(), ids, now)
        return True

    def _look_back(self, window: Window) -> Night:
        outcomes = outcomes_of(self._ended.sums(window.begin, window.end))
        ended = outcomes.counts.total()
        outcomes.counts[Outcome.HELD] += self._ended.count_held()
        runs = self._ended.newest(window.begin, window.end, limit=DIGEST_RUNS)
        return Night(outcomes, tuple(map(self._notices.line_of, runs)), ended)


def _line_of(row: Notification) -> Told:
    # one line is enough for a batch: its runs are counted among those that ended
    return Told(**(row.about["told"] if row.kind == Kind.DIGEST else row.about))


def _is_own_line(row: Notification) -> bool:
    # deliveries and failures are counted among the runs that ended
    return row.kind not in (Kind.DELIVERED, Kind.FAILED)
