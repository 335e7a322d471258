"""Display texts of tokens and cost."""

from __future__ import annotations

import pytest

from app.domain.agents.reports import amount_words, cost_words, usage_words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (61_400, "61 k"),
        (999_499, "999 k"),
        (999_500, "1.0 M"),
        (1_250_000, "1.2 M"),
        (2_147_483_647, "2,147.5 M"),
    ],
)
def test_a_large_number_is_said_in_short(amount: int, words: str) -> None:
    assert amount_words(amount) == words


@pytest.mark.parametrize(
    ("cost", "words"),
    [(0.0, "$0.00"), (0.004, "<$0.01"), (0.005, "$0.01"), (0.38, "$0.38"), (1234.5, "$1,234.50")],
)
def test_a_small_cost_is_not_nothing(cost: float, words: str) -> None:
    assert cost_words(cost) == words


@pytest.mark.parametrize(
    ("tokens", "cost", "words"),
    [
        (0, None, ""),
        (1, None, "1 token"),
        (61_000, 0.38, "61 k tokens · $0.38"),
        (0, 0.0, "$0.00"),
    ],
)
def test_what_was_not_told_is_left_out(tokens: int, cost: float | None, words: str) -> None:
    assert usage_words(tokens, cost) == words
