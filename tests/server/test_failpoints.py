"""Failpoints act only in a program that says it is under test."""

from __future__ import annotations

import pytest

from app.failpoints import FailpointHit, failpoint, set_failpoints

POINT = {"RUNYARD_FAILPOINT": "delivering:raise"}


@pytest.mark.parametrize("said", [{}, {"RUNYARD_TEST": "0"}, {"RUNYARD_TEST": "yes"}])
def test_a_failpoint_in_the_environment_of_a_program_in_use_does_nothing(
    said: dict[str, str],
) -> None:
    set_failpoints({**POINT, **said})
    failpoint("delivering")


def test_a_failpoint_acts_at_its_own_point_alone() -> None:
    set_failpoints({**POINT, "RUNYARD_TEST": "1"})
    failpoint("accepting")
    with pytest.raises(FailpointHit, match="delivering"):
        failpoint("delivering")


def test_an_unknown_action_is_an_error_at_the_start() -> None:
    with pytest.raises(ValueError, match="explode"):
        set_failpoints({"RUNYARD_FAILPOINT": "delivering:explode", "RUNYARD_TEST": "1"})
