"""The meter of a forge's requests, and the limit that its answers tell."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.adapters.forge.meter import Meter
from app.services.ports import Spending


@dataclass
class Clock:
    """Seconds that a test sets."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter(clock, clock)


def test_a_forge_that_tells_no_limit_has_only_what_was_spent(meter: Meter, clock: Clock) -> None:
    meter.count()
    clock.now += 30
    meter.count()
    meter.note({"date": "Wed, 25 Nov 2026 12:00:00 GMT"})
    assert meter.read() == Spending(2, 2)
    clock.now += 31
    assert meter.read() == Spending(2, 1)
    clock.now += 60
    assert meter.read() == Spending(2, 0)


def test_what_is_left_is_told_until_the_limit_is_reset(meter: Meter, clock: Clock) -> None:
    meter.note({"x-ratelimit-remaining": "4873", "x-ratelimit-reset": str(int(clock.now) + 720)})
    assert meter.read() == Spending(0, 0, 4873, 720)
    clock.now += 700
    # an answer without a limit leaves it
    meter.note({})
    assert meter.read() == Spending(0, 0, 4873, 20)
    clock.now += 21
    assert meter.read() == Spending(0, 0), "the limit was reset: what is left now is not known"


@pytest.mark.parametrize("remaining", ["", "-1", "many", "٣", "1e9"])
def test_nonsense_in_its_place_is_not_taken(meter: Meter, remaining: str) -> None:
    meter.note({"x-ratelimit-remaining": remaining, "x-ratelimit-reset": "soon"})
    assert meter.read() == Spending(0, 0)


def test_what_graphql_has_left_is_not_what_is_left_for_everything_else(
    meter: Meter, clock: Clock
) -> None:
    reset = {"x-ratelimit-reset": str(int(clock.now) + 720)}
    meter.note(reset | {"x-ratelimit-remaining": "4873", "x-ratelimit-resource": "core"})
    meter.note(reset | {"x-ratelimit-remaining": "12", "x-ratelimit-resource": "graphql"})
    assert meter.read() == Spending(0, 0, 4873, 720)
