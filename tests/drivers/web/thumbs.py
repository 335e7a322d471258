"""A phone held in one hand: what is pressed is in reach of the thumb, and large enough for it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

WIDTH, HEIGHT = 390, 844
PHONE: dict[str, Any] = {
    "viewport": {"width": WIDTH, "height": HEIGHT},
    "has_touch": True,
    "is_mobile": True,
}
# a finger's width
LEAST = 44


def press(page: Page, mark: str) -> None:
    """Tap a main action, which must be in the lower half of the screen and 44 px or more."""
    wanted = page.get_by_test_id(mark)
    expect(wanted).to_be_visible()
    # waits until it has come to rest, and nothing covers it
    wanted.tap(trial=True)
    box = box_of(wanted)
    assert box["y"] >= HEIGHT / 2, f"{mark} is out of the thumb's reach: {box}"
    assert min(box["width"], box["height"]) >= LEAST, f"{mark} is too small for a finger: {box}"
    assert box["x"] >= 0, box
    assert box["x"] + box["width"] <= WIDTH, f"{mark} is cut off: {box}"
    wanted.tap()


def box_of(wanted: Locator) -> Any:
    """Return the place and size of what is visible."""
    box = wanted.bounding_box()
    assert box is not None
    return box


def covers(over: Locator, under: Locator) -> bool:
    """Return True if the two overlap."""
    one, two = box_of(over), box_of(under)
    return all(
        one[at] < two[at] + two[size] and two[at] < one[at] + one[size]
        for at, size in (("x", "width"), ("y", "height"))
    )
