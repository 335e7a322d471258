"""Messages between servers on one PostgreSQL: committed changes, and when to reload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import make_url

from app.records.database.change_codec import MESSAGE_BYTES, read, written
from app.records.database.database import Database
from app.records.feed import (
    BulkChanged,
    Change,
    Feed,
    FeedBroke,
    FindingsChanged,
    LogGrew,
    ProjectChanged,
    ProjectNamed,
    QuotaChanged,
    RunChanged,
    RunEventAppended,
    RunReported,
    StuckChanged,
    SweepWanted,
)
from app.records.stores import pg_notify
from app.records.stores.pg_notify import PgNotifyRelay
from tests.builders.databases import POSTGRESQL, one_postgres
from tests.fakes.agents.runs import until

CROSSING = [
    *(
        RunChanged("run_1", "proj_1"),
        RunEventAppended("run_1", 7),
        LogGrew("run_1"),
        RunReported("run_1"),
    ),
    *(BulkChanged("bulk_1"), StuckChanged()),
    *(ProjectChanged("proj_1"), ProjectNamed("proj_1"), QuotaChanged("person_1")),
    SweepWanted(whole=True),
]


def test_a_message_says_what_was_written_and_no_more() -> None:
    [message] = written([*CROSSING, FindingsChanged(), FeedBroke()], "one")
    assert read(message, own="other") == CROSSING
    assert read(message, own="one") == []


def test_many_changes_are_several_messages_that_postgresql_takes() -> None:
    changes: list[Change] = [ProjectChanged(f"proj_{n:025}") for n in range(1000)]
    messages = list(written(changes, "one"))
    assert max(len(message.encode()) for message in messages) < MESSAGE_BYTES + 100 < 8000
    assert [one for message in messages for one in read(message, own="other")] == changes


@pytest.mark.parametrize(
    "message",
    [
        *("", "[]", "{}", "null", '{"by":"x"}', '{"by":"x","told":[[]]}', '{"by":"x","told":7}'),
        '{"by":"x","told":[["RunChanged","only one"]]}',
    ],
)
def test_a_message_of_somebody_else_is_no_change(message: str) -> None:
    assert read(message, own="one") == []


def test_what_a_newer_server_alone_knows_is_left_out() -> None:
    message = '{"by":"x","told":[["Sung","run_1"],["LogGrew","run_1"]]}'
    assert read(message, own="one") == [LogGrew("run_1")]


class Server:
    """One server, with the changes it received in order."""

    def __init__(self, address: str) -> None:
        self.feed = Feed()
        self.database = Database(address, publish=self.feed.publish)
        self.relay = PgNotifyRelay(self.database, self.feed)
        self.heard: list[Change] = []
        self.feed.subscribe(lambda one: self.heard.append(one.change))

    def commit(self, *changes: Change) -> None:
        with self.database.transaction() as tx:
            tx.publish(*changes)


@contextmanager
def listening(address: str) -> Iterator[Server]:
    server = Server(address)
    server.relay.open()
    try:
        until(lambda: server.heard == [FeedBroke()], "it listens")
        server.heard.clear()
        yield server
    finally:
        server.relay.close()
        server.database.close()


@pytest.fixture
def both(address_of: Callable[[str], str]) -> Iterator[tuple[Server, Server]]:
    """Two servers on one database."""
    with listening(address_of("x")) as one, listening(address_of("x")) as other:
        yield one, other


@pytest.mark.parametrize("kind", [POSTGRESQL], indirect=True)
class TestTwoServers:
    """Two servers on one PostgreSQL."""

    def test_what_one_commits_both_hear_once(self, both: tuple[Server, Server]) -> None:
        one, other = both
        one.commit(*CROSSING)
        # what a server commits it hears at once, what another commits only through the database
        until(lambda: len(other.heard) == len(CROSSING), "the other has heard it")
        other.commit(ProjectChanged("last"))
        for server in both:
            until(lambda heard=server.heard: ProjectChanged("last") in heard, "it is heard")
        assert other.heard == [*CROSSING, ProjectChanged("last")]
        assert sorted(map(str, one.heard)) == sorted(map(str, other.heard))

    def test_what_is_in_no_transaction_is_heard_and_does_not_come_back(
        self, both: tuple[Server, Server]
    ) -> None:
        one, other = both
        for _ in range(50):
            one.feed.publish([LogGrew("run_1")])
        until(lambda: LogGrew("run_1") in other.heard, "it is heard")
        other.commit(ProjectChanged("last"))
        until(lambda: ProjectChanged("last") in one.heard, "it is heard")
        # repeated changes are merged into few messages
        assert len(other.heard) < 20
        assert len(one.heard) == 51

    def test_after_a_silence_everybody_looks_again(self, both: tuple[Server, Server]) -> None:
        one, other = both
        one.commit(ProjectChanged("before"))
        until(lambda: other.heard == [ProjectChanged("before")], "it is heard")
        seen = other.feed.newest
        name = make_url(one.database.url).database
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        one_postgres().tell(cut, name)
        # once when the connection is lost, and once when it is back
        for server in both:
            until(lambda server=server: server.heard.count(FeedBroke()) == 2, "it looks again")
        assert other.feed.since(seen) is None
        one.commit(ProjectChanged("after"))
        until(lambda: other.heard[-1] == ProjectChanged("after"), "it is heard again")

    @pytest.mark.expects_error_log
    def test_after_a_message_that_could_not_be_taken_it_listens_again(
        self, both: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = both

        def fail(_: str, *, own: str) -> list[Change]:
            monkeypatch.undo()
            raise KeyError(own)

        monkeypatch.setattr(pg_notify, "read", fail)
        one.commit(ProjectChanged("lost"))
        until(lambda: sum(s.heard.count(FeedBroke()) for s in both) == 2, "it looks again")
        one.commit(ProjectChanged("after"))
        until(lambda: other.heard[-1] == ProjectChanged("after"), "it is heard again")

    def test_a_relay_that_is_closed_leaves_no_thread(self, address_of: Callable[..., str]) -> None:
        before = set(threading.enumerate())
        with listening(address_of("x")):
            assert set(threading.enumerate()) > before
        assert set(threading.enumerate()) <= before
