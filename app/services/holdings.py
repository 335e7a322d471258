"""What parked runs hold and how large it is: measured off the request's path, and remembered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.records.feed import Change, ProjectChanged
from app.records.tables import Project, Run
from app.services.floor import Outside
from app.services.ports import CannotRead, CopyState, Repository
from app.services.prechecks import repository_of
from app.services.workers import Workers

log = logging.getLogger(__name__)
# how long a request waits for what nobody has measured yet
WAIT_SECONDS = 0.5
# a person may change files in a kept copy: what was seen is looked at anew after this
FRESH = timedelta(minutes=1)


@dataclass(frozen=True)
class Holding:
    """What a parked run holds; `commits` and `bytes` are None where they could not be read."""

    commits: int | None = None
    state: CopyState | None = None
    bytes: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """True where it is known that neither a commit nor a file would be lost."""
        is_bare = self.state is None or not (
            self.state.uncommitted_files or self.state.untaken_commits
        )
        return self.commits == 0 and is_bare and not self.problems

    @property
    def words(self) -> str:
        """`3 commits, 2 files not committed`; what could not be read is said."""
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
    """Measures one parked run after the other in the background; `tell` hears whose is new."""

    def __init__(
        self,
        outside: Outside,
        workers: Workers,
        clock: Callable[[], datetime],
        tell: Callable[[Iterable[Change]], None],
    ) -> None:
        self._mirrors = outside.mirrors
        self._copies = outside.copies
        self._workers = workers
        self._clock = clock
        self._tell = tell
        self._news = threading.Condition()
        self._seen: dict[str, _Seen] = {}
        self._wanted: dict[str, tuple[Run, Project]] = {}
        self._owed: set[str] = set()
        self._is_measuring = False

    def of(self, kept: Collection[tuple[Run, Project]]) -> dict[str, Holding | None]:
        """What each of these runs holds, by its id; None while it is still being measured."""
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
                self._tell([ProjectChanged(project.id)])

    def _is_news(self, run: Run, holding: Holding) -> bool:
        with self._news:
            before = self._seen.get(run.id)
            self._seen[run.id] = _Seen(holding, self._clock())
            was_owed = run.id in self._owed
            self._owed.discard(run.id)
            self._news.notify_all()
        return was_owed or (before is not None and before.holding != holding)

    def measure(self, run: Run, project: Project) -> Holding:
        """The work that a run holds now."""
        try:
            return self._look(run, repository_of(project))
        except Exception:
            # one odd copy must not keep the others from being measured
            log.exception("what %s holds could not be measured", run.id)
            return Holding(problems=("what it holds could not be read",))

    def _look(self, run: Run, repo: Repository) -> Holding:
        problems: list[str] = []
        commits, state, size = None, None, 0
        tip = base = run.base_sha or ""
        try:
            tip = self._mirrors.tip(repo, run.work_branch) or base
            commits = self._mirrors.stat(repo, base, tip).commits if base != tip else 0
        except (CannotRead, OSError) as problem:
            log.info("the mirror of %s: %s", run.id, problem)
            problems.append("its mirror could not be read")
        if self._copies.exists(run.id):
            size = self._copies.size(run.id) or None
            try:
                state = self._copies.look(repo, run.id, tip=tip)
            except (CannotRead, OSError, ValueError) as problem:
                log.info("the copy of %s: %s", run.id, problem)
                problems.append("its copy could not be read")
        return Holding(commits, state, size, tuple(problems))


def _counted(number: int | None, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
