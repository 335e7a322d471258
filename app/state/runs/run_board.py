"""The runs list of one person: filters, real rows, and pending submits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.api.schemas import FiguresOut, ReportOut, RunItem, RunsPage, UsageOut
from app.domain.agents.reports import usage_words
from app.domain.formatting import iso
from app.domain.issues import issue_named
from app.domain.lifecycle import phase_of
from app.domain.words import Depth, Phase, RunSort, Status, Trigger
from app.state.page.optimistic import OptimisticMutation, OptimisticRows

PAGE_ROWS = 50
OVERFULL_ROWS = 75


MAX_TEXT = 200  # of a search text
MAX_BRANCH = 244


@dataclass(frozen=True)
class Submitting:
    """A submit without a response yet, shown as a row tagged `Submitting…`; times in UTC.

    `correlation_ids` holds the id of every attempt under its key, so that no run shows twice.
    """

    key: str
    project_id: str
    project_name: str
    branch: str
    depth_level: Depth
    target_framework: str
    issue: int | None
    began_at: datetime
    correlation_ids: tuple[str, ...] = ()
    trigger: Trigger = Trigger.MANUAL
    retry_of: str | None = None
    title: str = ""
    agent: str = ""
    model: str | None = None

    def became(self, run: RunItem) -> bool:
        """Return True for the run that this submit, or an earlier attempt of it, created."""
        return run.correlation_id in self.correlation_ids


BoardRow = RunItem | Submitting


@dataclass(frozen=True)
class RunFilters:
    """The filters of a runs list, as kept in the page's URL."""

    project_id: str = ""
    status: tuple[Status, ...] = ()
    trigger: Trigger | None = None
    text: str = ""
    branch: str = ""
    issue: int | None = None
    depth: Depth | None = None
    framework: str = ""
    agent: str = ""
    tag: str = ""
    batch_id: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    sort: RunSort = RunSort.NEWEST
    cursor: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> RunFilters:
        """Parse the query of a URL; invalid values are ignored."""
        named = [part for part in query.get("status", "").split(",") if part in set(Status)]
        phase = query.get("phase", "")
        statuses = [one for one in named or Status if phase_of(Status(one)) == phase] or named
        trigger, depth = query.get("trigger", ""), query.get("depth_level", "")
        return cls(
            project_id=(query.get("project") or query.get("project_id", ""))[:80],
            status=tuple(Status(part) for part in dict.fromkeys(statuses)),
            trigger=Trigger(trigger) if trigger in set(Trigger) else None,
            text=query.get("q", "").strip()[:MAX_TEXT],
            branch=query.get("branch", "").strip()[:MAX_BRANCH],
            issue=_number(query.get("issue", "")),
            depth=Depth(depth) if depth in set(Depth) else None,
            framework=query.get("target_framework", "").strip()[:MAX_TEXT],
            agent=query.get("agent", "").strip()[:MAX_TEXT],
            tag=query.get("tag", "").strip()[:MAX_TEXT],
            batch_id=query.get("batch_id", "")[:80],
            created_after=_moment(query.get("created_after", "")),
            created_before=_moment(query.get("created_before", "")),
            sort=RunSort.COST if query.get("sort") == RunSort.COST else RunSort.NEWEST,
            cursor=query.get("cursor", "")[:500],
        )

    def to_query(self) -> dict[str, str]:
        """Return the query that `from_query` parses back, without empty parts."""
        status = {"status": ",".join(self.status)} if self.status else {}
        call = self.to_call()
        project = {"project": call.pop("project_id")} if self.project_id else {}
        return project | status | call

    def to_call(self) -> dict[str, str]:
        """Return the parameters of `GET /runs`, except the statuses."""
        call = {
            "project_id": self.project_id,
            "trigger": self.trigger,
            "q": self.text,
            "branch": self.branch,
            "issue": self.issue,
            "depth_level": self.depth,
            "target_framework": self.framework,
            "agent": self.agent,
            "tag": self.tag,
            "batch_id": self.batch_id,
            "created_after": iso(self.created_after) if self.created_after else "",
            "created_before": iso(self.created_before) if self.created_before else "",
            "sort": self.sort if self.sort is RunSort.COST else "",
            "cursor": self.cursor,
        }
        return {name: str(value) for name, value in call.items() if value}

    def at(self, cursor: str | None) -> RunFilters:
        """Return the same filters on another page."""
        return replace(self, cursor=cursor or "")

    @property
    def is_by_cost(self) -> bool:
        """True if the dearest runs come first, and those without a known cost are left out."""
        return self.sort is RunSort.COST

    def find(self, text: str) -> RunFilters:
        """Return the same filters with a search text, on the first page."""
        return replace(self, text=text.strip()[:MAX_TEXT], cursor="")

    def show(self, run: RunItem) -> bool:
        """Return True if a run matches."""
        return (
            self.project_id in ("", run.project_id)
            and (not self.status or run.status in self.status)
            and self.trigger in (None, run.trigger)
            and self.branch in ("", run.branch, run.work_branch)
            and self.issue in (None, run.issue)
            and self.depth in (None, run.depth_level)
            and self.framework in ("", run.target_framework)
            and self.agent in ("", run.agent)
            and (not self.tag or self.tag in run.tags)
            and self.batch_id in ("", run.batch_id)
            and self._is_of_time(run.created_at)
            and not (self.is_by_cost and run.usage.cost_usd is None)
            and _is_meant(self.text, run)
        )

    def _is_of_time(self, created_at: datetime) -> bool:
        is_after = self.created_after is None or created_at > self.created_after
        return is_after and (self.created_before is None or created_at < self.created_before)

    def show_submit(self, submit: Submitting) -> bool:
        """Return True if a pending submit belongs on top of this list."""
        return (
            not self.cursor
            and not (self.text or self.agent or self.tag or self.batch_id or self.created_before)
            and self.project_id in ("", submit.project_id)
            and self.trigger in (None, submit.trigger)
            and self.branch in ("", submit.branch)
            and self.issue in (None, submit.issue)
            and self.depth in (None, submit.depth_level)
            and self.framework in ("", submit.target_framework)
        )


