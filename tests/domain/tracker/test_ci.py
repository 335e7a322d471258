"""The CI of a commit, and which comments address Runyard."""

from __future__ import annotations

import pytest

from app.domain.tracker.ci import MOST_NAMED, Ci, CiState, Reported, ci_of, read_ci, seen_at
from app.domain.tracker.forges import is_addressed


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ((), "unknown"),
        (("nonsense", ""), "unknown"),
        (("success", "nonsense"), "passed"),
        (("success", "warning", "skipped"), "passed"),
        (("success", "pending"), "pending"),
        (("pending", "failure", "success"), "failed"),
        (("error",), "failed"),
    ],
)
def test_of_several_reports_the_worst_counts(states: tuple[str, ...], state: str) -> None:
    found = ci_of(Reported(f"job {n}", one) for n, one in enumerate(states))
    assert found.state == state
    assert len(found.failed) == sum(one in ("failure", "error") for one in states)


def test_a_failure_is_linked_rather_than_what_passed_and_not_all_of_many_are_named() -> None:
    passed = Reported("lint", "success", "http://ci.test/passed")
    failed = [Reported(f"job {n}", "failure", f"http://ci.test/{n}") for n in range(60)]
    found = ci_of([passed, *failed])
    assert (found.url, len(found.failed)) == ("http://ci.test/0", MOST_NAMED)


def test_what_was_said_of_another_commit_says_nothing_of_this_one() -> None:
    red = Ci(CiState.FAILED, None, ("build",))
    stored = seen_at(red, "a" * 40)
    assert read_ci(stored, "a" * 40) == red
    assert read_ci(stored, "b" * 40) == Ci() == read_ci(None, "a" * 40)


@pytest.mark.parametrize(
    "text",
    ["@runyard add a test", "Please, @Runyard: shorter.", "Hm.\n/runyard fix", "(@runyard)"],
)
def test_a_comment_addresses_runyard(text: str) -> None:
    assert is_addressed(text)


@pytest.mark.parametrize(
    "text",
    [
        *("me@runyard.example", "@runyardish", "@runyard-bot", "/runyard/fix", "a /runyard fix"),
        *("> @runyard add a test\n\nWhy?", "runyard add a test", "acme/@runyard", ""),
    ],
)
def test_a_comment_that_only_looks_like_it_does_not(text: str) -> None:
    assert not is_addressed(text)
