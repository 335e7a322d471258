"""The diff of a run, fetched when its tab is opened."""

from __future__ import annotations

import re
from collections.abc import Callable

from nicegui import ui

from app.api.client.client import ApiProblem, DiffText, NoAnswer
from app.api.schemas import RunOut
from app.domain.review.diffs import diff_size
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.runs.diff_view import diff_html
from app.pages.shell.page_session import PageSession


class DiffPanel:
    """Shows the diff; fetched again on opening the tab if the run has changed since."""

    def __init__(
        self, session: PageSession, run_id: str, set_size: Callable[[int, int], None]
    ) -> None:
        self._session, self._run_id, self._set_size = session, run_id, set_size
        self._mark: object = None
        self._is_open = False
        waiting = '<p class="sub">Reading the diff…</p>'
        self._box = testid(ui.html(waiting, sanitize=clean), "run-diff")

    def show(self, run: RunOut) -> None:
        """Remember the run's state; a diff fetched in an earlier state is stale."""
        mark = (run.status, run.head_sha, run.delivery)
        if mark != self._mark:
            self._mark = mark
            self._is_open = False

    async def open(self) -> None:
        """Fetch the diff, unless the one shown is current."""
        if self._is_open:
            return
        self._is_open = True
        try:
            diff = await self._session.api.diff(self._run_id)
        except (ApiProblem, NoAnswer) as problem:
            self._is_open = False
            self._box.set_content(f'<p class="sub">{text(problem)}</p>')
            return
        self._set_size(*diff_size(diff.text))
        path = f"/api/v1/runs/{self._run_id}/diff"
        html = diff_html(diff.text, path)
        save = save_html(self._run_id, diff) if html else ""
        self._box.set_content(save + html or '<p class="sub">No changes yet.</p>')


def save_html(run_id: str, diff: DiffText) -> str:
    """Return the download link: a patch if it can be applied as it is, otherwise a diff."""
    lacks = [
        words
        for words, is_so in (
            ("what lies beyond its first 2 MB", diff.is_cut),
            ("binary files", re.search(r"^Binary files .* differ$", diff.text, re.M) is not None),
        )
        if is_so
    ]
    name, end, note = "Save patch", "patch", ""
    if lacks:
        name, end = "Save diff", "diff"
        note = f'<span class="sub">It lacks {" and ".join(lacks)}.</span>'
    run = text(run_id)
    link = (
        f'<a class="btn small" href="/api/v1/runs/{run}/diff" download="{run}.{end}"'
        f' data-testid="save-diff">{name}</a>'
    )
    return f'<div class="tools">{link}{note}</div>'
