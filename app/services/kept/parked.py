"""Parked work: listing, measuring and discarding it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.rules import is_opened_by_agent
from app.domain.words import Cause, Delivers, Status, label_of
from app.errors import ConfirmMismatch, NotDiscarded, NotFound
from app.failpoints import failpoint
from app.records.feed import Change, ObstacleRemoved, ProjectChanged
from app.records.people.audit_ledger import Deed
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.parked_ledger import ParkedLedger
from app.records.tables import Project, Run
from app.services.concurrency import Workers
from app.services.context import Adapters, Context, repository_of
from app.services.lifecycle.agent_openings import AgentOpenings
from app.services.lifecycle.change_heads import ChangeHeads
from app.services.lifecycle.handover import is_aside
from app.services.ports import CannotRead, CopyState, ForgeSilent, OriginProblem, Repository
from app.services.push_checks import awaits_word
from app.services.runs.open_runs import locked_by

log = structlog.get_logger()


# seconds a request waits for sizes not measured yet
WAIT_SECONDS = 0.5
# measurements expire after this: a person may change files in a kept copy
FRESH = timedelta(minutes=1)
NOT_KNOWN_YET = "being measured"
NAME_IT = "Work would be lost, or could not be read. Confirm with the branch name."


@dataclass(frozen=True)
class Holding:
    """The contents of a parked run; `commits` and `bytes` are None if they could not be read."""

    commits: int | None = None
    state: CopyState | None = None
    bytes: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """True if certainly neither a commit nor a file would be lost."""
        is_bare = self.state is None or not (
            self.state.uncommitted_files or self.state.untaken_commits
        )
        return self.commits == 0 and is_bare and not self.problems

    @property
    def words(self) -> str:
        """A summary such as `3 commits, 2 files not committed`, naming what could not be read."""
        if self.is_nothing:
            return "no commits, no files"
        parts = [_counted(self.commits, "commit")] if self.commits else []
        if self.state is not None and self.state.uncommitted_files:
            parts.append(f"{_counted(self.state.uncommitted_files, 'file')} not committed")
        if self.state is not None and self.state.untaken_commits:
            parts.append(f"{_counted(self.state.untaken_commits, 'commit')} beside its branch")
        if not parts and self.commits == 0:
            parts.append("no commits")
        if self.state is not None and self.state.is_clean:
            parts.append("clean")
        return ", ".join([*parts, *self.problems])


@dataclass(frozen=True)
class _Seen:
    holding: Holding
    at: datetime


class Holdings:
    """Measures parked runs one by one in the background; publishes changes through `publish`."""

    def __init__(
        self,
        adapters: Adapters,
        workers: Workers,
        clock: Callable[[], datetime],
        publish: Callable[[Iterable[Change]], None],
    ) -> None:
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._workers = workers
        self._clock = clock
        self._publish = publish
        self._news = threading.Condition()
        self._seen: dict[str, _Seen] = {}
        self._wanted: dict[str, tuple[Run, Project]] = {}
        self._owed: set[str] = set()
        self._is_measuring = False

    def of(self, kept: Collection[tuple[Run, Project]]) -> dict[str, Holding | None]:
        """Return what each of these runs holds, by run id; None while it is being measured."""
        ids = {run.id for run, _ in kept}
        with self._news:
            self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in ids}
            self._want(kept)
            self._news.wait_for(lambda: ids <= self._seen.keys(), WAIT_SECONDS)
            self._owed |= ids - self._seen.keys()
            seen = dict(self._seen)
        return {run_id: seen[run_id].holding if run_id in seen else None for run_id in ids}

    def _want(self, kept: Collection[tuple[Run, Project]]) -> None:
        now = self._clock()
        for run, project in kept:
            seen = self._seen.get(run.id)
            if seen is None or now - seen.at >= FRESH:
                self._wanted.setdefault(run.id, (run, project))
        if self._wanted and not self._is_measuring:
            self._is_measuring = True
            self._workers.submit(self._measure_all)

    def _measure_all(self) -> None:
        while True:
            with self._news:
                if not self._wanted:
                    self._is_measuring = False
                    return
                run, project = self._wanted.pop(next(iter(self._wanted)))
            if self._is_news(run, self.measure(run, project)):
                self._publish([ProjectChanged(project.id)])

    def _is_news(self, run: Run, holding: Holding) -> bool:
        with self._news:
            before = self._seen.get(run.id)
            self._seen[run.id] = _Seen(holding, self._clock())
            was_owed = run.id in self._owed
            self._owed.discard(run.id)
            self._news.notify_all()
        return was_owed or (before is not None and before.holding != holding)

    def measure(self, run: Run, project: Project) -> Holding:
        """Measure the work that a run holds now."""
        try:
            return self._inspect(run, repository_of(project))
        except Exception:
            # one broken copy must not keep the others from being measured
            log.exception("parked_work_not_measured", run_id=run.id)
            return Holding(problems=("what it holds could not be read",))

    def _inspect(self, run: Run, repo: Repository) -> Holding:
        problems: list[str] = []
        commits, state, size = None, None, 0
        tip = base = run.base_sha or ""
        try:
            tip = self._mirrors.tip(repo, run.work_branch) or base
            commits = self._mirrors.stat(repo, base, tip).commits if base != tip else 0
        except (CannotRead, OSError) as problem:
            log.info("mirror_not_read", run_id=run.id, because=problem)
            problems.append("its mirror could not be read")
        if self._copies.exists(run.id):
            size = self._copies.size(run.id) or None
            try:
                state = self._copies.inspect(repo, run.id, tip=tip)
            except (CannotRead, OSError, ValueError) as problem:
                log.info("working_copy_not_read", run_id=run.id, because=problem)
                problems.append("its copy could not be read")
        return Holding(commits, state, size, tuple(problems))


def _counted(number: int | None, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True)
class ParkedView:
    """A parked branch: contents, reason, age in seconds and the size of its copy in bytes.

    `bytes` is None while the copy is being measured or if it cannot be read. `is_lock` means that
    only the issue's claim is kept: no run takes the issue until the branch is discarded.
    `needs_push_anyway` means that a check holds its commits back until a person overrides it.
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


