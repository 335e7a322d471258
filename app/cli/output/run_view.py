"""Runs in a terminal: times, one-line summaries, full details, timelines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from app.cli.output.terminal import Painted, Piece, Screen, status_piece
from app.domain.ids import shorten
from app.domain.sandbox.levels import SandboxLevel
from app.domain.text.durations import two_units
from app.domain.tracker.ci import CiState

_KIND_COLOURS = {
    "delivered": "green",
    "kill_sent": "yellow",
    "parked": "yellow",
    "progress": "dim",
    "note": "dim",
}


def clock(moment: str | None) -> str:
    """Format the local time of day of an ISO 8601 moment, a dash for none."""
    at = _moment(moment)
    return at.astimezone().strftime("%H:%M:%S") if at else "-"


def date_and_clock(moment: str | None) -> str:
    """Format the local date and time of an ISO 8601 moment, a dash for none."""
    at = _moment(moment)
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "-"


def age(moment: str | None, now: datetime) -> str:
    """Format how long ago a moment was, in its largest unit: `5 min ago`."""
    at = _moment(moment)
    if at is None:
        return "-"
    return " ".join(two_units((now - at).total_seconds()).split()[:2]) + " ago"


def elapsed(run: dict[str, Any], now: datetime) -> str:
    """Format how long a run has taken, from its start, or else from its acceptance."""
    begun = _moment(run.get("started_at")) or _moment(run.get("created_at"))
    ended = _moment(run.get("ended_at")) or now
    return two_units((ended - begun).total_seconds()) if begun else "-"


def what(run: dict[str, Any]) -> str:
    """Describe in a few words what a run is about."""
    about = str(run.get("title") or "")
    return f"#{run['issue']} {about}".strip() if run.get("issue") else about


def size_of(delivery: dict[str, Any]) -> str:
    """Describe the size of a delivery: commits, files and lines."""
    commits, files = delivery.get("commits", 0), delivery.get("files_changed", 0)
    return (
        f"{commits} commit{'' if commits == 1 else 's'}, {files} file{'' if files == 1 else 's'}, "
        f"+{delivery.get('additions', 0)} -{delivery.get('deletions', 0)}"
    )


def delivery_line(run: dict[str, Any]) -> str:
    """Describe the delivery in one line, a dash if there is none."""
    given = run.get("delivery")
    if not given:
        return "-"
    kind = str(given.get("kind", "")).replace("_", " ")
    told: dict[str, Any] = given.get("ci") or {}
    ci = str(told.get("state") or CiState.UNKNOWN)
    more = "" if ci == CiState.UNKNOWN else f", CI {ci}"
    return f"{kind} #{given.get('number')} {given.get('state')}, {size_of(given)}{more}"


def short_branch(run: dict[str, Any]) -> str:
    """Return a run's branch; a run id in its name is shortened."""
    run_id = str(run["id"])
    return str(run.get("work_branch", "")).replace(run_id, shorten(run_id))


def tokens(run: dict[str, Any]) -> str:
    """Format the tokens that an agent reported, empty if it reported none."""
    usage = run.get("usage") or {}
    counts = [usage.get("input_tokens"), usage.get("output_tokens")]
    return "" if None in counts else f"{counts[0]:,} tokens in, {counts[1]:,} out"


def print_end(screen: Screen, run: dict[str, Any]) -> None:
    """Print in one line how a run ended."""
    tail = delivery_line(run) if run.get("delivery") else str(run.get("because") or "")
    took = elapsed(run, datetime.now(UTC))
    screen.print(
        status_piece(run), f"  {shorten(str(run['id']))}  {took}" + (f"  {tail}" if tail else "")
    )


def print_runs(screen: Screen, runs: list[dict[str, Any]]) -> None:
    """Print runs as a table."""
    now = datetime.now(UTC)
    rows: list[list[Piece]] = [
        [
            shorten(str(run["id"])),
            status_piece(run),
            str(run.get("project_name") or run.get("project_id", "")),
            short_branch(run),
            age(run.get("created_at"), now),
            elapsed(run, now),
            what(run),
        ]
        for run in runs
    ]
    screen.print_table(["RUN", "STATUS", "PROJECT", "BRANCH", "CREATED", "TOOK", "ABOUT"], rows)


def print_run(screen: Screen, run: dict[str, Any]) -> None:
    """Print a run's details without its timeline."""
    screen.print(status_piece(run), f"  {shorten(str(run['id']))}  ", Painted(what(run), "bold"))
    screen.print_facts(_facts(run))


