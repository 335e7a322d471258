"""Figures of a single run, and sums of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.lifecycle import DONE
from app.domain.statistics import NOTHING, OUTCOMES, Figures, figures_of
from app.domain.words import Status

SECOND = timedelta(seconds=1)


def test_every_terminal_status_has_its_count() -> None:
    assert {Status(name) for name in OUTCOMES} == DONE
    for status in DONE:
        assert figures_of(status, None, None, None, None) == Figures(**{str(status): 1})


@pytest.mark.parametrize("status", sorted(set(Status) - DONE))
def test_a_run_that_is_not_over_adds_nothing(status: Status) -> None:
    assert figures_of(status, SECOND, 1, 2, 3.0) == NOTHING


@pytest.mark.parametrize(
    ("told", "figures"),
    [
        ((None, None, None), {}),
        ((0, None, None), {"told_tokens": 1}),
        ((None, 7, None), {"told_tokens": 1, "output_tokens": 7}),
        ((5, 7, 0.0), {"told_tokens": 1, "input_tokens": 5, "output_tokens": 7, "told_cost": 1}),
        ((None, None, 0.375001), {"told_cost": 1, "cost_micros": 375_001}),
        ((None, None, 1e6), {"told_cost": 1, "cost_micros": 10**12}),
    ],
)
def test_what_was_not_told_is_not_zero(
    told: tuple[int | None, int | None, float | None], figures: dict[str, int]
) -> None:
    assert figures_of(Status.DIED, None, *told) == Figures(died=1, **figures)


@pytest.mark.parametrize(
    ("worked", "milliseconds"),
    [(timedelta(), 0), (SECOND, 1000), (timedelta(microseconds=1999), 1), (-SECOND, 0)],
)
def test_a_clock_that_was_set_back_gives_no_time_back(worked: timedelta, milliseconds: int) -> None:
    told = figures_of(Status.STOPPED, worked, None, None, None)
    assert (told.began, told.worked_ms) == (1, milliseconds)


def test_sums_say_nothing_of_what_nobody_told() -> None:
    assert (NOTHING.success_rate, NOTHING.mean_seconds, NOTHING.cost_usd) == (None, None, None)
    some = Figures(succeeded=3, died=1, stopped=9, began=4, worked_ms=6000, told_cost=1)
    assert (some.success_rate, some.mean_seconds, some.cost_usd) == (0.75, 1.5, 0.0)
    assert some.ended == 13


def test_what_is_added_can_be_taken_away() -> None:
    a, b = Figures(died=1, cost_micros=5), Figures(died=2, began=1)
    assert a + b == Figures(died=3, began=1, cost_micros=5)
    assert (a + b) - b == a
