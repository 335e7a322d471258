"""The header of a run's page: status with its ticking time, chips, banners and actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectOut, RunOut, StuckOut
from app.domain.ids import shorten
from app.domain.sandbox.levels import SandboxLevel
from app.domain.text.durations import clock_words
from app.domain.words import Depth, Phase, Status
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.chips import copy_chip_html, correlation_chip_html, pill_of, short
from app.pages.components.countdown import since_html, until_html
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.run_list.row import may_retry
from app.pages.runs.plan import PlanBanner
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession, runs_path
from app.pages.shell.theme import look_of
from app.state.runs.retries import Source
from app.state.runs.run_board import used_words
from app.state.runs.run_record import because_of_bad_end, holds_key, waits_until

RESETTING_KEY = "Resetting…"
RESET_TITLE = "The key's next use starts a new run; this one is not affected"


def stuck_html(stuck: StuckOut) -> str:
    """Return `Runyard could not continue this run: it failed 5 times (KeyError: 'x'). …`."""
    why = plain_html(stuck.because)
    return (
        f"<span>Runyard could not continue this run: it failed {stuck.tries} times ({why}). "
        "Your work is kept. Check the log, then try again.</span>"
    )


class StuckBanner:
    """A sentence and `Try again`, shown while the run is quarantined."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._keys: list[str] = []
        self._banner = testid(ui.element("div"), "stuck-banner")
        with self._banner:
            self._why = ui.html("", sanitize=clean)
            self._button = session.offer(
                "retry_stuck",
                None,
                lambda: button("Try again", self._try_again, kind="small", mark="try-again"),
            )

    def show(self, run: RunOut) -> None:
        """Show the run's quarantined operations; hidden if there are none."""
        project = self._session.board.get(run.project_id)
        stuck = [one for one in (project.stuck if project else []) if one.run_id == run.id]
        self._keys = [one.key for one in stuck]
        self._banner.set_visibility(bool(stuck))
        self._banner.classes(replace="banner stop" if stuck else "hidden")
        if stuck:
            self._why.set_content(stuck_html(stuck[0]))

    async def _try_again(self) -> None:
        self._button.set_enabled(False)
        try:
            for key in self._keys:
                await self._session.api.try_again(key)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._session.notify("Retrying.")
        finally:
            self._button.set_enabled(True)


@dataclass(frozen=True)
class RunDeeds:
    """The deeds on a run that its header offers."""

    stop: Callable[[], Awaitable[None]]
    release: Callable[[], Awaitable[None]]
    retry: Callable[[Source | None], Awaitable[None]]
    reset_key: Callable[[], Awaitable[None]]


