"""Charts of a project's days in the theme's colors, and the same figures as a table.

All option keys are fixed here; outside data supplies only numbers and day names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from app.api.schemas import DayFigures, FiguresOut, ProjectFigures, ProjectOut, RunOut
from app.domain.agents.reports import cost_words, usage_words
from app.domain.statistics import OUTCOMES
from app.domain.text.durations import clock_words
from app.domain.words import LABELS, Status
from app.pages.components.markup import clean, counted, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import dress_charts, look_of
from app.state.projects.charts import RANGES, chosen_range, scaled
from app.state.runs.run_board import used_words

# a font that a canvas can measure too; the colors are the page's
MUTED = {"color": "var(--muted)", "fontFamily": "system-ui,sans-serif"}
LINE = {"color": "var(--line)"}


NO_TOKENS = "No agent reported token usage."
NO_COST = "No agent reported a cost."


@dataclass(frozen=True)
class Series:
    """One part of a chart: its name, its tone, and a value per day (None: no bar)."""

    name: str
    tone: str
    values: Sequence[float | None]
    is_faint: bool = False


class Chart:
    """A chart with its heading; `show` updates its bars in place.

    The first bars are drawn at `arrive`: ECharts is large, and no page should wait for it to load.
    """

    def __init__(self, name: str) -> None:
        with testid(ui.element("section").classes("card chart"), "chart", chart=name) as self.card:
            self._heading = ui.html("", sanitize=clean, tag="h2")
            self._legend = ui.html("", sanitize=clean)
            self._none = ui.html("", sanitize=clean).classes("sub")
            self._picture = ui.element("div").props("role=img")
        self._chart: ui.echart | None = None
        self._names: list[str] = []
        self._wanted: tuple[dict[str, Any], list[str]] | None = None
        self._is_here = False

    def arrive(self) -> None:
        """Draw the bars requested so far: the browser has loaded the page."""
        self._is_here = True
        if self._wanted is not None:
            self._draw(*self._wanted)

    def show(
        self, heading: str, about: str, days: Sequence[str], series: Sequence[Series], none: str
    ) -> None:
        """Draw stacked bars; `none` is shown if there is nothing to draw."""
        drawn = [one for one in series if any(one.values)]
        self._heading.set_content(text(heading))
        self._none.set_content(text(none))
        self._none.set_visibility(not drawn)
        self._picture.set_visibility(bool(drawn))
        self._picture.props["aria-label"] = about
        self._legend.set_content(_legend_html(drawn) if len(series) > 1 else "")
        self._wanted = (options_of(days, drawn), [one.name for one in drawn])
        if self._is_here:
            self._draw(*self._wanted)

    def _draw(self, options: dict[str, Any], names: list[str]) -> None:
        if self._chart is not None and names == self._names:
            if options != self._chart.options:
                self._chart.options.update(options)
                self._chart.update()
            return
        # ECharts would merge a different set of series into the drawn one
        self._picture.clear()
        self._names, self._chart = names, None
        if names:
            with self._picture:
                # SVG can use the page's CSS variables, so it follows light and dark by itself
                self._chart = ui.echart(options, renderer="svg")


def _legend_html(series: Sequence[Series]) -> str:
    parts = "".join(
        f'<li><i class="{one.tone}{" faint" if one.is_faint else ""}"></i>{text(one.name)}</li>'
        for one in series
    )
    return f'<ul class="legend">{parts}</ul>'


def options_of(days: Sequence[str], series: Sequence[Series]) -> dict[str, Any]:
    """Return the ECharts options: one bar per day, the series stacked."""
    return {
        "animation": False,
        "grid": {"left": 4, "right": 14, "top": 10, "bottom": 8},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "var(--surface)",
            "borderColor": "var(--line)",
            "textStyle": {"color": "var(--ink)", "fontSize": 12.5},
            "axisPointer": {"type": "shadow", "shadowStyle": {"color": "var(--idle-soft)"}},
        },
        "xAxis": {
            "type": "category",
            "data": list(days),
            "axisLine": {"lineStyle": LINE},
            "axisTick": {"show": False},
            "axisLabel": {**MUTED, "hideOverlap": True},
        },
        "yAxis": {
            "type": "value",
            "splitNumber": 3,
            "minInterval": 1 if _are_whole(series) else 0,
            "splitLine": {"lineStyle": LINE},
            "axisLabel": MUTED,
        },
        "series": [_bars(one) for one in series],
    }


def _are_whole(series: Sequence[Series]) -> bool:
    return all(isinstance(value, int) for one in series for value in one.values if value)


def _bars(series: Series) -> dict[str, Any]:
    colour = f"var(--{'accent' if series.tone == 'acc' else series.tone})"
    if series.is_faint:
        colour = f"color-mix(in srgb,{colour} 50%,var(--surface))"
    return {
        "type": "bar",
        "name": series.name,
        "stack": "all",
        "barMaxWidth": 26,
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
        "data": list(series.values),
    }


def outcome_series(days: Sequence[DayFigures]) -> list[Series]:
    """Return one series per final status, in the status's color."""
    seen: set[str] = set()
    made: list[Series] = []
    for name in OUTCOMES:
        look = look_of(Status(name))
        counts = [getattr(day, name) or None for day in days]
        made.append(Series(look.word, look.tone, counts, is_faint=look.tone in seen))
        seen.add(look.tone)
    return made


