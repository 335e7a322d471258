"""A run's facts: title, usage, provenance and the agent's final message."""

from __future__ import annotations

import shlex
from urllib.parse import urlencode

from nicegui import ui

from app.api.schemas import Provenance, ReportOut, RunOut
from app.domain.agents.reports import amount_words, cost_words
from app.domain.ids import shorten
from app.domain.sandbox.levels import SandboxLevel
from app.domain.text.durations import clock_words, span_words
from app.domain.words import Phase
from app.pages.components.chips import copy_chip_html, correlation_chip_html, env_provenance_html
from app.pages.components.countdown import ago_html, day_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.runs.run_record import because_of_bad_end

MAX_TITLE = 120


def title_of(run: RunOut) -> str:
    """Return the run's title in one line, at most `MAX_TITLE` characters."""
    words = run.title or (run.task or "").strip().partition("\n")[0]
    if not words:
        words = f"Issue #{run.issue}" if run.issue else f"Run {shorten(run.id)}"
    return plain(words if len(words) <= MAX_TITLE else words[: MAX_TITLE - 1] + "…")


class Facts:
    """The list of facts, and the full task."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._box = ui.html("", sanitize=clean)

    def show(self, run: RunOut, report: ReportOut) -> None:
        """Show what is known of the run and of its agent's report."""
        facts = short_facts(run, report)
        facts += [*_more_facts(run, self._session), *_session_facts(report)]
        rows = "".join(f"<dt>{name}</dt><dd>{html}</dd>" for name, html in facts if html)
        task = f'<pre class="task">{plain_html(run.task)}</pre>' if run.task else ""
        env = env_provenance_html(run.provenance)
        self._box.set_content(f'<dl class="facts-list">{rows}</dl>{task}{env}')


def short_facts(run: RunOut, report: ReportOut) -> list[tuple[str, str]]:
    """Return (name, HTML) pairs of the first facts; HTML is empty if unknown."""
    made = run.provenance
    base = f"{run.branch}@{run.base_sha[:7]}" if run.base_sha else run.branch
    return [
        ("Host", plain_html(made.host)),
        ("Agent", plain_html(" · ".join(part for part in (run.agent, run.model) if part))),
        ("Base", plain_html(base)),
        ("Used", text(_used_words(run, report))),
        ("Runyard", plain_html(f"{made.version} · {made.commit[:7]}")),
        ("Working copy", _copy_html(report.working_copy)),
        ("Sandbox", _sandbox_html(made)),
        ("Network", plain_html(made.network)),
        ("Allowed", plain_html(made.allow)),
        ("Limits", plain_html(made.limits)),
    ]


def _sandbox_html(made: Provenance) -> str:
    """Return `contained · bubblewrap`, or `Unsandboxed` in red."""
    if made.sandbox == SandboxLevel.NONE:
        return '<span class="alarm">Unsandboxed</span>'
    return plain_html(" · ".join(filter(None, (made.sandbox, made.sandbox_means))))


def _copy_html(folder: str) -> str:
    """Return a chip that copies the `cd` command to the working copy."""
    line = _go_to(folder)
    return copy_chip_html("cd …", line, testid="working-copy", about="the line") if line else ""


def _go_to(folder: str) -> str:
    return f"cd {shlex.quote(folder)}" if folder else ""


def _used_words(run: RunOut, report: ReportOut) -> str:
    """Return the usage the agent reported; once the run is over, note what is not reported."""
    told = [one for one in (report.input_tokens, report.output_tokens) if one is not None]
    tokens = f"{amount_words(sum(told))} tokens" if told else ""
    cost = "" if report.cost_usd is None else cost_words(report.cost_usd)
    if run.phase is Phase.DONE and run.started_at is not None and not cost:
        cost = "cost not reported" if told else "not reported"
    return " · ".join(part for part in (tokens, cost) if part)


def _more_facts(run: RunOut, session: PageSession) -> list[tuple[str, str]]:
    now = session.now()
    return [
        ("Run", text(run.id)),
        ("Correlation", _correlation_html(run)),
        ("Work branch", plain_html(run.work_branch)),
        ("Head", text(run.head_sha or "")),
        ("Depth", text(run.depth_level)),
        ("Framework", plain_html(run.target_framework)),
        ("Delivers", text(run.delivers)),
        ("Budget", text(clock_words(run.budget_seconds))),
        ("Accepted", ago_html(run.created_at, now)),
        ("Planned for", day_html(run.starts_at) if run.starts_at else ""),
        ("Expires after", text(f"{span_words(run.ttl)} in the queue") if run.ttl else ""),
        ("Started", ago_html(run.started_at, now) if run.started_at else ""),
        ("Ended", ago_html(run.ended_at, now) if run.ended_at else ""),
        ("Process", text(run.pid or "")),
        ("Exit code", "" if run.exit_code is None else text(run.exit_code)),
        ("Signal", text(run.exit_signal or "")),
        ("Because", plain_html(run.because or "")),
        ("Started by", person_html(run, session)),
        ("Retry of", _run_link(run.retry_of)),
        ("Retried by", ", ".join(map(_run_link, run.retried_by))),
        ("Batch", text(run.batch_id or "")),
        ("Tags", plain_html(", ".join(run.tags))),
    ]


def _correlation_html(run: RunOut) -> str:
    """Return the chip to copy the id; plain text where the header has the chip."""
    if because_of_bad_end(run):
        return text(run.correlation_id)
    return correlation_chip_html(run.correlation_id)


def person_html(run: RunOut, session: PageSession) -> str:
    """Return the name of who started a run, linked to what they did where that may be read."""
    name = plain_html(run.created_by_name or run.created_by)
    you = " (you)" if run.created_by == session.system.person_id else ""
    if not session.may("read_audit"):
        return f"{name}{you}"
    path = f"/audit?{urlencode({'person': run.created_by})}"
    return f'<a href="{text(path)}" data-testid="started-by">{name}</a>{you}'


def _session_facts(report: ReportOut) -> list[tuple[str, str]]:
    command = report.continue_command
    # an agent finds its session only in the folder where it started
    where = _go_to(report.working_copy) if command else ""
    return [
        ("Session", text(report.session_id or "")),
        ("Continue by hand", text(" && ".join(part for part in (where, command) if part))),
    ]


def _run_link(run_id: str | None) -> str:
    return f'<a href="/runs/{text(run_id)}">{text(shorten(run_id))}</a>' if run_id else ""


class LastWords:
    """A box with the agent's final message; hidden while there is none."""

    def __init__(self) -> None:
        self._box = testid(ui.html("", sanitize=clean).classes("run-summary"), "run-summary")

    def show(self, report: ReportOut) -> None:
        """Show the final message, or else the line in which the agent reported its usage limit."""
        words = report.final_message or report.limit or ""
        lines = "\n".join(plain_html(line) for line in words.split("\n"))
        self._box.set_visibility(bool(words))
        said = f'<pre class="said" tabindex="0">{lines}</pre>'
        head = f'<div class="bh">{icon("bot")}<h2>What the agent did</h2></div>'
        self._box.set_content(f'<div class="blk">{head}{said}</div>' if words else "")
