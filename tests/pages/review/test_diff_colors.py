"""The colors of a diff can be read: words on every background that they may stand on."""

from __future__ import annotations

import re

import pytest

from tests.drivers.source_tree import ROOT

LEAST = 4.5
_TOKEN = re.compile(r"--([\w-]+):(light-dark\([^)]*\)|#[0-9a-f]{3,6})")
WORDS = ("ink", "y-key", "y-str", "y-num", "y-com", "y-fn")
BACKGROUNDS = ("surface", "add", "del", "add-2", "del-2")


def colors(place: int) -> dict[str, str]:
    """Return the tokens of the light (0) or the dark (1) look."""
    css = "".join((ROOT / "assets" / name).read_text() for name in ("theme.css", "diff.css"))
    return {
        name: re.findall(r"#[0-9a-f]+", value)[place if "light-dark" in value else 0]
        for name, value in _TOKEN.findall(css)
        if value.count("#") == 1 + ("light-dark" in value)
    }


def brightness(color: str) -> float:
    digits = color.removeprefix("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, bright = sorted((brightness(one), brightness(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("look", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_every_background_of_a_diff(look: int) -> None:
    tokens = colors(look)
    pairs = [(word, ground) for word in WORDS for ground in BACKGROUNDS]
    # numbers and signs never stand on a changed word
    pairs += [("no", ground) for ground in ("surface", "add", "del", "bg")]
    pairs += [("go", "add"), ("stop", "del")]
    weak = {
        pair: round(found, 2)
        for pair in pairs
        if (found := contrast(tokens[pair[0]], tokens[pair[1]])) < LEAST
    }
    assert not weak
