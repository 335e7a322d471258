"""The words of the inbox: costs, checks, and the line since the last visit."""

from __future__ import annotations

from typing import Any

import pytest

from app.state.review.inbox_words import checks_words, cost_of, cost_words
from tests.state.review.test_inbox_board import facts


@pytest.mark.parametrize(
    ("cost", "unknown", "words"),
    [
        (None, 0, ""),
        (None, 3, ""),
        (61.2, 0, "$61"),
        (0.2, 0, "$1"),
        (61.2, 2, "$61+"),
        (0, 1, "$0+"),
    ],
)
def test_a_cost_is_told_in_whole_dollars(cost: float | None, unknown: int, words: str) -> None:
    assert cost_words(cost, unknown) == words


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"cost_unknown": 2}, ""),
        ({"cost_usd": 0.384}, "$0.38"),
        ({"cost_usd": 0.384, "cost_unknown": 1}, "$0.38+"),
    ],
)
def test_a_row_says_where_a_cost_is_unknown(more: dict[str, Any], words: str) -> None:
    assert cost_of(facts(**more)) == words


@pytest.mark.parametrize(
    ("checks", "red", "words"), [(0, 0, "no checks"), (3, 0, "3/3"), (3, 1, "1 of 3 failed")]
)
def test_a_row_says_what_the_checks_said(checks: int, red: int, words: str) -> None:
    assert checks_words(facts(checks=checks, red=red)) == words
