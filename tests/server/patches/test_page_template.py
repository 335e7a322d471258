"""The page that replaces NiceGUI's: made from the same parts, in the same order."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import nicegui
from nicegui import client

from tests.drivers.source_tree import ROOT

OURS = (ROOT / "assets" / "page.jinja").read_text()
THEIRS = Path(nicegui.__file__).parent / "templates" / "index.html"
# NiceGUI's page as it was when ours was written from it
SEEN = "82070de3799672b88ed615a512e7d9505902b263a8598d55154143481489837f"


def test_nicegui_s_page_is_the_one_ours_was_written_from() -> None:
    found = sha256(THEIRS.read_bytes()).hexdigest()
    assert found == SEEN, "NiceGUI's page is new: compare it with assets/page.jinja"


def test_nicegui_asks_for_its_page_in_one_place_and_by_the_module_s_name() -> None:
    source = Path(client.__file__).read_text()
    assert source.count("templates.TemplateResponse(") == 1
    assert "name='index.html'" in source


def test_scripts_run_in_nicegui_s_order_and_none_before_the_content_is_read() -> None:
    order = ["importmap", 'id="app"', 'from "vue"', 'src="{{ script }}"', "app.mount"]
    places = [OURS.index(part) for part in order]
    assert places == sorted(places)
    scripts = re.findall(r"<script([^>]*)>", OURS)
    assert all(re.search(r"defer|type=\"(module|importmap)\"", one) for one in scripts)
