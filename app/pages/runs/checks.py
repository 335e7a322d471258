"""The checks of a run on its page: each with its result and a link to its part of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui import ui

from app.api.schemas import RunCheck, TimelineEvent
from app.domain.text.argv import shell_words
from app.domain.text.durations import step_words
from app.domain.words import CheckStatus
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

# the mark, the word and the tone of each result
LOOKS = {
    CheckStatus.RUNNING: ("◇", "Running", "acc"),
    CheckStatus.PASSED: ("✓", "Passed", "go"),
    CheckStatus.FAILED: ("✕", "Failed", "stop"),
    CheckStatus.ERROR: ("∅", "Could not be started", "stop"),
    CheckStatus.TIMED_OUT: ("◔", "Timed out", "stop"),
    CheckStatus.STOPPED: ("■", "Stopped", "idle"),
}
NAMED = 3
# characters of a command that are shown
MOST_SHOWN = 500
# events after which the checks are read again
_KINDS = frozenset({"check_started", "check_ended"})


class ChecksCard:
    """The list of a run's checks; hidden while it has none."""

    def __init__(self, session: PageSession, run_id: str) -> None:
        self._id, self._api = run_id, session.api
        self._told = self._known = 0
        self._look = session.looker(self._ask, self._draw)
        self._box = testid(ui.element("section").classes("card checks"), "run-checks")
        self._box.props('aria-label="Checks"').set_visibility(False)
        with self._box:
            ui.html("Checks", sanitize=clean, tag="h2")
            self._last = ui.html("", sanitize=clean)
            with ui.element("details").classes("fold") as self._fold:
                self._count = ui.html("", sanitize=clean, tag="summary")
                self._earlier = ui.html("", sanitize=clean)

    async def show(self, events: Sequence[TimelineEvent]) -> None:
        """Read the checks if the timeline has more of them than before."""
        self._told = sum(event.kind in _KINDS for event in events)
        if self._told != self._known:
            await self._look()

    async def _ask(self) -> list[RunCheck]:
        told = self._told
        checks = await self._api.checks(self._id)
        self._known = told
        return checks

    def _draw(self, checks: list[RunCheck]) -> None:
        self._box.set_visibility(bool(checks))
        rounds = sorted({one.round for one in checks}, reverse=True)
        last, *earlier = (rounds_html(self._id, checks, number) for number in rounds or [1])
        self._last.set_content(last)
        self._fold.set_visibility(bool(earlier))
        self._count.set_content(counted(len(earlier), "earlier round") if earlier else "")
        self._earlier.set_content("".join(earlier))


def rounds_html(
    run_id: str, checks: Sequence[RunCheck], number: int, outputs: Mapping[str, str] | None = None
) -> str:
    """Return the checks of a round as a list, under its number if there was more than one.

    `outputs` are the last lines of what they wrote, by name.
    """
    told = outputs or {}
    mine = [one for one in checks if one.round == number]
    rows = "".join(_check_html(run_id, one, told.get(one.name, "")) for one in mine)
    is_only = all(one.round == number for one in checks)
    head = "" if is_only else f'<h3 class="sub">Round {number}</h3>'
    return f'{head}<ul class="check-list">{rows}</ul>'


def command_html(check: RunCheck) -> str:
    """Return the command of a check in one line; empty if it is not known."""
    words = shell_words(check.command)
    shown = words if len(words) <= MOST_SHOWN else f"{words[:MOST_SHOWN]}…"
    said = plain_html(" ".join(shown.split("\n")))
    return f'<code class="m mut clip" title="{said}">{said}</code>' if words else ""


def _check_html(run_id: str, check: RunCheck, output: str) -> str:
    mark, word, tone = LOOKS[check.status]
    facts = [] if check.seconds is None else [step_words(check.seconds)]
    # other ends say their code themselves
    is_clean = check.status is CheckStatus.PASSED and check.exit_code is not None
    facts += [f"exit code {check.exit_code}"] if is_clean else []
    facts += [] if check.required else ["not required"]
    if check.because and check.status is not CheckStatus.PASSED:
        facts.append(check.because)
    if check.changed_files:
        facts.append(f"changed {_named(check.changed_files)}, which is not delivered")
    below = " · ".join([f'<span class="{tone}">{text(word)}</span>', *map(plain_html, facts)])
    return (
        f'<li class="{tone}" data-check="{text(check.name)}" data-status="{check.status}">'
        f'<i aria-hidden="true">{mark}</i>'
        f'<span class="named"><b>{plain_html(check.name)}</b>{command_html(check)}</span>'
        f'{_log_html(run_id, check)}<span class="sub">{below}</span>'
        f"{_output_html(check, output)}</li>"
    )


def _output_html(check: RunCheck, output: str) -> str:
    if not output:
        return ""
    lines = "\n".join(map(plain_html, output.split("\n")))
    about = f"Output of {plain_html(check.name)}"
    body = f'<pre class="body" tabindex="0" aria-label="{about}">{lines}</pre>'
    return f'<details class="fold output"><summary>Output</summary>{body}</details>'


def _named(files: Sequence[str]) -> str:
    names = ", ".join(files[:NAMED])
    return names if len(files) <= NAMED else f"{names} and {len(files) - NAMED} more"


def _log_html(run_id: str, check: RunCheck) -> str:
    """Return the link to the check's part of the log, once it has one."""
    if check.log_from is None or check.log_to is None or check.log_to <= check.log_from:
        return ""
    size = check.log_to - check.log_from
    path = f"/api/v1/runs/{text(run_id)}/log?offset={check.log_from}&amp;limit={size}"
    about = f"Log of {text(plain(check.name))}, round {check.round}"
    return f'<a href="{path}" target="_blank" aria-label="{about}">Log</a>'
