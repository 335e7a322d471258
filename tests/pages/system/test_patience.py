"""Response timeouts of pages on a busy machine."""

from __future__ import annotations

from tests.drivers.servers.processes import ROOT


def test_every_page_may_come_late_rather_than_as_an_error() -> None:
    pages = (ROOT / "app" / "pages").rglob("*.py")
    drawn = {file.name for file in pages if "ui.page(" in file.read_text()}
    assert drawn == {"page_session.py"}, "page_at gives a page its time"
