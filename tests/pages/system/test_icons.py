"""The sheet of icons holds those that are drawn, and every icon that a page names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHEET = ROOT / "assets" / "icons.css"
NAMED = re.compile(r"""icon\(\s*["']([a-z0-9-]+)["']""")


def test_every_icon_of_the_sheet_is_drawn_somewhere() -> None:
    names = re.findall(r"^\.i-([a-z0-9-]+)\{", SHEET.read_text("utf-8"), re.MULTILINE)
    sources = "\n".join(path.read_text("utf-8") for path in _sources())
    words = set(re.findall(r"[\"'\s-]([a-z0-9-]+)(?=[\"'\s<])", sources))
    words |= set(re.findall(r"\bi-([a-z0-9-]+)", sources))
    assert names
    assert [name for name in names if name not in words] == []


def test_every_icon_that_a_page_names_is_in_the_sheet() -> None:
    sheet = SHEET.read_text("utf-8")
    named = {name for path in _sources() for name in NAMED.findall(path.read_text("utf-8"))}
    assert named
    assert sorted(name for name in named if f".i-{name}{{" not in sheet) == []


def _sources() -> list[Path]:
    return [*(ROOT / "app").rglob("*.py"), *(ROOT / "assets").rglob("*.js")]
