"""The checks of a run on its page: each with its result and a link to its part of the log."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from app.api.schemas import RunCheck, TimelineEvent
from app.domain.text.durations import step_words
from app.domain.words import CheckStatus
from app.pages.components.chips import pill_of
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

LOOKS = {
    CheckStatus.RUNNING: ("Running", "acc"),
    CheckStatus.PASSED: ("Passed", "go"),
    CheckStatus.FAILED: ("Failed", "stop"),
    CheckStatus.ERROR: ("Could not be started", "stop"),
    CheckStatus.TIMED_OUT: ("Timed out", "stop"),
    CheckStatus.STOPPED: ("Stopped", "idle"),
}
NAMED = 3
# events after which the checks are read again
_KINDS = frozenset({"check_started", "check_ended"})


class ChecksCard:
    """The list of a run's checks; hidden while it has none."""

    def __init__(self, session: PageSession, run_id: str) -> None:
        self._id = run_id
        self._known = 0
        self._look = session.looker(partial(session.api.checks, run_id), self._draw)
        self._box = testid(ui.element("section").classes("card checks"), "run-checks")
        self._box.props('aria-label="Checks"').set_visibility(False)
        with self._box:
            ui.html("Checks", sanitize=clean, tag="h2")
            self._list = ui.html("", sanitize=clean)

    async def show(self, events: Sequence[TimelineEvent]) -> None:
        """Read the checks if the timeline has more of them than before."""
        known = sum(event.kind in _KINDS for event in events)
        if known != self._known:
            self._known = known
            await self._look()

    def _draw(self, checks: list[RunCheck]) -> None:
        self._box.set_visibility(bool(checks))
        rows = "".join(_check_html(self._id, one) for one in checks)
        self._list.set_content(f'<ul class="check-list">{rows}</ul>')


def _check_html(run_id: str, check: RunCheck) -> str:
    words, tone = LOOKS[check.status]
    facts = [] if check.round == 1 else [f"round {check.round}"]
    facts += [] if check.seconds is None else [step_words(check.seconds)]
    facts += [] if check.required else ["not required"]
    if check.because and check.status is not CheckStatus.PASSED:
        facts.append(check.because)
    if check.changed_files:
        facts.append(f"changed {_named(check.changed_files)}, which is not delivered")
    below = f'<div class="sub">{plain_html(" · ".join(facts))}</div>' if facts else ""
    return (
        f'<li data-check="{text(check.name)}" data-status="{check.status}">'
        f'<span class="pills">{pill_of(text(words), tone)} <b>{plain_html(check.name)}</b>'
        f"{_log_html(run_id, check)}</span>{below}</li>"
    )


def _named(files: Sequence[str]) -> str:
    names = ", ".join(files[:NAMED])
    return names if len(files) <= NAMED else f"{names} and {len(files) - NAMED} more"


def _log_html(run_id: str, check: RunCheck) -> str:
    """Return the link to the check's part of the log, once it has one."""
    if check.log_from is None or check.log_to is None or check.log_to <= check.log_from:
        return ""
    size = check.log_to - check.log_from
    path = f"/api/v1/runs/{text(run_id)}/log?offset={check.log_from}&amp;limit={size}"
    return f' <a href="{path}" target="_blank">Log</a>'