def _number(text: str) -> int | None:
    is_one = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) or None if is_one else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        # a date or time without an offset is read as UTC
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_meant(text: str, run: RunItem) -> bool:
    """Return True if `GET /runs?q=` would find the run where no other run is named so."""
    if (issue := issue_named(text)) is not None:
        # a 12 in a branch, an id or a title is not `#12`
        return run.issue == issue or _mentions(text, run)
    word = text.lstrip("…#")
    low, branch = word.lower(), run.work_branch.lower()
    return (
        (low.startswith("run_") and run.id.startswith(low))
        or run.id.endswith(low)
        or (word.isdecimal() and run.issue == int(word))
        or branch.startswith(low)
        or _mentions(low, run)
    )


def _mentions(low: str, run: RunItem) -> bool:
    return any(low in one.lower() for one in (run.title, *run.tags))


class RunBoard:
    """The rows of one runs list, newest first, updated one by one by the feed."""

    def __init__(self, filters: RunFilters) -> None:
        self.filters = filters
        self.next_cursor: str | None = None
        self.prev_cursor: str | None = None
        # number of newest runs that were searched, None if all were
        self.looked_among: int | None = None
        self._rows: OptimisticRows[BoardRow] = OptimisticRows(_key_of, self._order)
        self._hearers: list[list[RunItem]] = []

    @contextmanager
    def recording(self) -> Generator[None]:
        """Record feed events while a snapshot is fetched inside the `with`, then reapply them.

        The response may be older than events that came while it was in flight.
        """
        heard: list[RunItem] = []
        self._hearers.append(heard)
        try:
            yield
        finally:
            self._hearers.remove(heard)
        for run in heard:
            self.apply(run)

    def load(self, page: RunsPage) -> None:
        """Replace the rows by a fresh snapshot; pending submits stay on top."""
        self._rows.load(page.items)
        self.next_cursor, self.prev_cursor = page.next_cursor, page.prev_cursor
        self.looked_among = page.looked_among

    def apply(self, run: RunItem) -> bool:
        """Apply a run from the feed; return False if it does not concern this list."""
        for heard in self._hearers:
            heard.append(run)
        known = self._rows.get(run.id) is not None
        if self._belongs(run, known=known):
            self._rows.put(run)
            return True
        self._rows.leave_out(run)
        return known

    def rows(self) -> list[BoardRow]:
        """Return the rows as shown, top first."""
        return self._rows.visible()

    def begin(self, submit: Submitting) -> OptimisticMutation[BoardRow]:
        """Show a `Submitting…` row on top until its response arrives."""
        return self._rows.begin(
            submit, is_same=lambda row: isinstance(row, RunItem) and submit.became(row)
        )

    async def stop(
        self, run_id: str, act: Callable[[], Awaitable[RunItem]], show: Callable[[], object]
    ) -> RunItem | None:
        """Mark a row as `Stopping…` until `act` returns. Raises what `act` raises."""
        row = self._rows.get(run_id)
        if row is None:
            return None
        answer = await self._rows.attempt(row, act, word="Stopping…", show=show)
        if not isinstance(answer, RunItem):
            return None
        if not self.filters.show(answer):
            self._rows.drop(run_id)
            show()
        return answer

    def word_of(self, key: str) -> str:
        """Return the busy word of a row with a pending change."""
        return self._rows.word_of(key)

    def confirm(self, mutation: OptimisticMutation[BoardRow], run: RunItem) -> None:
        """Replace a pending submit by its run, if the filters match the run."""
        known = self._rows.get(run.id) is not None
        mutation.confirm(run if self._belongs(run, known=known) else None)

    @property
    def is_overfull(self) -> bool:
        """True if so many runs arrived that reloading a page costs less than the long list."""
        return len(self._rows.settled()) > OVERFULL_ROWS

    def count(self, phase: Phase) -> int:
        """Return the number of runs in the list that are in this phase."""
        rows = self._rows.settled()
        return sum(isinstance(row, RunItem) and row.phase is phase for row in rows)

    def _belongs(self, run: RunItem, *, known: bool) -> bool:
        if not self.filters.show(run):
            return False
        if known:
            return True
        settled = self._rows.settled()
        if self.filters.cursor:
            return False
        # a run older than the page's last row belongs on a later page
        return (
            self.next_cursor is None or not settled or self._order(run) > self._order(settled[-1])
        )

    def _order(self, row: BoardRow) -> tuple[float, datetime, str]:
        if isinstance(row, Submitting):
            return (0, row.began_at, row.key)
        return (row.usage.cost_usd or 0 if self.filters.is_by_cost else 0, row.created_at, row.id)