def print_report(screen: Screen, report: dict[str, Any]) -> None:
    """Print an agent's report: its summary, the command to continue by hand, the final message."""
    screen.print_facts(
        [
            ("reported", str(report.get("sentence") or "")),
            ("continue with", str(report.get("continue_command") or "")),
        ]
    )
    if report.get("final_message"):
        screen.print()
        for line in str(report["final_message"]).splitlines():
            screen.print(f"  | {line}")  # marks agent text: it cannot pass for our output


def print_prompt(screen: Screen, turns: list[dict[str, Any]]) -> None:
    """Print what a run's agent was told, turn by turn."""
    for turn in turns:
        by = f", by {turn['template']}@{turn['version']}" if turn.get("template") else ""
        screen.print(Painted(f"What it was told, turn {turn['n']}{by}:", "dim"))
        for line in str(turn["text"]).splitlines():
            screen.print(f"  | {line}")  # marked like an agent's text: it may hold anybody's words


def print_timeline(screen: Screen, events: list[dict[str, Any]]) -> None:
    """Print a run's events, oldest first."""
    for event in events:
        print_event(screen, event)


def print_event(screen: Screen, event: dict[str, Any]) -> None:
    """Print one event in one line."""
    kind = str(event.get("kind", ""))
    screen.print(
        Painted(clock(event.get("at")), "dim"),
        "  ",
        Painted(f"{kind:<14}", _KIND_COLOURS.get(kind, "cyan")),
        str(event.get("sentence", "")),
    )


def show_diff(screen: Screen, diff: str) -> None:
    """Print a unified diff, with added and removed lines in color."""
    for line in diff.removesuffix("\n").split("\n") if diff else ():
        if line.startswith(("diff ", "index ", "--- ", "+++ ")):
            screen.print(Painted(line, "dim"))
        else:
            screen.print(Painted(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")))


def _moment(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at


def _sandbox_lines(made: dict[str, Any]) -> Iterator[tuple[str, str]]:
    level = str(made.get("sandbox") or "")
    held = " by ".join(filter(None, (level, str(made.get("sandbox_means") or ""))))
    yield "sandbox", "none: unsandboxed" if level == SandboxLevel.NONE else held
    yield "network", str(made.get("network") or "")
    yield "allows", str(made.get("allow") or "")
    yield "limits", str(made.get("limits") or "")


def _facts(run: dict[str, Any]) -> Iterator[tuple[str, str]]:
    usage = run.get("usage") or {}
    cost = usage.get("cost_usd")
    yield "id", str(run["id"])
    yield "project", str(run.get("project_name") or run.get("project_id") or "")
    yield "branch", f"{run.get('work_branch')} from {run.get('branch')}"
    yield "agent", " ".join(str(run[name]) for name in ("agent", "model") if run.get(name))
    yield "depth", f"{run.get('depth_level')}, {run.get('target_framework')}"
    yield "trigger", str(run.get("trigger") or "")
    yield from _sandbox_lines(run.get("provenance") or {})
    yield "created", date_and_clock(run.get("created_at"))
    yield "starts", date_and_clock(run["starts_at"]) if run.get("starts_at") else ""
    yield "ttl", f"{two_units(run['ttl'])} in the queue" if run.get("ttl") else ""
    yield "started", date_and_clock(run.get("started_at"))
    yield "ended", date_and_clock(run.get("ended_at"))
    yield "took", elapsed(run, datetime.now(UTC)) if run.get("started_at") else "-"
    yield "hold", str(run.get("hold") or "")
    yield "because", str(run.get("because") or "")
    yield "exit code", "-" if run.get("exit_code") is None else str(run["exit_code"])
    yield "delivery", delivery_line(run)
    yield "", str((run.get("delivery") or {}).get("url") or "")
    yield "usage", tokens(run)
    yield "cost", "" if cost is None else f"${cost:.2f}"
    yield "retry of", shorten(str(run["retry_of"])) if run.get("retry_of") else ""
    yield "retried by", ", ".join(shorten(str(one)) for one in run.get("retried_by") or ())
    yield "tags", ", ".join(str(tag) for tag in run.get("tags") or ())
    yield "key", str(run.get("idempotency_key") or "")
    yield "correlation", str(run.get("correlation_id") or "")
