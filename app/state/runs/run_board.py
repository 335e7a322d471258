"""The list of runs one person looks at: filters, real rows, and rows still being submitted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.api.schemas import FiguresOut, ReportOut, RunItem, RunsPage
from app.domain.agents.reports import usage_words
from app.domain.formatting import iso
from app.domain.lifecycle import phase_of
from app.domain.words import Depth, Phase, Status, Trigger
from app.state.page.optimistic import OptimisticMutation, OptimisticRows

PAGE_ROWS = 50
OVERFULL_ROWS = 75


@dataclass(frozen=True)
class Submitting:
    """A submit without an answer yet, shown as a row tagged `Submitting…`; times in UTC.

    `correlation_ids` are those of every try under its key, so that no run shows twice.
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

    def became(self, run: RunItem) -> bool:
        """True for the run that this submit, or an earlier try of it, has made."""
        return run.correlation_id in self.correlation_ids


MAX_TEXT = 200  # of what is searched for
MAX_BRANCH = 244

BoardRow = RunItem | Submitting


@dataclass(frozen=True)
class RunFilters:
    """Which runs are asked for, as kept in the page's address."""

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
    cursor: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> RunFilters:
        """Read an address' query; words that mean nothing are left out."""
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
            cursor=query.get("cursor", "")[:500],
        )

    def to_query(self) -> dict[str, str]:
        """The query that `from_query` reads back, empty parts left out."""
        status = {"status": ",".join(self.status)} if self.status else {}
        call = self.to_call()
        project = {"project": call.pop("project_id")} if self.project_id else {}
        return project | status | call

    def to_call(self) -> dict[str, str]:
        """What `GET /runs` is asked besides the statuses."""
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
            "cursor": self.cursor,
        }
        return {name: str(value) for name, value in call.items() if value}

    def at(self, cursor: str | None) -> RunFilters:
        """The same filters on another page."""
        return replace(self, cursor=cursor or "")

    def find(self, text: str) -> RunFilters:
        """The newest runs of those that are meant by a text, too."""
        return replace(self, text=text.strip()[:MAX_TEXT], cursor="")

    def show(self, run: RunItem) -> bool:
        """True where a run passes."""
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
            and _is_meant(self.text, run)
        )

    def _is_of_time(self, created_at: datetime) -> bool:
        is_after = self.created_after is None or created_at > self.created_after
        return is_after and (self.created_before is None or created_at < self.created_before)

    def show_submit(self, submit: Submitting) -> bool:
        """True where a submit belongs on top of this list."""
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
        # a day or a time alone is that of UTC
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_meant(text: str, run: RunItem) -> bool:
    """As `GET /runs?q=` finds it."""
    word = text.lstrip("…#")
    low, branch = word.lower(), run.work_branch.lower()
    return (
        (low.startswith("run_") and run.id.startswith(low))
        or run.id.endswith(low)
        or (word.isdecimal() and run.issue == int(word))
        or branch.startswith(low)
        or low in run.title.lower()
        or any(low in tag.lower() for tag in run.tags)
    )


class RunBoard:
    """The rows of one runs list, newest first; the feed changes them one by one."""

    def __init__(self, filters: RunFilters) -> None:
        self.filters = filters
        self.next_cursor: str | None = None
        self.prev_cursor: str | None = None
        # how many of the newest were looked at, None where all were
        self.looked_among: int | None = None
        self._rows: OptimisticRows[BoardRow] = OptimisticRows(_key_of, _order)
        self._hearers: list[list[RunItem]] = []

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Ask for a snapshot inside the `with`: what the feed tells meanwhile is not lost.

        The answer may be older than what came while it was on its way.
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
        """Take a fresh snapshot; submits without an answer stay on top."""
        self._rows.load(page.items)
        self.next_cursor, self.prev_cursor = page.next_cursor, page.prev_cursor
        self.looked_among = page.looked_among

    def apply(self, run: RunItem) -> bool:
        """Take a change of a run from the feed; False where it does not concern this list."""
        for heard in self._hearers:
            heard.append(run)
        known = self._rows.get(run.id) is not None
        if self._belongs(run, known=known):
            self._rows.put(run)
            return True
        self._rows.leave_out(run)
        return known

    def rows(self) -> list[BoardRow]:
        """What is shown, top first."""
        return self._rows.visible()

    def begin(self, submit: Submitting) -> OptimisticMutation[BoardRow]:
        """Put a `Submitting…` row on top until its answer is there."""
        return self._rows.begin(
            submit, is_same=lambda row: isinstance(row, RunItem) and submit.became(row)
        )

    async def stop(
        self, run_id: str, act: Callable[[], Awaitable[RunItem]], show: Callable[[], object]
    ) -> RunItem | None:
        """Mark a row as `Stopping…` until `act` has its answer. Raises what `act` raises."""
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
        """The busy word of a row that is being changed."""
        return self._rows.word_of(key)

    def confirm(self, mutation: OptimisticMutation[BoardRow], run: RunItem) -> None:
        """The submit became `run`; it stays only where the filters let it."""
        known = self._rows.get(run.id) is not None
        mutation.confirm(run if self._belongs(run, known=known) else None)

    @property
    def is_overfull(self) -> bool:
        """True where so many runs came that a fresh page costs less than the long list."""
        return len(self._rows.settled()) > OVERFULL_ROWS

    def live_count(self) -> int:
        """How many of the shown runs are live."""
        rows = self._rows.settled()
        return sum(isinstance(row, RunItem) and row.phase is Phase.LIVE for row in rows)

    def _belongs(self, run: RunItem, *, known: bool) -> bool:
        if not self.filters.show(run):
            return False
        if known:
            return True
        settled = self._rows.settled()
        if self.filters.cursor:
            return False
        # Older than the page's last row: it has its place on a later page.
        return self.next_cursor is None or not settled or _order(run) > _order(settled[-1])


def _key_of(row: BoardRow) -> str:
    return row.id if isinstance(row, RunItem) else row.key


def _order(row: BoardRow) -> tuple[datetime, str]:
    return (row.created_at, row.id) if isinstance(row, RunItem) else (row.began_at, row.key)


def tokens_of(run: RunItem) -> int | None:
    """Tokens in and out together; None where neither is told."""
    told = [one for one in (run.usage.input_tokens, run.usage.output_tokens) if one is not None]
    return sum(told) if told else None


def used_words(told: ReportOut | FiguresOut) -> str:
    """`61 k tokens · $0.38` of one run or of many, empty where nothing is told."""
    return usage_words((told.input_tokens or 0) + (told.output_tokens or 0), told.cost_usd)


def usage_of(rows: Iterable[BoardRow]) -> str:
    """`61 k tokens · $0.38, told by 3 of 12 runs`; empty where none has told anything."""
    runs = [row for row in rows if isinstance(row, RunItem)]
    tokens = [told for run in runs if (told := tokens_of(run)) is not None]
    costs = [run.usage.cost_usd for run in runs if run.usage.cost_usd is not None]
    words = usage_words(sum(tokens), sum(costs) if costs else None)
    told = sum(tokens_of(run) is not None or run.usage.cost_usd is not None for run in runs)
    of_all = f"{told} of {len(runs)} run{'' if len(runs) == 1 else 's'}"
    return f"{words}, told by {of_all}" if words else ""