def _key_of(row: BoardRow) -> str:
    return row.id if isinstance(row, RunItem) else row.key


def tokens_of(run: RunItem) -> int | None:
    """Return input plus output tokens, None if neither is reported."""
    told = [one for one in (run.usage.input_tokens, run.usage.output_tokens) if one is not None]
    return sum(told) if told else None


def used_words(told: ReportOut | FiguresOut | UsageOut) -> str:
    """Format the usage of one run or many: `61 k tokens · $0.38`, "" if none is reported."""
    return usage_words((told.input_tokens or 0) + (told.output_tokens or 0), told.cost_usd)


def usage_of(rows: Iterable[BoardRow]) -> str:
    """Format the usage of all rows: `61 k tokens · $0.38, reported by 3 of 12 runs`; "" if none."""
    runs = [row for row in rows if isinstance(row, RunItem)]
    tokens = [told for run in runs if (told := tokens_of(run)) is not None]
    costs = [run.usage.cost_usd for run in runs if run.usage.cost_usd is not None]
    words = usage_words(sum(tokens), sum(costs) if costs else None)
    told = sum(tokens_of(run) is not None or run.usage.cost_usd is not None for run in runs)
    of_all = f"{told} of {len(runs)} run{'' if len(runs) == 1 else 's'}"
    return f"{words}, reported by {of_all}" if words else ""
