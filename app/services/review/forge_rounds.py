"""Rounds on pull requests: runs for red CI and for reviews at a forge, and their answers there."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from app.domain.agents.prompt_parts import ReviewComment, as_text
from app.domain.ids import shorten
from app.domain.projects.trust import AGENT_CONFIG
from app.domain.review.sent import MAX_REVIEW_BYTES, SentComment, as_rows, lines_around
from app.domain.tracker.ci import CiState, read_ci
from app.domain.tracker.merge_waits import WORKED_ON
from app.domain.words import Depth, Side, Status, Trigger
from app.errors import Refusal
from app.failpoints import failpoint
from app.records.people.audit_ledger import acting, by_loop
from app.records.projects.change_ends import undecided
from app.records.review.forge_comments import ForgeComments
from app.records.runs.handover_ledger import HandoverLedger
from app.records.tables import ChangeRequest, ForgeComment, Project, Run
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, ForgeSilent, PullRequests, RequestState, Thread, Wish
from app.services.review.ci_fixing import CiFixing
from app.services.review.feedback import MAX_FILE_BYTES
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Accepted, HeldBack, Requester, RunRequest
from app.services.tracker.scheduled_merges import ScheduledMerges

log = structlog.get_logger()
BY_ITSELF = "auto"
# in a run's provenance: what it was started for without a person, and for which commit or comments
ROUND = "round"
CI, REVIEW = "ci", "review"
# a forge tells times in whole seconds: a comment may follow in the same one
TRIED_AGAIN = timedelta(seconds=60)
SAME_SECOND = timedelta(seconds=5)
# of one comment
MOST_TEXT = 16 * 1024


class ForgeRounds:
    """Follows the open pull requests of a project after each look at them.

    A comment is recorded before its run is accepted, with the key of that acceptance: a server
    that ended in between finds out by the same key, so that no comment is worked through twice.
    """

    def __init__(
        self,
        context: Context,
        accept: AcceptService,
        fixing: CiFixing,
        merges: ScheduledMerges,
    ) -> None:
        self._stores = context.stores
        self._runs = context.ledgers.runs
        self._tracker = context.ledgers.tracker
        self._forges = context.ledgers.forges
        self._handovers = HandoverLedger(context.ledgers.runs)
        self._comments = ForgeComments(context.stores)
        self._mirrors = context.adapters.mirrors
        self._provenance = context.identity.as_dict()
        self._locks = context.locks
        self._accept = accept
        self._fixing = fixing
        self._merges = merges
        # by change: the last update of its pull request, the number of runs and the rounds allowed
        # when there was nothing to start
        self._seen: dict[tuple[str, int], tuple[datetime | None, int, int]] = {}
        # by change: until when a start that was refused is not tried again
        self._rests: dict[tuple[str, int], datetime] = {}

    def follow(
        self,
        project: Project,
        requests: PullRequests,
        states: Mapping[int, RequestState],
        now: datetime,
    ) -> None:
        """Answer, read and start what is due on a project's open pull requests."""
        # a hook at another server may have this one looked at, too
        with self._locks.holding(f"forge rounds {project.id}", wait=False) as is_held:
            if is_held and project.state == "ready":
                self._go_round(project, requests, states, now)

    def _go_round(
        self,
        project: Project,
        requests: PullRequests,
        states: Mapping[int, RequestState],
        now: datetime,
    ) -> None:
        for change in undecided(self._stores, project.id):
            state = states.get(change.number)
            if change.run_id is None or state is None or state.state != "open":
                continue
            try:
                self._follow(project, requests, change, state, now)
            except ForgeSilent as silence:
                log.info("reviews_not_read", change=change.number, because=silence)
                if not silence.needs_attention:
                    return

    def _follow(
        self,
        project: Project,
        requests: PullRequests,
        change: ChangeRequest,
        state: RequestState,
        now: datetime,
    ) -> None:
        taken = self._comments.of_change(project.id, change.number)
        self._answer(project, requests, change, [one for one in taken if not one.answered])
        runs = self._runs_on(change)
        is_resting = now < self._rests.get((project.id, change.number), now)
        if is_resting or any(one.released_at is None for one in runs):
            return
        if project.trust_hold is not None or not self._is_trusted(project, change, runs):
            return
        runs = [one for one in runs if one.pr_number == change.number or one.id == change.run_id]
        if self._take_up_reviews(project, requests, change, state, taken, runs, now):
            return
        self._fix_ci(project, change, runs, now)

    def _is_trusted(self, project: Project, change: ChangeRequest, runs: Sequence[Run]) -> bool:
        """Return False if somebody else pushed files there that tell agents what to do.

        A person can still start a run on the change.
        """
        last = next((one.head_sha for one in reversed(runs) if one.head_sha), None)
        if last is None or last == change.head_sha:
            return True
        try:
            repo = repository_of(project)
            files = self._mirrors.changed_between(repo, last, change.head_sha, AGENT_CONFIG)
        except (CannotRead, ValueError) as problem:
            log.info("head_not_compared", change=change.number, because=problem)
            return False
        if files != []:
            log.info("head_not_trusted", change=change.number, files=files)
        return files == []

    def _runs_on(self, change: ChangeRequest) -> list[Run]:
        runs = self._handovers.of_branch(change.project_id, change.branch)
        return sorted(runs, key=lambda one: (one.created_at, one.id))

    # --- CI ------------------------------------------------------------------------------------

    def _fix_ci(
        self, project: Project, change: ChangeRequest, runs: Sequence[Run], now: datetime
    ) -> None:
        if read_ci(change.ci_seen, change.head_sha).state is not CiState.FAILED:
            return
        mark = f"{CI} {change.head_sha}"
        # a run that left the head as it was is not repeated
        if any(one.provenance.get(ROUND) == mark for one in runs):
            return
        if _in_a_row(runs, CI) >= project.ci_rounds:
            return
        key = f"{mark} {change.number}"
        self._start(
            change,
            lambda asked: self._fixing.fix(project.id, change.number, asked, now),
            self._requester(key, mark),
            now,
        )

    # --- reviews -------------------------------------------------------------------------------

    def _take_up_reviews(
        self,
        project: Project,
        requests: PullRequests,
        change: ChangeRequest,
        state: RequestState,
        taken: Sequence[ForgeComment],
        runs: Sequence[Run],
        now: datetime,
    ) -> bool:
        """Start a run for comments that no run has worked through; True if one was started."""
        place = change.project_id, change.number
        begun = [one for one in taken if one.run_id is None]
        seen = state.updated_at, len(runs), project.review_rounds
        if not begun and self._seen.get(place) == seen:
            return False
        wishes = self._wishes(project, requests, change)
        known = {(one.place, one.comment_id) for one in taken}
        is_used_up = not begun and _in_a_row(runs, REVIEW) >= project.review_rounds
        unknown = [one for one in wishes if (one.place, one.id) not in known]
        self._note_waiting(change, len(unknown) if is_used_up else 0)
        if begun:
            # a server ended while it started this run: the same key finds out whether it did
            key = begun[0].key
            if accepted := [one for one in runs if one.provenance.get(ROUND) == key]:
                self._comments.note_run(project.id, key, accepted[0].id)
                return True
            fresh = _taken_with(key, wishes, taken)
        else:
            fresh = [] if is_used_up else _fitting(unknown)
            key = f"{REVIEW} {_digest(change, fresh)}"
        if not fresh:
            if begun:
                self._comments.let_go(project.id, key)
            elif _is_settled(state, now):
                self._seen[place] = seen
            return False
        if not begun:
            self._comments.take_up(_rows(change, fresh, key, now))
            failpoint("reviews.taken_up")
        return self._work_through(project, change, fresh, key, now)

    def _note_waiting(self, change: ChangeRequest, count: int) -> None:
        if change.reviews_waiting != count:
            self._tracker.update_change(change.project_id, change.number, reviews_waiting=count)

    def _wishes(
        self, project: Project, requests: PullRequests, change: ChangeRequest
    ) -> list[Wish]:
        """Return the comments of people: what Runyard's own account said is never a wish."""
        own = {one.acts_as.casefold() for one in self._forges.all() if one.id == project.forge_id}
        found = requests.wishes(repository_of(project), change.number)
        return [one for one in found if one.author.casefold() not in own]

    def _work_through(
        self,
        project: Project,
        change: ChangeRequest,
        wishes: Sequence[Wish],
        key: str,
        now: datetime,
    ) -> bool:
        order = RunRequest(
            project_id=project.id,
            depth=Depth.STANDARD,
            framework="auto",
            pr_number=change.number,
            task=f"Work through the review of pull request #{change.number}.",
            asked_as=key,
            review=tuple(self._told(project, wishes)),
        )
        started = self._start(
            change,
            lambda asked: self._accept.accept(order, asked, now),
            self._requester(key, key),
            now,
        )
        if started is None:
            self._comments.let_go(project.id, key)
            return False
        self._comments.note_run(project.id, key, started.run.id)
        return True

    def _told(self, project: Project, wishes: Sequence[Wish]) -> Iterator[SentComment]:
        for one in wishes:
            first, lines = self._around(project, one)
            yield SentComment(
                ReviewComment(
                    text=as_text(one.text)[:MOST_TEXT],
                    author=as_text(one.author),
                    file=as_text(one.file or ""),
                    line=one.line,
                    side=one.side,
                    lines=lines,
                    first=first,
                )
            )

    def _around(self, project: Project, wish: Wish) -> tuple[int, tuple[str, ...]]:
        """Return the lines that a comment is about; none if the mirror does not have them."""
        if wish.file is None or wish.line is None or not wish.sha or wish.side is Side.OLD:
            return 1, ()
        try:
            found = self._mirrors.read_file(
                repository_of(project), wish.sha, wish.file, most=MAX_FILE_BYTES
            )
        except (CannotRead, OSError, ValueError) as problem:
            log.info("lines_not_read", because=problem)
            return 1, ()
        return lines_around(found.text, wish.line) if found else (1, ())

    # --- starts and answers --------------------------------------------------------------------

    def _requester(self, key: str, mark: str) -> Requester:
        provenance = self._provenance | {ROUND: mark}
        return Requester(
            BY_ITSELF, Trigger.REVIEW, key, uuid.uuid4().hex, provenance, is_charged=False
        )

    def _start(
        self,
        change: ChangeRequest,
        accept: Callable[[Requester], Accepted],
        requester: Requester,
        now: datetime,
    ) -> Accepted | None:
        """Start a run on a change, None if it is refused now."""
        try:
            with acting(by_loop("start", requester.correlation_id, now)):
                self._merges.call_off(change, WORKED_ON, now)
                return accept(requester)
        except (Refusal, HeldBack) as reason:
            log.info("round_not_started", change=change.number, because=reason)
            self._rests[change.project_id, change.number] = now + TRIED_AGAIN
            return None

    def _answer(
        self,
        project: Project,
        requests: PullRequests,
        change: ChangeRequest,
        waiting: Sequence[ForgeComment],
    ) -> None:
        """Answer the comments of runs that are over, with the commit or the lack of one."""
        for run_id in dict.fromkeys(one.run_id for one in waiting if one.run_id):
            run = self._runs.find(run_id)
            if run is not None and run.released_at is None:
                continue
            rows = [one for one in waiting if one.run_id == run_id]
            threads = [Thread(one.file, one.line, Side(one.side)) for one in rows]
            requests.answer(
                repository_of(project), change.number, run_id, threads, _words(run, run_id)
            )
            self._comments.note_answer(project.id, run_id)


