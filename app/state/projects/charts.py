"""What the charts of a project are asked for, and figures in a unit that people can read."""

from __future__ import annotations

from collections.abc import Sequence

RANGES = (7, 30, 90)


def chosen_range(asked: str) -> int:
    """The days that an address asks for, else thirty."""
    return next((days for days in RANGES if str(days) == asked), 30)


def scaled(
    values: Sequence[float | None], units: Sequence[tuple[str, float]]
) -> tuple[str, list[float | None]]:
    """Values in the first unit that the largest reaches twice, else in the last; and its name."""
    largest = max((value for value in values if value is not None), default=0)
    name, size = next((unit for unit in units if largest >= 2 * unit[1]), units[-1])
    return name, [None if value is None else _rounded(value / size) for value in values]


def _rounded(value: float) -> float:
    return round(value, 1 if value >= 1 else 3)
