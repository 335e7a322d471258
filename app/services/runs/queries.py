"""Read access to runs: pages, single runs, logs, diffs and quota usage."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from app.domain.lifecycle import DONE
from app.domain.review.base_merges import read_merge
from app.domain.words import RunSort
from app.errors import Invalid, NotFound
from app.records.database.cursors import BadCursor
from app.records.runs import run_ledger, run_pages, run_sums
from app.records.runs.check_ledger import CheckLedger
from app.records.runs.run_pages import Page, RunFilter
from app.records.runs.selections import EndedAlike
from app.records.tables import CheckResult, Run, RunEvent
from app.services.context import Adapters, Ledgers, repository_of
from app.services.limits.quota import Places, QuotaWindow
from app.services.ports import CannotRead, Diff, LogView
from app.services.runs.log_search import LogHits, Words, search_entries, search_log
from app.services.runs.readable_log import LogPart, read_entries, with_times, without_folder


class RunListing:
    """Read-only queries for runs."""

    def __init__(self, ledgers: Ledgers, places: Places, adapters: Adapters) -> None:
        self._runs = ledgers.runs
        self._checks = CheckLedger(ledgers.runs)
        self._projects = ledgers.projects
        self._places = places
        self._adapters = adapters

    def page(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        cursor: str | None = None,
        sort: RunSort = RunSort.NEWEST,
    ) -> Page:
        """Return one page of runs in this order. Raises Invalid for a foreign cursor."""
        listed = run_sums.list_by_cost if sort is RunSort.COST else run_pages.list_runs
        try:
            return listed(self._runs.stores, wanted, limit=limit, cursor=cursor)
        except BadCursor as error:
            raise Invalid.field("cursor", "This cursor was not made by this server.") from error

    def totals(self, wanted: RunFilter) -> tuple[list[EndedAlike], int | None]:
        """Sum up the matching runs; the second is their bound if older ones are left out."""
        return run_sums.totals(self._runs.stores, wanted)

    def find(self, run_id: str) -> Run:
        """Return one run. Raises NotFound."""
        run = self._runs.find(run_id)
        if run is None:
            raise NotFound
        return run

    def find_or_none(self, run_id: str) -> Run | None:
        """Return one run, or None."""
        return self._runs.find(run_id)

    def project_of(self, run_id: str) -> str | None:
        """Return the id of a run's project, None if there is no such run."""
        run = self._runs.find(run_id)
        return run.project_id if run is not None else None

    def find_all(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Return the runs that exist among these, by id."""
        return self._runs.find_all(run_ids)

    def timeline(self, run_id: str, *, after: int = 0) -> list[RunEvent]:
        """Return the events of a run with ids above `after`, oldest first."""
        return self._runs.timeline(run_id, after=after)

    def checks(self, run_id: str) -> list[CheckResult]:
        """Return the checks of a run, by round and in order."""
        return self._checks.of(run_id)

    def open_runs(self, project_id: str) -> list[Run]:
        """Return a project's runs that are accepted and not yet released, oldest first."""
        return self._runs.open_runs(project_id)

    def asked_for(self) -> list[Run]:
        """Return open runs, oldest first, except batch items that still wait."""
        return self._runs.asked_for()

    def log(self, run_id: str) -> LogView:
        """Return a view of a run's log."""
        return self._adapters.engine.log(run_id)

    def window(self, person_id: str, now: datetime) -> QuotaWindow:
        """Return a person's quota window."""
        return self._places.window(person_id, now)

    def count_open(self, project_id: str) -> int:
        """Return the number of open runs of a project."""
        with self._runs.stores.looking() as session:
            return run_ledger.count_open(session, project_id)

    def working_copy(self, run: Run) -> str:
        """Return the path of a run's working copy, empty if it is gone or being removed."""
        copies, is_kept = self._adapters.copies, run.parked or run.status not in DONE
        return str(copies.path(run.id)) if is_kept and copies.exists(run.id) else ""

    def entries(self, run: Run, view: LogView, offset: int, limit: int) -> LogPart | None:
        """Return part of a run's log as readable entries, None if its agent emits no events."""
        parse = self._adapters.agents.entry_parser(run.agent)
        if parse is None:
            return None
        part = read_entries(view, parse, offset, limit, is_over=run.status in DONE)
        part = with_times(part, view)
        # paths relative to the repository, wherever the copy is
        return without_folder(part, str(self._adapters.copies.path(run.id)))

    def search(
        self, run: Run, view: LogView, text: str, *, after: int, limit: int, is_readable: bool
    ) -> LogHits:
        """Search a run's log, by readable entry if `is_readable` and it has any, else by line."""
        parse = self._adapters.agents.entry_parser(run.agent) if is_readable else None
        words = Words(text, in_json=parse is not None)
        if parse is None:
            return search_log(view, words, after=after, limit=limit)
        is_over = run.status in DONE
        return search_entries(view, words, parse, after=after, limit=limit, is_over=is_over)

    def diff(self, run: Run) -> Diff:
        """Return the diff against the recorded base: of the copy if any, else of the commits."""
        project = self._projects.find(run.project_id)
        if project is None or run.base_sha is None:
            return Diff("")
        repo, merge = repository_of(project), read_merge(run.merging)
        # a copy that is being removed must not be read as deleted files
        is_kept = run.parked or run.status not in DONE
        if is_kept and self._adapters.copies.exists(run.id):
            try:
                began = run.base_sha if merge is None else merge.prepared
                return self._adapters.copies.diff(repo, run.id, base_sha=began)
            except CannotRead:
                pass  # commits already in the mirror can still be shown
        tip = run.head_sha or self._adapters.mirrors.tip(repo, run.work_branch)
        began = run.base_sha if merge is None else merge.theirs
        return self._adapters.mirrors.diff(repo, began, tip) if tip else Diff("")
