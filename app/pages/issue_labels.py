"""An issue's labels: each can be taken away, others added."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from nicegui import ui

from app.pages.components.buttons import button
from app.pages.components.issue_words import labels_html
from app.pages.components.marks import testid
from app.pages.components.markup import clean
from app.pages.components.plain_sight import plain
from app.state.issue_list import labelled
from app.state.wire import IssueOut

MAX_LABEL = 100


class IssueLabels:
    """Chips, and a field for one more; a label that somebody else sets meanwhile stays."""

    def __init__(self, change: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._change = change
        self._issue: IssueOut | None = None
        self._drawn: tuple[list[str], bool] | None = None
        with testid(ui.element("div").classes("line labels"), "issue-labels"):
            self._chips = ui.element("div").classes("line")
            self._new = testid(ui.input(placeholder="Add a label"), "new-label")
            self._new.props(f"outlined dense hide-bottom-space maxlength={MAX_LABEL}")
            self._new.props["aria-label"] = "Add a label"
            self._new.classes("in").on("keydown.enter", self._add)
            self._plus = button("Add", self._add, kind="small", mark="add-label")

    def show(self, issue: IssueOut, *, is_archived: bool) -> None:
        """Show the labels as they are."""
        self._issue = issue
        for shown in (self._new, self._plus):
            shown.set_visibility(not is_archived)
        if self._drawn == (issue.labels, is_archived):
            return
        self._drawn = (issue.labels, is_archived)
        self._chips.clear()
        self._chips.set_visibility(bool(issue.labels))
        with self._chips:
            if is_archived:
                ui.html(labels_html(issue.labels), sanitize=clean).classes("line")
                return
            for label in issue.labels:
                chip = button(f"{plain(label)} ×", partial(self._remove, label), kind="chip")
                chip.props["aria-label"] = f"Remove label {plain(label)}"
                chip.props["title"] = "Remove this label"
                testid(chip, "label", label=label)

    async def _remove(self, label: str) -> None:
        if self._issue is not None:
            others = [one for one in self._issue.labels if one != label]
            await self._change(labelled(self._issue, others))

    async def _add(self) -> None:
        label = (self._new.value or "").strip()
        if self._issue is None or not label:
            return
        if label not in self._issue.labels:
            await self._change(labelled(self._issue, [*self._issue.labels, label]))
        if self._issue is not None and label in self._issue.labels:
            self._new.set_value("")