def outcomes_in_words(figures: FiguresOut) -> str:
    """Return the totals in words: `41 runs ended: 30 succeeded, 4 died`."""
    counts = [(getattr(figures, name), LABELS[Status(name)].lower()) for name in OUTCOMES]
    each = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{counted(figures.ended, 'run')} ended: {each}"


def table_html(days: Sequence[DayFigures], totals: FiguresOut) -> str:
    """Return a table of the days on which runs ended, newest first, and the totals."""
    shown = [name for name in OUTCOMES if getattr(totals, name)]
    heads = ("Day", "Ended", *(LABELS[Status(name)] for name in shown), "Mean time", "Used")
    rows = [(day.day.isoformat(), day) for day in reversed(days) if day.ended]
    body = "".join(_row_html(words, one, shown) for words, one in [*rows, ("Together", totals)])
    head = "".join(f'<th scope="col">{text(word)}</th>' for word in heads)
    return f'<table class="t"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row_html(name: str, figures: FiguresOut, shown: Sequence[str]) -> str:
    mean = "–" if figures.mean_seconds is None else clock_words(figures.mean_seconds)
    used = used_words(figures) or "not reported"
    cells = [figures.ended, *(getattr(figures, one) for one in shown), mean, used]
    inner = "".join(f"<td>{text(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{text(name)}</th>{inner}</tr>'


class ChartsTab:
    """Four charts and the same figures as a table, updated when a run ends."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._id = session, project.id
        self._is_archived = project.archived_at is not None
        self._days = chosen_range(session.client.request.query_params.get("days", ""))
        self._shown: ProjectFigures | None = None
        dress_charts()
        ui.html(_ranges_html(self._days), sanitize=clean).classes("line above")
        self._none = testid(ui.html("", sanitize=clean).classes("card none"), "no-figures")
        with testid(ui.element("div"), "charts") as self._box:
            self._strip = ui.html("", sanitize=clean)
            for chart in self._draw_charts():
                session.on_arrival(chart.arrive)
        self._none.set_visibility(False)
        self._box.set_visibility(False)
        self.load = session.looker(lambda: session.api.figures(project.id, self._days), self._take)
        session.on("run.changed", self._follow)
        session.on_return(self.load)

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
        mean = "" if totals.mean_seconds is None else clock_words(totals.mean_seconds)
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
    # small sums keep enough digits not to read as zero
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
    mean = "–" if totals.mean_seconds is None else clock_words(totals.mean_seconds)
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