class ParkedService:
    """Lists and discards parked work."""

    def __init__(
        self,
        context: Context,
        holdings: Holdings,
    ) -> None:
        ledgers, adapters = context.ledgers, context.adapters
        self._projects = ledgers.projects
        self._parked = ParkedLedger(ledgers.runs)
        self._handovers = HandoverLedger(ledgers.runs)
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._heads = ChangeHeads(adapters)
        self._openings = AgentOpenings(adapters, ledgers.runs)
        self._holdings = holdings
        self._locks = context.locks
        self._publish = context.feed.publish

    def all(self, now: datetime) -> list[ParkedView]:
        """Return all parked work, oldest first, one item per branch."""
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
        """Delete a parked branch and its copies unconditionally; return how many runs had it.

        `confirm` repeats the branch name; it may be None if nothing would be lost. If interrupted,
        the branch stays listed and a repeated discard completes it. Raises NotFound,
        ConfirmMismatch, PrLock, NotDiscarded.
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
            self._delete(project, runs, branch)
            failpoint("discard.after_claim")
            self._parked.write(runs, deed, now, kind="note", parked=False)
        self._publish([ObstacleRemoved()])
        return len(runs)

    def _holds_nothing(self, runs: list[Run], project: Project) -> bool:
        return all(self._holdings.measure(run, project).is_nothing for run in runs)

    def _delete(self, project: Project, runs: list[Run], branch: str) -> None:
        repo, head = repository_of(project), self._open_head(project, runs)
        claim = None if head else self._claim_of(repo, runs, branch)
        for run in runs:
            with self._locks.holding(run.id):
                try:
                    self._copies.remove(run.id)
                except (CannotRead, OSError) as problem:
                    raise NotDiscarded(f"The working copy could not be deleted: {problem}") from (
                        problem
                    )
            failpoint("discard.after_copy")
        # a run may have taken the branch while the copies were deleted
        refuse_in_use(self._parked, repo.project_id, branch)
        if head is not None:
            # others' work is under review there: only what these runs added goes
            self._heads.put_back(repo, branch, head)
        elif claim is not None and not _open_change(runs):
            self._clear_origin(project, runs)
            if not self._mirrors.release(repo, branch, expected_sha=claim):
                raise NotDiscarded(f"The branch {branch} has moved. Discard it again.")

    def _open_head(self, project: Project, runs: list[Run]) -> str | None:
        """Return the head of the open change request that these runs worked on, None if none."""
        found = (self._heads.find(project, run) for run in runs)
        branches = {run.work_branch for run in runs}
        ours = (one for one in found if one and one.state == "open" and one.branch in branches)
        return next((one.head_sha for one in ours), None)

    def _claim_of(self, repo: Repository, runs: list[Run], branch: str) -> str | None:
        """Return the commit of the claim, None if there is none."""
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

    def _clear_origin(self, project: Project, runs: list[Run]) -> None:
        """Delete our pushed branch at origin unless it has moved: it would reject a rerun.

        It stays where somebody else has a request of it open.
        """
        repo, ours = repository_of(project), [run for run in runs if run.pr_number is None]
        theirs = [run for run in ours if is_opened_by_agent(run.provenance)]
        try:
            if theirs and self._openings.has_others(theirs[-1], project):
                return
            if theirs:
                self._mirrors.fetch(repo)
        except (ForgeSilent, OriginProblem) as silence:
            log.info("branch_left_at_origin", branch=theirs[-1].work_branch, because=silence)
            return
        for head in self._handovers.pushed_by(ours) | self._pushed_by_agents(repo, theirs):
            branch = ours[0].work_branch
            try:
                self._mirrors.delete_at_origin(repo, branch, expected_sha=head)
            except (OriginProblem, CannotRead, OSError) as problem:
                log.info("branch_left_at_origin", branch=branch, because=problem)

    def _pushed_by_agents(self, repo: Repository, runs: list[Run]) -> frozenset[str]:
        """Return the commit that an agent pushed by itself, if the branch at origin is still there.

        It is one that its run made; what somebody else has added since stays.
        """
        tips: set[str] = set()
        for run in runs:
            # a delivered head may have others' commits
            if run.head_sha is None or run.base_sha is None or run.delivery is not None:
                continue
            try:
                there = self._mirrors.origin_tip(repo, run.work_branch)
                if there is None or not self._mirrors.stat(repo, run.base_sha, there).commits:
                    continue
                if not self._mirrors.stat(repo, run.head_sha, there).commits:
                    tips.add(there)
            except (OriginProblem, CannotRead, OSError) as problem:
                log.info("branch_left_at_origin", branch=run.work_branch, because=problem)
        return frozenset(tips)


def refuse_in_use(parked: ParkedLedger, project_id: str, branch: str) -> None:
    """Raise PrLock if an open run writes to the branch."""
    holder = parked.open_run(project_id, branch)
    if holder is not None:
        raise locked_by(holder)


def may_deliver(run: Run, commits: int | None) -> bool:
    """Return True if an undelivered run left commits that a change request could be made of."""
    is_wanted = run.delivers == Delivers.CHANGE and not is_aside_of_change(run)
    return run.delivery is None and is_wanted and bool(commits)


def is_aside_of_change(run: Run) -> bool:
    """Return True for work on a change request that a retry from its head has set aside."""
    return run.pr_number is not None and is_aside(run)


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
        because=why_kept(run),
        kept_since=since,
        age_seconds=max(0, int((now - since).total_seconds())),
        bytes=holding.bytes if holding else None,
        can_deliver=holding is not None and may_deliver(run, holding.commits),
        needs_push_anyway=awaits_word(run),
        is_lock=run.issue is not None and holding is not None and holding.is_nothing,
    )


def why_kept(run: Run) -> str:
    """Return why a run's work is kept, for people."""
    if run.delivery is not None:
        number, state = run.delivery["number"], run.delivery["state"]
        if state == "closed":
            return f"change request #{number} was closed without merging"
        return f"holds more than change request #{number}"
    return run.because or label_of(Status(run.status), Cause(run.cause) if run.cause else None)
