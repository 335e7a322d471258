"""What the runs of a list used together, as far as it is told."""

from __future__ import annotations

from collections.abc import Iterable

from app.api.schemas import FiguresOut, ReportOut, RunItem
from app.domain.reports import usage_words
from app.state.run_board import BoardRow


def tokens_of(run: RunItem) -> int | None:
    """Tokens in and out together; None where neither is told."""
    told = [one for one in (run.usage.input_tokens, run.usage.output_tokens) if one is not None]
    return sum(told) if told else None


def used_words(told: ReportOut | FiguresOut) -> str:
    """`61 k tokens · $0.38` of one run or of many, empty where nothing is told."""
    return usage_words((told.input_tokens or 0) + (told.output_tokens or 0), told.cost_usd)


def usage_of(rows: Iterable[BoardRow]) -> str:
    """`61 k tokens · $0.38, told by 3 of 12 runs`; empty where none has told anything."""
    runs = [row for row in rows if isinstance(row, RunItem)]
    tokens = [told for run in runs if (told := tokens_of(run)) is not None]
    costs = [run.usage.cost_usd for run in runs if run.usage.cost_usd is not None]
    words = usage_words(sum(tokens), sum(costs) if costs else None)
    told = sum(tokens_of(run) is not None or run.usage.cost_usd is not None for run in runs)
    of_all = f"{told} of {len(runs)} run{'' if len(runs) == 1 else 's'}"
    return f"{words}, told by {of_all}" if words else ""
