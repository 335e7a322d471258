"""The words of the inbox: the line since the last visit, costs, and the facts of a row."""

from __future__ import annotations

import math

from app.api.schemas.inbox import ChangeFactsOut, ReportOfRuns
from app.domain.agents.reports import cost_words as exact_words


def report_parts(report: ReportOfRuns) -> list[tuple[str, str]]:
    """Return the parts of the line `Since …` as number and words; zero parts left out."""
    parts = (
        (report.delivered, "delivered"),
        (report.failed, "failed"),
        (report.waiting_for_limit, "waiting for a limit"),
    )
    found = [(str(count), what) for count, what in parts if count]
    if cost := cost_words(report.cost_usd, report.cost_unknown):
        found.append((cost, ""))
    return found


def cost_words(cost: float | None, unknown: int) -> str:
    """Return a cost in whole dollars, with `+` where runs did not report theirs; "" if none did."""
    if cost is None:
        return ""
    whole = math.ceil(cost) if 0 < cost < 1 else round(cost)
    return f"${whole}{_more(unknown)}"


def cost_of(facts: ChangeFactsOut) -> str:
    """Return what a change cost: `$0.38`, `$0.38+` where runs did not report theirs, or ""."""
    if facts.cost_usd is None:
        return ""
    return f"{exact_words(facts.cost_usd)}{_more(facts.cost_unknown)}"


def checks_words(facts: ChangeFactsOut) -> str:
    """Return what the required checks said: `3/3`, `1 of 3 failed`, `no checks`."""
    if not facts.checks:
        return "no checks"
    passed = f"{facts.checks}/{facts.checks}"
    return f"{facts.red} of {facts.checks} failed" if facts.red else passed


def _more(unknown: int) -> str:
    return "+" if unknown else ""
