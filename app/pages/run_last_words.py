"""What the agent of a run said last."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.marks import testid
from app.pages.components.markup import clean
from app.pages.components.plain_sight import plain_html
from app.state.wire import ReportOut


class LastWords:
    """A box with the agent's final message; nothing while there is none."""

    def __init__(self) -> None:
        self._box = testid(ui.html("", sanitize=clean), "final-message")

    def show(self, report: ReportOut) -> None:
        """Say the agent's words, and the line by which it told that its limit is reached."""
        words = report.final_message or report.limit or ""
        lines = "\n".join(plain_html(line) for line in words.split("\n"))
        self._box.set_visibility(bool(words))
        said = f'<pre class="task said" tabindex="0">{lines}</pre>'
        self._box.set_content(f"<h2>The agent said</h2>{said}" if words else "")
