"""The window's saved position: validated on reading, and never off the screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.native.place import LEAST_HEIGHT, LEAST_WIDTH, Area, Place, fit, keep, recall

WIDE = Area(0, 0, 1920, 1080)
BESIDE = Area(1920, 0, 1280, 1024)
LOW = Area(0, 0, 320, 240)


@pytest.mark.parametrize(
    "place", [Place(Area(-40, 20, 900, 700), look="dark"), Place(WIDE, is_maximized=True)]
)
def test_a_place_that_is_kept_is_recalled(place: Place, tmp_path: Path) -> None:
    keep(tmp_path / "window.json", place)
    assert recall(tmp_path / "window.json") == place
    assert [file.name for file in tmp_path.iterdir()] == ["window.json"]
    assert (tmp_path / "window.json").stat().st_mode & 0o777 == 0o600


SOUND = {"x": 1, "y": 2, "width": 800, "height": 600}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        "null",
        "[]",
        "7",
        '"x"',
        "[" * 900,
        json.dumps({**SOUND, "x": "1"}),
        json.dumps({**SOUND, "x": True}),
        json.dumps({**SOUND, "y": 1.5}),
        json.dumps({**SOUND, "y": None}),
        json.dumps({**SOUND, "width": 10**12}),
        json.dumps({**SOUND, "height": [600]}),
        '{"x": 1, "y": 2, "width": 800, "height": NaN}',
        json.dumps({"x": 1, "y": 2}),
        json.dumps({"padding": "x" * 2000, **SOUND}),
        "\x00\xff",
    ],
)
def test_what_makes_no_sense_is_no_place(content: str, tmp_path: Path) -> None:
    file = tmp_path / "window.json"
    file.write_text(content)
    assert recall(file) is None


@pytest.mark.parametrize("odd", ["no", 1, {}, ["dark"], "DARK\r\nx", None])
def test_what_is_odd_beside_a_sound_area_is_left_out(odd: object, tmp_path: Path) -> None:
    file = tmp_path / "window.json"
    file.write_text(json.dumps({**SOUND, "is_maximized": odd, "look": odd, "more": {}}))
    assert recall(file) == Place(Area(1, 2, 800, 600))


def test_a_place_that_cannot_be_saved_is_lost_and_nothing_else_fails(tmp_path: Path) -> None:
    keep(tmp_path / "no such folder" / "window.json", Place(WIDE))
    (tmp_path / "window.json").mkdir()
    keep(tmp_path / "window.json", Place(WIDE))
    assert recall(tmp_path / "window.json") is None


@pytest.mark.parametrize(
    ("kept", "screens", "stands"),
    [
        (None, [WIDE], Area(320, 110, 1280, 860)),
        (None, [LOW], LOW),
        (Area(100, 50, 900, 700), [WIDE], Area(100, 50, 900, 700)),
        (Area(-300, -20, 900, 700), [WIDE], Area(0, 0, 900, 700)),
        (Area(1800, 900, 900, 700), [WIDE], Area(1020, 380, 900, 700)),
        (Area(1800, 900, 900, 700), [WIDE, BESIDE], Area(1920, 324, 900, 700)),
        (Area(2000, 100, 900, 700), [WIDE], Area(510, 190, 900, 700)),
        (Area(2000, 100, 5000, 5000), [WIDE, BESIDE], BESIDE),
        (Area(10, 10, 1, -5), [WIDE], Area(780, 340, LEAST_WIDTH, LEAST_HEIGHT)),
    ],
    ids=[
        *("first time", "small screen", "as it was", "off to the left", "off to the right"),
        *("mostly on the second", "its screen is gone", "larger than any", "without a size"),
    ],
)
def test_a_window_stands_where_it_stood_as_far_as_it_can(
    kept: Area | None, screens: list[Area], stands: Area
) -> None:
    assert fit(Place(kept) if kept else None, screens).area == stands


areas = st.builds(Area, *[st.integers(-100_000, 100_000)] * 4)


@given(
    areas, st.lists(st.sampled_from([WIDE, BESIDE, LOW]), min_size=1, unique=True), st.booleans()
)
def test_a_window_is_never_off_the_screens(
    kept: Area, screens: list[Area], is_maximized: bool
) -> None:
    stands = fit(Place(kept, is_maximized), screens)
    size = stands.area.width * stands.area.height
    assert size > 0
    assert any(stands.area.overlap(screen) == size for screen in screens)
    assert stands.is_maximized == is_maximized
