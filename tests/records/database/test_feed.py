"""The feed: one order for all subscribers, replay of missed changes, and its limits."""

from __future__ import annotations

import threading

import pytest

from app.records.feed import REMEMBERED, Change, Feed, LogGrew, Numbered, ProjectChanged


def change(number: int) -> Change:
    return ProjectChanged(f"proj_{number}")


@pytest.fixture
def feed() -> Feed:
    """A feed without changes."""
    return Feed()


def test_listeners_hear_every_change_once_and_in_order(feed: Feed) -> None:
    first: list[Numbered] = []
    second: list[Numbered] = []
    feed.subscribe(first.append)
    feed.publish([change(1), change(2)])
    feed.subscribe(second.append)
    feed.publish([change(3)])
    assert first == [Numbered(number, change(number)) for number in (1, 2, 3)]
    assert second == [Numbered(3, change(3))]


def test_who_has_left_hears_nothing_more(feed: Feed) -> None:
    heard: list[Numbered] = []
    leave = feed.subscribe(heard.append)
    feed.publish([change(1)])
    leave()
    leave()
    feed.publish([change(2)])
    assert [one.number for one in heard] == [1]


def test_a_listener_of_some_projects_hears_of_no_others(feed: Feed) -> None:
    heard: list[Numbered] = []
    projects: set[str] = set()
    feed.subscribe(heard.append, ProjectChanged, projects=projects)
    feed.publish([ProjectChanged("ours")])
    projects.add("ours")
    feed.publish([ProjectChanged("ours"), ProjectChanged("theirs"), LogGrew("run")])
    assert [one.change for one in heard] == [ProjectChanged("ours")]


def test_one_listener_may_be_there_twice(feed: Feed) -> None:
    heard: list[Numbered] = []
    hear = heard.append
    feed.subscribe(hear)
    feed.subscribe(hear)
    feed.publish([change(1)])
    assert len(heard) == 2


@pytest.mark.expects_error_log
def test_a_listener_that_fails_harms_neither_the_others_nor_the_teller(feed: Feed) -> None:
    def fail(_: Numbered) -> None:
        raise RuntimeError("a listener's own")

    heard: list[Numbered] = []
    feed.subscribe(fail)
    feed.subscribe(heard.append)
    feed.publish([change(1), change(2)])
    assert [one.number for one in heard] == [1, 2]


def test_everybody_sees_the_same_order_whoever_tells(feed: Feed) -> None:
    ears: list[list[Numbered]] = [[], [], []]
    for ear in ears:
        feed.subscribe(ear.append)
    start = threading.Barrier(8)

    def tell(who: int) -> None:
        start.wait()
        for number in range(50):
            feed.publish([change(who * 1000 + number)])

    tellers = [threading.Thread(target=tell, args=(who,)) for who in range(8)]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join(30)
    assert [one.number for one in ears[0]] == list(range(1, 401))
    assert ears[0] == ears[1] == ears[2]


def test_what_was_missed_can_be_asked_for(feed: Feed) -> None:
    assert feed.newest == 0
    assert feed.since(0) == []
    feed.publish([change(1), change(2), change(3)])
    assert feed.newest == 3
    assert feed.since(0) == [Numbered(number, change(number)) for number in (1, 2, 3)]
    assert feed.since(2) == [Numbered(3, change(3))]
    assert feed.since(3) == []


@pytest.mark.parametrize("number", [4, 1000, -1, -5])
def test_a_number_that_was_never_told_has_no_answer(feed: Feed, number: int) -> None:
    # numbers from an earlier server start
    feed.publish([change(1), change(2), change(3)])
    assert feed.since(number) is None


def test_what_is_forgotten_has_no_answer(feed: Feed) -> None:
    feed.publish(change(number) for number in range(REMEMBERED + 10))
    assert feed.since(0) is None
    assert feed.since(9) is None
    oldest = feed.since(10)
    assert oldest is not None
    assert len(oldest) == REMEMBERED
    assert feed.since(11) == oldest[1:]
    assert feed.since(REMEMBERED + 10) == []


def test_growing_logs_are_told_but_push_nothing_else_out_of_memory(feed: Feed) -> None:
    heard: list[Numbered] = []
    feed.subscribe(heard.append)
    feed.publish([change(1)])
    feed.publish(LogGrew("run_1") for _ in range(REMEMBERED * 2))
    feed.publish([change(2)])
    assert len(heard) == REMEMBERED * 2 + 2
    missed = feed.since(1)
    assert missed is not None
    assert [one.change for one in missed] == [change(2)]
