"""The cache of project names: own writes show at once, others' once received."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from app.records.database.change_codec import read, written
from app.records.database.database import Database
from app.records.feed import Change, Feed, FeedBroke
from app.records.projects import project_names
from app.records.projects.project_ledger import NameInUse, ProjectLedger
from app.records.projects.project_names import LIFETIME_SECONDS, ProjectNames
from tests.builders.rows import draft_project, stores_on

NOW = datetime(2026, 3, 10, tzinfo=UTC)
STEPS = 80


class Server:
    """One of several servers on a database, with a count of its queries."""

    def __init__(
        self, open_database: Callable[..., Database], seconds: Callable[[], float]
    ) -> None:
        self.feed = Feed()
        self.unheard: list[str] = []
        self.others: list[Server] = []
        self.database = open_database("shared", self._tell)
        self.projects = ProjectLedger(stores_on(self.database))
        self.projects.names = self.names = ProjectNames(self.database, seconds)
        self.feed.subscribe(self.names.on_change)
        self.asked = 0
        event.listen(self.database._reader, "before_cursor_execute", self._count)

    def _tell(self, changes: list[Change]) -> None:
        self.feed.publish(changes)
        for other in self.others:
            other.unheard += written(changes, self.database.mark)

    def _count(self, _: object, __: object, statement: str, *___: object) -> None:
        self.asked += statement.startswith("SELECT")

    def hear(self) -> None:
        """Process all messages from the other servers."""
        heard, self.unheard = self.unheard, []
        for message in heard:
            self.feed.publish(read(message, own=self.database.mark))

    def truth(self, ids: list[str]) -> dict[str, str]:
        """Return the names stored in the table."""
        rows = {row.id: row.name for row in self.projects.all()}
        return {one: rows[one] for one in ids if one in rows}


class Seconds:
    """Clock in seconds, set by the test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def servers(open_database: Callable[..., Database], seconds: Seconds) -> list[Server]:
    """Two servers on one database."""
    pair = [Server(open_database, seconds) for _ in range(2)]
    for one, other in (pair, pair[::-1]):
        one.others = [other]
    return pair


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_written_by_either_is_read_by_its_writer_at_once_and_by_the_other_once_heard(
    servers: list[Server], seconds: Seconds, seed: int
) -> None:
    dice = random.Random(seed)
    ids = [f"proj_{number}" for number in range(6)]
    old: dict[str, str] = {}
    for step in range(STEPS):
        writer, other = dice.sample(servers, 2)
        old = writer.truth(ids)
        match dice.randrange(6):
            case 0:
                one = dice.choice(ids)
                if one not in old:
                    writer.projects.insert(draft_project(id=one, name=f"made {step}"))
            case 1:
                writer.projects.change(dice.choice(ids), name=f"called {step}")
            case 2 if old:
                # a name already in use is rejected
                with pytest.raises(NameInUse):
                    writer.projects.insert(
                        draft_project(id=f"p{step}", name=dice.choice([*old.values()]))
                    )
            case 3:
                writer.projects.change(dice.choice(ids), state_because=f"{step}")
            case 4:
                seconds.now += dice.uniform(0, LIFETIME_SECONDS / 2)
            case _:
                writer.projects.archive(dice.choice(ids), NOW)
        wanted = dice.sample(ids, dice.randint(1, len(ids)))
        writer.hear()
        assert writer.names.of(wanted) == writer.truth(wanted)
        if dice.random() < 0.7:
            other.hear()
            assert other.names.of(wanted) == other.truth(wanted)
    assert servers[0].names.of(ids)


def test_what_is_never_heard_of_is_half_a_minute_old_at_most(
    servers: list[Server], seconds: Seconds
) -> None:
    here, there = servers
    here.projects.insert(draft_project(id="proj_1", name="one"))
    assert there.names.of(["proj_1", "proj_2"]) == {"proj_1": "one"}
    here.projects.change("proj_1", name="two")
    here.projects.insert(draft_project(id="proj_2", name="new"))
    seconds.now = LIFETIME_SECONDS - 1
    assert there.names.of(["proj_1", "proj_2"]) == {"proj_1": "one"}
    seconds.now = LIFETIME_SECONDS
    assert there.names.of(["proj_1", "proj_2"]) == {"proj_1": "two", "proj_2": "new"}


def test_who_has_missed_something_remembers_nothing(servers: list[Server]) -> None:
    here, there = servers
    here.projects.insert(draft_project(id="proj_1", name="one"))
    assert there.names.one("proj_1") == "one"
    here.projects.change("proj_1", name="two")
    there.feed.publish([FeedBroke()])
    assert there.names.one("proj_1") == "two"


def test_one_that_is_known_not_to_be_there_is_not_looked_up_again(servers: list[Server]) -> None:
    server = servers[0]
    server.projects.insert(draft_project(id="proj_1", name="one"))
    for _ in range(3):
        assert server.names.of(["proj_1", "proj_no"]) == {"proj_1": "one"}
        assert server.names.one("proj_no") == ""
    assert server.asked == 1
    # one statement fetches the missing names and nothing else
    assert server.names.of(["proj_1", "proj_2", "proj_3"]) == {"proj_1": "one"}
    assert server.asked == 2


def test_what_is_written_while_it_is_asked_for_is_not_hidden_by_the_answer(
    servers: list[Server],
) -> None:
    server = servers[0]
    server.projects.insert(draft_project(id="proj_1", name="one"))

    names = ["two"]

    def write(*_: object) -> None:
        if names:
            server.projects.change("proj_1", name=names.pop())

    event.listen(server.database._reader, "after_cursor_execute", write)
    server.names.one("proj_1")
    assert server.names.one("proj_1") == "two"


def test_no_more_than_so_many_are_remembered(
    servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_names, "MOST", 3)
    server = servers[0]
    for number in range(8):
        server.projects.insert(draft_project(id=f"proj_{number}", name=f"{number}"))
        assert server.names.one(f"proj_{number}") == f"{number}"
    assert len(server.names._known) <= 3
    assert len(server.names._epochs) <= 3
    assert server.names.of([f"proj_{number}" for number in range(8)])["proj_0"] == "0"
