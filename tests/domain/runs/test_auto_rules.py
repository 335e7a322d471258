"""Conditions of an auto launch: each term of engine.md §5, alone and combined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rules import AutoFacts, Hold, Launch, may_launch_auto, pick_issue
from app.domain.words import PAUSE_THRESHOLD, Priority


@dataclass(frozen=True)
class AnIssue:
    """An issue in the queue."""

    number: int
    priority: str = Priority.NORMAL
    rank: int | None = None


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FREE = AutoFacts(
    state="ready",
    is_archived=False,
    auto_enabled=True,
    strikes=0,
    has_open_auto_run=False,
    repository_room=3,
    global_room=3,
    agent_problem=None,
    usage_hold=None,
    launch_pause=None,
    claimable=(AnIssue(12), AnIssue(9), AnIssue(14)),
)
HOLDS: list[tuple[dict[str, Any], str]] = [
    ({"is_archived": True}, "the project is archived"),
    ({"state": "cloning"}, "the repository is being cloned"),
    ({"state": "broken"}, "the repository could not be cloned"),
    ({"auto_enabled": False}, "auto runs are off"),
    ({"strikes": 3}, "auto runs are paused after 3 fails"),
    ({"strikes": 4}, "auto runs are paused after 4 fails"),
    (
        {"checks_error": "Check “tests” could not be started: no make."},
        "Check “tests” could not be started: no make.",
    ),
    ({"has_open_auto_run": True}, "an auto run is under way"),
    ({"repository_room": 0}, "the repository is at its limit of runs"),
    ({"repository_room": -1}, "the repository is at its limit of runs"),
    ({"global_room": 0}, "all slots for live runs are taken"),
    ({"agent_problem": "claude was not found"}, "claude was not found"),
    ({"usage_hold": "claude is at its limit"}, "claude is at its limit"),
    ({"launch_pause": "the last launch failed"}, "the last launch failed"),
    ({"claimable": ()}, "no issue is claimable"),
    ({"claimable": None}, "its issues could not be read"),
]


def test_the_lowest_claimable_number_goes_first() -> None:
    assert may_launch_auto(FREE) == Launch(9)
    assert pick_issue([]) is None


@pytest.mark.parametrize(
    ("first", "because"),
    [
        (AnIssue(20, "urgent"), "urgent priority"),
        (AnIssue(20, "high", 3), "high priority, placed by hand"),
        (AnIssue(20, rank=7), "placed by hand"),
    ],
)
def test_priority_then_place_then_number_decides_and_is_named(first: AnIssue, because: str) -> None:
    others = [AnIssue(1), AnIssue(2, "low", 1), AnIssue(3, rank=8), AnIssue(21, first.priority)]
    assert may_launch_auto(replace(FREE, claimable=[*others, first])) == Launch(20, because)


@pytest.mark.parametrize(("change", "reason"), HOLDS, ids=[reason for _, reason in HOLDS])
def test_one_term_that_is_not_met_holds(change: dict[str, Any], reason: str) -> None:
    assert may_launch_auto(replace(FREE, **change)) == Hold(reason)


def test_two_terms_that_are_not_met_hold_with_the_first_ones_reason() -> None:
    for (first, reason), (second, _) in combinations(HOLDS, 2):
        if first.keys() & second.keys():
            continue
        assert may_launch_auto(replace(FREE, **first | second)) == Hold(reason)


@pytest.mark.parametrize("strikes", range(PAUSE_THRESHOLD))
def test_fewer_than_three_strikes_hold_nothing(strikes: int) -> None:
    assert may_launch_auto(replace(FREE, strikes=strikes)) == Launch(9)


@given(st.lists(st.integers(1, 10**6), min_size=1, unique=True))
def test_the_order_in_which_a_tracker_lists_its_issues_does_not_matter(numbers: list[int]) -> None:
    assert may_launch_auto(replace(FREE, claimable=map(AnIssue, numbers))) == Launch(min(numbers))
