"""The patch that escapes a page's elements faster, with the same result."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nicegui import client

from app.server.patches.page_escapes import Escapable, escape_pages_fast


@given(st.text(st.sampled_from("&<>`$#;amplt…é3690")))
@example("&amp;&#36;$`<script>")
def test_text_is_escaped_as_by_nicegui(text: str) -> None:
    table = client.HTML_ESCAPE_TABLE
    assert Escapable(text).translate(table) == text.translate(table)


def test_nicegui_escapes_the_elements_that_the_patch_gives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = client.json
    monkeypatch.setattr(client, "json", usual)
    escape_pages_fast()
    elements = client.json.dumps({1: {"props": {"title": "a & b"}}})
    assert isinstance(elements, Escapable)
    assert elements == usual.dumps({1: {"props": {"title": "a & b"}}})
    assert client.json.loads('["told by the browser"]') == ["told by the browser"]