class RunHeader:
    """The run's status and actions, drawn into the page's header and right below it."""

    def __init__(self, session: PageSession, page: Page, project_id: str, deeds: RunDeeds) -> None:
        self._session = session
        with page.beside:
            self._pill = ui.html("", sanitize=clean, tag="span")
        with page.actions:
            # on a narrow screen it is in the More tab
            self._export = ui.html("", sanitize=clean, tag="span").classes("only-wide")
            self._draw_acts(partial(session.offer, project_id=project_id), deeds)
        self._why = ui.html("", sanitize=clean)
        self._stuck = StuckBanner(session)
        self._plan = PlanBanner(session, project_id)
        with ui.element("div").classes("chips"):
            self._chips = ui.html("", sanitize=clean)
            self._key = ui.html("", sanitize=clean, tag="span")
            reset = _twice("Reset", "Reset now?", deeds.reset_key, "small", "reset-key")
            self._reset: ConfirmButton = session.offer("reset_key", None, reset)
            self._reset.element.props["title"] = RESET_TITLE

    def _draw_acts(self, offer: Callable[..., Any], deeds: RunDeeds) -> None:
        def once_more(words: str, source: Source | None, **look: str) -> Callable[[], ui.button]:
            return partial(button, words, partial(deeds.retry, source), **look)

        stop = _twice("Stop", "Stop now?", deeds.stop, "danger", "stop-run")
        self._stop: ConfirmButton = offer("stop", draw=stop)
        afresh = once_more("Start again", "fresh", kind="bare", mark="retry-fresh")
        self._afresh: ui.button = offer("retry", draw=afresh)
        resume = once_more("Resume now", "resume", kind="pri", mark="resume-run")
        self._resume: ui.button = offer("resume", draw=resume)
        self._retried = ui.html("", sanitize=clean, tag="span").classes("sub")
        retry = once_more("Retry", None, mark="retry-run")
        self._retry: ui.button = offer("retry", draw=retry)
        self._review = ui.html("", sanitize=clean, tag="span")
        ask = "Release without proof?"
        release = _twice("Release", ask, deeds.release, "danger", "release-run")
        self._release: ConfirmButton = offer("release", draw=release)

    def show(self, run: RunOut, word: str, retrying: str, retry_word: str) -> None:
        """Show the run's state; `word` is the busy word of an action under way.

        `retrying` is the busy word while a retry is under way, `retry_word` the button's label
        otherwise.
        """
        self._pill.set_content(status_html(run, self._session))
        self._chips.set_content(chips_html(run, self._session.board.get(run.project_id)))
        self._show_key(run, word)
        self._export.set_content(export_html(run.id, "run-export"))
        self._review.set_content(review_html(run))
        self._why.set_content(why_html(run, self._left_html(run)))
        self._stuck.show(run)
        self._plan.show(run)
        self._stop.element.set_visibility(run.phase is not Phase.DONE)
        self._stop.show("" if run.phase is Phase.DONE or word == RESETTING_KEY else word)
        self._show_retry(run, retrying or retry_word)
        for each in (self._retry, self._afresh, self._resume):
            each.set_enabled(not word and not retrying)
        self._release.element.set_visibility(is_unproved(run))
        self._release.element.set_enabled(not word)

    def _show_key(self, run: RunOut, word: str) -> None:
        key = run.idempotency_key or ""
        self._key.set_content(key_html(key))
        is_held = holds_key(run, self._session.system, self._session.now())
        self._reset.element.set_visibility(is_held)
        self._reset.show(word if word == RESETTING_KEY else "")

    def _left_html(self, run: RunOut) -> str:
        """Return the countdown to the end of the usage limit a run waits for, if any."""
        until, now = waits_until(run, self._session.board.get(run.project_id)), self._session.now()
        if until is None or until <= now:
            return ""
        left = until_html(until, now)
        return f" · {left}" if run.phase is Phase.WAITING else f" It resumes by itself in {left}."

    def _show_retry(self, run: RunOut, words: str) -> None:
        can_retry = may_retry(run, self._session)
        self._retry.set_visibility(can_retry)
        self._afresh.set_visibility(can_retry and run.parked)
        self._retry.set_text(words)
        self._retried.set_content(retried_html(run))
        self._retried.set_visibility(bool(run.retried_by))
        is_limited = run.status is Status.LIMITED and not run.retried_by
        self._resume.set_visibility(can_retry and is_limited)
        self._resume.props["title"] = "Tries the agent's account now, whatever it said"
        branch = plain(run.work_branch)
        goes_on = f"Continues on {branch}" if run.parked else f"Starts from {plain(run.branch)}"
        self._retry.props["title"] = goes_on
        self._afresh.props["title"] = f"Starts from {plain(run.branch)}; {branch} is set aside"


def _twice(
    words: str, ask: str, act: Callable[[], Awaitable[None]], kind: str, mark: str
) -> Callable[[], ConfirmButton]:
    return partial(ConfirmButton, words, ask, act, kind=kind, mark=mark)


def is_unproved(run: RunOut) -> bool:
    """Return True for an ended run whose processes could not be proved gone."""
    return run.phase is Phase.DONE and run.released_at is None and bool(run.hold)


def status_html(run: RunOut, session: PageSession) -> str:
    """Return `Running · 06:41 of 2:00:00`, `Died · 02:10` or `Stopped · ending its processes`."""
    look = look_of(run.status, run.cause)
    parts = [text(look.word)]
    if run.status is Status.RUNNING and run.started_at is not None:
        parts.append(since_html(run.started_at, session.now(), of_seconds=run.budget_seconds))
    elif run.started_at is not None and run.ended_at is None:
        parts.append(since_html(run.started_at, session.now()))
    elif run.started_at is not None and run.ended_at is not None:
        parts.append(text(clock_words((run.ended_at - run.started_at).total_seconds())))
    if run.phase is Phase.DONE and run.released_at is None:
        parts.append("ending its processes")
    return pill_of(" · ".join(parts), look.tone, testid="run-status")


def chips_html(run: RunOut, project: ProjectOut | None) -> str:
    """Return chips: issue, change, branch, agent, what differs from the default, the run's id.

    The chips of sandbox, issue, change, branch, tags and retried run are links.
    """
    chips = _sandbox_chips(run)
    if run.issue:
        chips.append(_link_chip(f"Issue #{run.issue}", _issue_path(run, project), "issue-chip"))
    made = run.delivery
    if made is not None and made.kind == "change":
        path = f"/projects/{run.project_id}/changes/{made.number}"
        chips.append(_link_chip(f"Change #{made.number}", path, "change-chip"))
    branch = run.work_branch.replace(run.id, shorten(run.id))
    path = runs_path(run.project_id, branch=run.work_branch)
    chips.append(_link_chip(branch, path, "branch-chip"))
    agent = " · ".join(part for part in (run.agent, run.model) if part)
    depth = "" if run.depth_level == Depth.STANDARD else f"{run.depth_level} depth"
    framework = "" if run.target_framework == "auto" else run.target_framework
    words = (agent, used_words(run.usage), depth, framework, str(run.trigger))
    chips += [f'<span class="chip">{plain_html(word)}</span>' for word in words if word]
    chips += [_link_chip(tag, f"/runs?{urlencode({'tag': tag})}", "tag-chip") for tag in run.tags]
    if run.retry_of:
        chips.append(_link_chip(f"retry of {shorten(run.retry_of)}", f"/runs/{run.retry_of}"))
    chips.append(copy_chip_html(shorten(run.id), run.id, testid="run-id", about="run id"))
    if because_of_bad_end(run):
        # to find what went wrong in the server's log
        chips.append(correlation_chip_html(run.correlation_id))
    return "".join(chips)


