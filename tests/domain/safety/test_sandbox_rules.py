"""Resource limits that a project may set for its runs."""

from __future__ import annotations

import pytest

from app.domain.sandbox.levels import Limits
from app.domain.sandbox.settings import (
    LIMIT_BOUNDS,
    largest_delivered_mb,
    limit_problem,
    limits_problems,
)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("memory_mb", 63, "Give at least 64 MB of memory, or nothing for no limit."),
        ("processes", 15, "Give at least 16 processes, or nothing for no limit."),
        ("file_mb", 0, "Give at least 1 MB for one file, or nothing for no limit."),
        ("disk_mb", -1, "Give at least 16 MB for the working copy, or nothing for no limit."),
        ("processes", 2**31, "Give at most 4,194,304 processes, or nothing for no limit."),
    ],
)
def test_a_limit_that_no_run_could_live_with_is_refused_with_the_least_there_may_be(
    name: str, value: int, sentence: str
) -> None:
    assert limit_problem(name, value) == sentence


@pytest.mark.parametrize("name", LIMIT_BOUNDS)
def test_a_limit_may_be_the_least_and_the_most_there_is(name: str) -> None:
    bound = LIMIT_BOUNDS[name]
    assert limit_problem(name, bound.least) is None
    assert limit_problem(name, bound.most) is None


def test_every_limit_that_is_wrong_is_named_at_once() -> None:
    wrong = limits_problems(Limits(memory_mb=1, processes=None, file_mb=0, disk_mb=16))
    assert set(wrong) == {"memory_mb", "file_mb"}
    assert limits_problems(Limits()) == {}


def test_a_delivery_holds_no_file_above_100_mb_unless_the_project_says_otherwise() -> None:
    assert largest_delivered_mb(Limits()) == 100
    assert largest_delivered_mb(Limits(file_mb=700)) == 700
