"""Figures as medians over pairs: reference and measured, one right after the other."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

PAIRS = 5


def median_of_pairs(measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Call `measure`, which takes one pair, five times; return the median of each value."""
    taken = [measure() for _ in range(PAIRS)]
    return {name: median(one[name] for one in taken) for name in taken[0]}