def _sandbox_chips(run: RunOut) -> list[str]:
    """Return how the sandbox differs from the default, linked to its settings."""
    made, path = run.provenance, f"/projects/{run.project_id}?tab=settings"
    if made.sandbox == SandboxLevel.NONE:
        return [_link_chip("Unsandboxed", path, "sandbox-chip", "stop")]
    is_usual = made.sandbox in ("", SandboxLevel.CONTAINED)
    chips = [] if is_usual else [_link_chip(made.sandbox, path, "sandbox-chip")]
    if made.allow:
        chips.append(_link_chip(f"{made.allow} allowed", path, "allow-chip", "wait"))
    return chips


def key_html(key: str) -> str:
    """Return `key 3256…e3` as a chip to copy; empty if the run has no key."""
    if not key:
        return ""
    about = "idempotency key"
    return copy_chip_html(f"key {plain(short(key))}", key, testid="key-chip", about=about)


def _link_chip(words: str, href: str, mark: str = "", tone: str = "") -> str:
    testid = f' data-testid="{mark}"' if mark else ""
    look = f"chip {tone}".strip()
    return f'<a class="{look}" href="{text(href)}"{testid}>{plain_html(words)}</a>'


def _issue_path(run: RunOut, project: ProjectOut | None) -> str:
    if project is not None and project.tracker == "builtin":
        return f"/projects/{run.project_id}/issues/{run.issue}"
    # another tracker has the issue's page, so link to its runs
    return runs_path(run.project_id, issue=str(run.issue))


def retried_html(run: RunOut) -> str:
    """Return `Retried by …7f3k1a, …9d1f2a` as links, oldest first."""
    links: list[str] = []
    for run_id in run.retried_by:
        words = text(shorten(run_id)) if links else f"Retried by {text(shorten(run_id))}"
        named = f'aria-label="Retried by {text(shorten(run_id))}"'
        links.append(f'<a href="/runs/{text(run_id)}" {named}>{words}</a>')
    return ", ".join(links)


def export_html(run_id: str, mark: str = "") -> str:
    """Return the button that downloads everything about a run in one file."""
    href, name = f"/api/v1/runs/{text(run_id)}/export", f"{text(run_id)}.zip"
    title = "Row, timeline, report, diff and log in one file"
    testid = f'data-testid="{mark}" ' if mark else ""
    return f'<a class="btn" href="{href}" download="{name}" {testid}title="{title}">Export</a>'


def review_html(run: RunOut) -> str:
    """Return the link to the run's open change, empty if it has none in the own tracker."""
    made = run.delivery
    if made is None or made.kind != "change" or made.state != "open" or run.phase is not Phase.DONE:
        return ""
    href = f"/projects/{text(run.project_id)}/changes/{made.number}"
    return f'<a class="btn pri" href="{href}" data-testid="review-change">Review change</a>'


def why_html(run: RunOut, left: str = "") -> str:
    """Return why a run waits, why it ended without success, or why it still holds its slot.

    `left` (HTML) follows the reason: the time left.
    """
    return _because_html(run, left) + _unproved_html(run)


def _unproved_html(run: RunOut) -> str:
    if not is_unproved(run):
        return ""
    what = "Release frees its branch and lets the next run start all the same; its work is kept."
    return f'<div class="banner wait">{plain_html(_sentence(run.hold or ""))} {what}</div>'


def _because_html(run: RunOut, left: str) -> str:
    if run.phase is Phase.WAITING and run.hold:
        return f'<div class="banner"><span>{plain_html(run.hold)}{left}</span></div>'
    kept = '<a href="/parked">Its branch is parked.</a>' if run.parked else ""
    because = because_of_bad_end(run)
    if because is None:
        return f'<div class="banner">{kept}</div>' if kept else ""
    tone = look_of(run.status, run.cause).tone
    tone = "" if tone == "idle" else tone
    why = plain_html(_sentence(because))
    return f'<div class="banner {tone}"><span>{why}{left}</span>{kept}</div>'


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."
