"""Usage of a list's runs: the reported sums, and how many runs reported."""

from __future__ import annotations

import pytest

from app.api.schemas import RunOut, UsageOut
from app.domain.words import Status
from app.state.runs.run_board import tokens_of, usage_of
from tests.builders.run_samples import run_of


def used(number: int, **usage: float | None) -> RunOut:
    return run_of(number, Status.DIED, usage=UsageOut.model_validate(usage))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [({}, None), ({"input_tokens": 0}, 0), ({"input_tokens": 5, "output_tokens": 2}, 7)],
)
def test_tokens_in_and_out_are_one_number(usage: dict[str, float], tokens: int | None) -> None:
    assert tokens_of(used(1, **usage)) == tokens


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], ""),
        ([used(1)], ""),
        ([used(1), used(2, input_tokens=61_000)], "61 k tokens, reported by 1 of 2 runs"),
        ([used(1, cost_usd=0.0)], "$0.00, reported by 1 of 1 run"),
        (
            [used(1, output_tokens=900, cost_usd=0.3), used(2, input_tokens=100, cost_usd=0.08)],
            "1 k tokens · $0.38, reported by 2 of 2 runs",
        ),
    ],
)
def test_a_sum_says_how_many_told_it(runs: list[RunOut], words: str) -> None:
    assert usage_of(runs) == words
