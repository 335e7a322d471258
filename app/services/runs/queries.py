"""What is asked of runs: pages of them, one by its id, and how a person or repository stands."""

from __future__ import annotations

from datetime import datetime

from app.domain.lifecycle import DONE
from app.errors import Invalid, NotFound
from app.records.database.cursors import BadCursor
from app.records.runs import run_ledger, run_pages
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_pages import Page, RunFilter
from app.records.tables import Project, Run
from app.services.context import Outside, repository_of
from app.services.limits.quota import Quota, Window
from app.services.ports import CannotRead, Diff, LogView
from app.services.runs.log_search import LogHits, Words, search_entries, search_log
from app.services.runs.readable_log import LogPart, read_entries, without_folder


class RunListing:
    """Reads runs; changes nothing."""

    def __init__(self, runs: RunLedger, quota: Quota, outside: Outside) -> None:
        self._runs = runs
        self._quota = quota
        self._outside = outside

    def page(self, wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
        """One page of runs, newest first. Raises Invalid for a cursor of another making."""
        try:
            return run_pages.list_runs(self._runs.stores, wanted, limit=limit, cursor=cursor)
        except BadCursor as error:
            raise Invalid.field("cursor", "This cursor was not made by this server.") from error

    def find(self, run_id: str) -> Run:
        """One run. Raises NotFound."""
        run = self._runs.find(run_id)
        if run is None:
            raise NotFound
        return run

    def window(self, person_id: str, now: datetime) -> Window:
        """How a person stands against the quota."""
        with self._runs.stores.looking() as session:
            return self._quota.window(session, person_id, now)

    def count_open(self, project_id: str) -> int:
        """Open runs of a repository."""
        with self._runs.stores.looking() as session:
            return run_ledger.count_open(session, project_id)

    def working_copy(self, run: Run) -> str:
        """The folder of a run's working copy, empty where there is none or it is going away."""
        copies, is_kept = self._outside.copies, run.parked or run.status not in DONE
        return str(copies.path(run.id)) if is_kept and copies.exists(run.id) else ""

    def entries(self, run: Run, view: LogView, offset: int, limit: int) -> LogPart | None:
        """A part of a run's log as a person reads it, None where its agent writes no events."""
        tell = self._outside.agents.line_teller(run.agent)
        if tell is None:
            return None
        part = read_entries(view, tell, offset, limit, is_over=run.status in DONE)
        # files are named as the repository names them, wherever the copy is
        return without_folder(part, str(self._outside.copies.path(run.id)))

    def search(
        self, run: Run, view: LogView, text: str, *, after: int, limit: int, is_readable: bool
    ) -> LogHits:
        """The lines of a run's log that hold a text, or the entries where it has any."""
        tell = self._outside.agents.line_teller(run.agent) if is_readable else None
        words = Words(text, in_json=tell is not None)
        if tell is None:
            return search_log(view, words, after=after, limit=limit)
        is_over = run.status in DONE
        return search_entries(view, words, tell, after=after, limit=limit, is_over=is_over)

    def diff(self, run: Run, project: Project | None) -> Diff:
        """Against the recorded base: of the files while a copy exists, else of the commits."""
        if project is None or run.base_sha is None:
            return Diff("")
        repo = repository_of(project)
        # a copy that is being cleared away must not be read as deleted files
        is_kept = run.parked or run.status not in DONE
        if is_kept and self._outside.copies.exists(run.id):
            try:
                return self._outside.copies.diff(repo, run.id, base_sha=run.base_sha)
            except CannotRead:
                pass  # what was taken over before can still be shown
        tip = run.head_sha or self._outside.mirrors.tip(repo, run.work_branch)
        return self._outside.mirrors.diff(repo, run.base_sha, tip) if tip else Diff("")
