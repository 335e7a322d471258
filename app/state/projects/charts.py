"""Chart ranges of a project, and scaling of values to readable units."""

from __future__ import annotations

from collections.abc import Sequence

RANGES = (7, 30, 90)


def chosen_range(asked: str) -> int:
    """Return the number of days in a URL parameter if it is a known range, else 30."""
    return next((days for days in RANGES if str(days) == asked), 30)


def scaled(
    values: Sequence[float | None], units: Sequence[tuple[str, float]]
) -> tuple[str, list[float | None]]:
    """Scale values to the first unit that the largest reaches twice, else to the last unit.

    Returns the unit's name and the rounded values.
    """
    largest = max((value for value in values if value is not None), default=0)
    name, size = next((unit for unit in units if largest >= 2 * unit[1]), units[-1])
    return name, [None if value is None else _rounded(value / size) for value in values]


def _rounded(value: float) -> float:
    return round(value, 1 if value >= 1 else 3)
