"""The steps of a benchmark: the figures each one takes, and the servers that they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from tests.bench.accepting import measure_accepting
from tests.bench.commanding import measure_first_words
from tests.bench.duties.asking import measure_asking
from tests.bench.duties.sweeping import measure_sweeps
from tests.bench.enclosing import measure_enclosing
from tests.bench.idling import measure_rest, measure_starts
from tests.bench.launching import make_large_origin, measure_launch, write_agent
from tests.bench.listing import measure_board, measure_lists
from tests.bench.noop import running_noop
from tests.bench.pages.flooding import SETTINGS as FLOOD_SETTINGS
from tests.bench.pages.flooding import measure_flood, write_flood
from tests.bench.pages.painting import CARDS, measure_page
from tests.bench.pages.reviewing import measure_diff, measure_inbox
from tests.bench.pages.watching import measure_pages
from tests.bench.peopling import AUDIT_ROWS, measure_people
from tests.bench.table import Found
from tests.bench.waiting import SETTINGS as QUEUE_SETTINGS
from tests.bench.waiting import Queue, waiting_runs
from tests.bench.yard import Yard, running_yard
from tests.builders.repositories import make_origin
from tests.drivers.servers.postgresql import PostgresServer

FEW_ROWS, REST_ROWS, MANY_ROWS, SHORT_ROWS = 1_000, 100_000, 1_000_000, 5_000
LONG_QUEUE, SHORT_QUEUE = 10_000, 500
PROJECTS_WITH_HISTORY = 4


class Ground:
    """The resources that steps share, each created on first use."""

    def __init__(self, folder: Path, server: PostgresServer | None, *, is_short: bool) -> None:
        self.folder = folder
        self.is_short = is_short
        self._server = server
        self._databases = 0
        self._until_end = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._until_end.close()

    def new_url(self) -> str | None:
        """Create an empty PostgreSQL database and return its address; None for SQLite."""
        if self._server is None:
            return None
        self._databases += 1
        return self._server.create(f"bench{self._databases}")

    def new_folder(self, name: str) -> Path:
        """Create a folder, a new one each time: no step meets what another one left."""
        return Path(mkdtemp(prefix=f"{name}-", dir=self.folder))

    def yard(
        self, name: str, origin: Path, settings: dict[str, str] | None = None
    ) -> AbstractContextManager[Yard]:
        """Run a server on a new folder and database."""
        return running_yard(self.new_folder(name), origin, self.new_url(), settings)

    @contextmanager
    def queue(self, depth: int) -> Iterator[Queue]:
        """Run a server on which so many runs wait."""
        with (
            self.yard("queue", self.origin, QUEUE_SETTINGS) as yard,
            waiting_runs(yard, depth) as queue,
        ):
            yield queue

    @property
    def depth(self) -> int:
        """How many runs wait where many do."""
        return SHORT_QUEUE if self.is_short else LONG_QUEUE

    @cached_property
    def origin(self) -> Path:
        """A small repository."""
        return make_origin(self.folder / "origin")

    @cached_property
    def few(self) -> tuple[Yard, list[str]]:
        """A server with fifty projects and a short history."""
        return self.with_history("few", FEW_ROWS)

    @cached_property
    def many(self) -> tuple[Yard, list[str]]:
        """A server with a long history, and as many projects: every list reads their names."""
        return self.with_history("many", SHORT_ROWS if self.is_short else REST_ROWS)

    def with_history(self, name: str, rows: int) -> tuple[Yard, list[str]]:
        """Run a server with fifty projects and so many ended runs, until the end."""
        yard = self._until_end.enter_context(self.yard(name, self.origin))
        projects = [yard.add_project(f"p{n}", agent_command=["/bin/true"]) for n in range(CARDS)]
        yard.leave_a_template(projects[0])
        yard.history.seed(projects[:PROJECTS_WITH_HISTORY], rows)
        return yard, projects


@dataclass(frozen=True)
class Step:
    """Figures that are taken together."""

    name: str
    keys: tuple[str, ...]
    measure: Callable[[Ground], Found]


def _accepting(ground: Ground) -> Found:
    with running_noop() as noop, ground.queue(0) as none, ground.queue(ground.depth) as many:
        return measure_accepting(none, many, noop, is_short=ground.is_short)


def _deep_start(ground: Ground) -> Found:
    with ground.queue(ground.depth) as many:
        cookie, note = many.yard.sign_in(), f"{many.depth:,} waiting"
        return {"deep_start": measure_starts(many.yard, cookie, note)}


def _first_words(ground: Ground) -> Found:
    return measure_first_words(ground.few[0])


def _page(ground: Ground) -> Found:
    return measure_page(ground.few[0])


def _open_pages(ground: Ground) -> Found:
    yard, projects = ground.few
    return measure_pages(yard, projects[-1], is_short=ground.is_short)


def _rest(ground: Ground) -> Found:
    yard, _ = ground.many
    return measure_rest(yard, yard.sign_in())


def _lists(ground: Ground) -> Found:
    (few, few_projects), (many, many_projects) = ground.few, ground.many
    there = SHORT_ROWS if ground.is_short else REST_ROWS
    # BENCH_ROWS shortens the history where a million rows take too long
    rows = there if ground.is_short else max(there, int(os.environ.get("BENCH_ROWS", MANY_ROWS)))
    if rows > there:
        many.history.seed(many_projects[:PROJECTS_WITH_HISTORY], rows - there, first=there)
    note = f"{rows:,} rows" + ("" if rows >= MANY_ROWS else ", fewer than the goal's")
    return measure_lists(few, many, (few_projects[0], many_projects[0]), note)


def _people(ground: Ground) -> Found:
    (few, projects), (team, others) = ground.few, ground.with_history("team", FEW_ROWS)
    rows = SHORT_ROWS if ground.is_short else AUDIT_ROWS
    return measure_people((few, projects[-1]), (team, others[-1]), rows)


def _board(ground: Ground) -> Found:
    with ground.yard("board", ground.origin) as yard:
        projects = [yard.add_project(f"p{one}", agent_command=["true"]) for one in range(5)]
        return measure_board(yard, projects, 100 if ground.is_short else 1000)


def _inbox(ground: Ground) -> Found:
    with ground.yard("inbox", ground.origin) as yard:
        return measure_inbox(yard, ground.new_folder("agent"), is_short=ground.is_short)


def _diff(ground: Ground) -> Found:
    with ground.yard("diff", ground.origin) as yard:
        return measure_diff(yard, ground.new_folder("agent"), is_short=ground.is_short)


def _launch(ground: Ground) -> Found:
    folder = ground.new_folder("launch")
    agent = write_agent(folder / "agent.sh")
    with ground.yard("launching", make_large_origin(folder / "large")) as yard:
        return measure_launch(yard, yard.add_project("large", agent_command=agent), folder)


def _enclosing(ground: Ground) -> Found:
    return measure_enclosing(ground.new_folder("enclosing"))


def _sweeps(ground: Ground) -> Found:
    folder = ground.new_folder("sweeps")
    return measure_sweeps(folder, ground.new_url, is_short=ground.is_short)


def _asking(ground: Ground) -> Found:
    return measure_asking(ground.new_folder("asking"), is_short=ground.is_short)


def _flood(ground: Ground) -> Found:
    agent = write_flood(ground.new_folder("flood") / "flood.py")
    with ground.yard("flood", ground.origin, FLOOD_SETTINGS) as yard:
        project = yard.add_project("flood", agent_command=agent)
        return measure_flood(yard, project, is_short=ground.is_short)


ACCEPTS = ("accept", "rate", "tail", "errors", "replay", "accept_cpu", "accept_cpu_all")
ACCEPTS += ("deep_accept", "deep_rate", "deep_cpu", "deep_cpu_all")
LISTS = ("newest", "newest_time", "by_project", "by_status", "by_trigger")
LISTS += ("by_branch", "by_issue", "by_id")
PEOPLE = ("people_page", "people_audit", "people_list", "people_accept")
STEPS = (
    Step("accepting", ACCEPTS, _accepting),
    Step("a start with a queue", ("deep_start",), _deep_start),
    Step("the command line", ("first_answer", "first_word"), _first_words),
    Step("the page of cards", ("page", "paint", "bytes"), _page),
    Step("the inbox", ("inbox", "inbox_paint"), _inbox),
    Step("a large diff", ("diff",), _diff),
    Step("a hundred open pages", ("idle_pages", "fan_out"), _open_pages),
    Step("starts and rest", ("start", "idle", "memory"), _rest),
    Step("a long history", LISTS, _lists),
    Step("people", PEOPLE, _people),
    Step("the issues of all projects", ("board",), _board),
    Step("launching", ("launch", "told"), _launch),
    Step("a sandbox", ("sandbox", "util_linux"), _enclosing),
    Step("sweeping", ("sweep_idle", "sweep_busy", "sweep_lag"), _sweeps),
    Step("asking a forge", ("github_hour",), _asking),
    Step("a flood of output", ("flood_cpu", "flood_memory"), _flood),
)
