"""The charts tab of a project: outcomes, durations, tokens and cost over its last days."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.domain.reports import cost_words, usage_words
from app.pages.components.charts import (
    Chart,
    Series,
    outcome_series,
    outcomes_in_words,
    table_html,
)
from app.pages.components.marks import testid
from app.pages.components.markup import clean, counted, text
from app.pages.dress import dress_charts
from app.pages.visit import Visit
from app.state.durations import took
from app.state.figures import RANGES, chosen_range, scaled
from app.state.usage import used_words
from app.state.wire import DayFigures, FiguresOut, ProjectFigures, ProjectOut, RunOut

NO_TOKENS = "No agent told how many tokens it used."
NO_COST = "No agent told what it cost."


class ChartsTab:
    """Four charts and the same figures as a table; a run that ends changes their bars."""

    def __init__(self, visit: Visit, project: ProjectOut) -> None:
        self._visit, self._id = visit, project.id
        self._is_archived = project.archived_at is not None
        self._days = chosen_range(visit.client.request.query_params.get("days", ""))
        self._shown: ProjectFigures | None = None
        dress_charts()
        ui.html(_ranges_html(self._days), sanitize=clean).classes("line above")
        self._none = testid(ui.html("", sanitize=clean).classes("card none"), "no-figures")
        with testid(ui.element("div"), "charts") as self._box:
            self._strip = ui.html("", sanitize=clean)
            for chart in self._draw_charts():
                visit.on_arrival(chart.arrive)
        self._none.set_visibility(False)
        self._box.set_visibility(False)
        self.load = visit.looker(lambda: visit.api.figures(project.id, self._days), self._take)
        visit.on("run.changed", self._follow)
        visit.on_return(self.load)

    def _draw_charts(self) -> tuple[Chart, ...]:
        with ui.element("div").classes("charts"):
            self._outcomes, self._time = Chart("outcomes"), Chart("time")
            self._tokens, self._cost = Chart("tokens"), Chart("cost")
        with ui.element("details").classes("fold above"):
            ui.html("Show as table", sanitize=clean, tag="summary").mark("show-table")
            self._table = testid(ui.html("", sanitize=clean).classes("wrap"), "figures-table")
        return self._outcomes, self._time, self._tokens, self._cost

    async def _follow(self, run: RunOut) -> None:
        if run.project_id == self._id and run.ended_at is not None:
            await self.load()

    def _take(self, figures: ProjectFigures) -> None:
        if figures == self._shown:
            return
        self._shown = figures
        days, totals = figures.items, figures.totals
        self._none.set_visibility(not totals.ended)
        self._none.set_content(self._none_words())
        self._box.set_visibility(bool(totals.ended))
        self._strip.set_content(_strip_html(totals))
        self._table.set_content(table_html(days, totals))
        self._show_charts(days, totals)

    def _none_words(self) -> str:
        words = f"No run has ended in the last {self._days} days."
        return words if self._is_archived else f"{words} Press New run, and the charts begin."

    def _show_charts(self, days: Sequence[DayFigures], totals: FiguresOut) -> None:
        names = [f"{day.day.day} {day.day:%b}" for day in days]
        self._outcomes.show(
            "Outcomes", outcomes_in_words(totals), names, outcome_series(days), "No run ended."
        )
        unit, means = scaled([day.mean_seconds for day in days], (("min", 60), ("s", 1)))
        mean = "" if totals.mean_seconds is None else took(totals.mean_seconds)
        self._time.show(
            f"Mean time of a run, {unit}",
            f"Runs worked {mean} on average",
            names,
            [Series("Mean time", "acc", means)],
            "No run had begun to work.",
        )
        self._show_usage(days, totals, names)

    def _show_usage(
        self, days: Sequence[DayFigures], totals: FiguresOut, names: Sequence[str]
    ) -> None:
        both = [*(day.input_tokens for day in days), *(day.output_tokens for day in days)]
        unit, tokens = scaled(both, (("millions", 1_000_000), ("thousands", 1000), ("", 1)))
        read, written = tokens[: len(days)], tokens[len(days) :]
        self._tokens.show(
            f"Tokens, {unit}" if unit else "Tokens",
            used_words(totals) or NO_TOKENS,
            names,
            [Series("Input", "acc", read), Series("Output", "acc", written, is_faint=True)],
            NO_TOKENS if totals.input_tokens is None else "None was used.",
        )
        self._cost.show(
            "Cost, US dollars",
            used_words(totals) or NO_COST,
            names,
            [Series("Cost", "go", [_cents(day.cost_usd) for day in days])],
            NO_COST if totals.cost_usd is None else "All of it was free.",
        )


def _cents(cost_usd: float | None) -> float | None:
    # small sums keep the digits that tell them from nothing
    return None if cost_usd is None else round(cost_usd, 2 if cost_usd >= 0.1 else 4)


def _ranges_html(chosen: int) -> str:
    chips = "".join(
        f'<a class="chip toggle{" on" if days == chosen else ""}"'
        f"{' aria-current=true' if days == chosen else ''}"
        f' href="?tab=charts&amp;days={days}">{days} days</a>'
        for days in RANGES
    )
    return f'{chips}<span class="sub">days in UTC</span>'


def _strip_html(totals: FiguresOut) -> str:
    rate = "–" if totals.success_rate is None else f"{totals.success_rate * 100:.0f} %"
    mean = "–" if totals.mean_seconds is None else took(totals.mean_seconds)
    boxes = (
        (totals.ended, "runs ended" if totals.ended != 1 else "run ended"),
        (rate, "success"),
        (mean, "mean time of a run"),
        _cost_box(totals),
    )
    inner = "".join(f"<div><b>{text(a)}</b><span>{text(b)}</span></div>" for a, b in boxes)
    return f'<div class="strip">{inner}</div>'


def _cost_box(totals: FiguresOut) -> tuple[str, str]:
    tokens = usage_words((totals.input_tokens or 0) + (totals.output_tokens or 0), None)
    cost = "–" if totals.cost_usd is None else cost_words(totals.cost_usd)
    of_runs = (
        f"cost of {counted(totals.told_cost, 'run')}" if totals.told_cost else "cost not reported"
    )
    return cost, f"{of_runs} · {tokens}" if tokens else of_runs