def _taken_with(key: str, wishes: Sequence[Wish], taken: Sequence[ForgeComment]) -> list[Wish]:
    """Return the wishes that were recorded for the run with this key."""
    places = {(one.place, one.comment_id) for one in taken if one.key == key}
    return [one for one in wishes if (one.place, one.id) in places]


def _is_settled(state: RequestState, now: datetime) -> bool:
    """Return False while another update of a pull request may follow in the second of its last."""
    return state.updated_at is not None and now - state.updated_at > SAME_SECOND


def _words(run: Run | None, run_id: str) -> str:
    is_done = run is not None and run.status == Status.SUCCEEDED and run.head_sha is not None
    if is_done and run is not None and run.delivery is not None:
        return f"Done in {run.head_sha}."
    return f"Runyard's run …{shorten(run_id)} ended without a commit for this."


def _in_a_row(runs: Sequence[Run], kind: str) -> int:
    """Return how many rounds of a kind were started since a person last started a run."""
    found = 0
    for one in reversed(runs):
        mark = one.provenance.get(ROUND, "")
        if not mark and one.created_by != BY_ITSELF:
            break
        found += mark.startswith(f"{kind} ")
    return found


def _fitting(wishes: Sequence[Wish]) -> list[Wish]:
    """Return the first ones that one run can hold; the others wait for the next."""
    found: list[Wish] = []
    for one in wishes:
        told = [SentComment(ReviewComment(x.text[:MOST_TEXT], x.author)) for x in (*found, one)]
        if len(json.dumps(as_rows(told))) > MAX_REVIEW_BYTES // 2:
            break
        found.append(one)
    return found


def _digest(change: ChangeRequest, wishes: Sequence[Wish]) -> str:
    named = [change.project_id, change.number, *sorted((one.place, one.id) for one in wishes)]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]


def _rows(
    change: ChangeRequest, wishes: Sequence[Wish], key: str, now: datetime
) -> list[ForgeComment]:
    return [
        ForgeComment(
            project_id=change.project_id,
            number=change.number,
            place=one.place,
            comment_id=one.id,
            file=one.file,
            line=one.line,
            side=one.side,
            key=key,
            taken_at=now,
        )
        for one in wishes
    ]
