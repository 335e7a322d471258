"""Charts of a project's days: what is drawn, in the theme's own colours, and the same as a table.

Every key is written here; what comes from outside are numbers and the names of days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from app.domain.figures import OUTCOMES
from app.domain.words import LABELS, Status
from app.pages.components.marks import testid
from app.pages.components.markup import clean, counted, text
from app.pages.theme import look_of
from app.state.durations import took
from app.state.usage import used_words
from app.state.wire import DayFigures, FiguresOut

# a font that a canvas can measure too; colours are those of the page
MUTED = {"color": "var(--muted)", "fontFamily": "system-ui,sans-serif"}
LINE = {"color": "var(--line)"}


@dataclass(frozen=True)
class Series:
    """One part of a chart: its name, its tone, and a value for each day (None: nothing)."""

    name: str
    tone: str
    values: Sequence[float | None]
    is_faint: bool = False


class Chart:
    """A chart with its heading; `show` changes its bars in place.

    The first bars are drawn at `arrive`: ECharts is large, and no page waits for it to be read.
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
        """The browser has the page: draw what there is to draw."""
        self._is_here = True
        if self._wanted is not None:
            self._draw(*self._wanted)

    def show(
        self, heading: str, about: str, days: Sequence[str], series: Sequence[Series], none: str
    ) -> None:
        """Draw bars that stand on each other; `none` is said where there is nothing to draw."""
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
        # another set of series would be mixed with the one that is drawn
        self._picture.clear()
        self._names, self._chart = names, None
        if names:
            with self._picture:
                # as SVG it takes the page's own colours, and follows its look without being told
                self._chart = ui.echart(options, renderer="svg")


def _legend_html(series: Sequence[Series]) -> str:
    parts = "".join(
        f'<li><i class="{one.tone}{" faint" if one.is_faint else ""}"></i>{text(one.name)}</li>'
        for one in series
    )
    return f'<ul class="legend">{parts}</ul>'


def options_of(days: Sequence[str], series: Sequence[Series]) -> dict[str, Any]:
    """What ECharts draws: bars by day, the series on each other."""
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
    """Ends by status, each in its status' colour."""
    seen: set[str] = set()
    made = []
    for name in OUTCOMES:
        look = look_of(Status(name))
        counts = [getattr(day, name) or None for day in days]
        made.append(Series(look.word, look.tone, counts, is_faint=look.tone in seen))
        seen.add(look.tone)
    return made


def outcomes_in_words(figures: FiguresOut) -> str:
    """`41 runs ended: 30 succeeded, 4 died`."""
    counts = [(getattr(figures, name), LABELS[Status(name)].lower()) for name in OUTCOMES]
    each = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{counted(figures.ended, 'run')} ended: {each}"


def table_html(days: Sequence[DayFigures], totals: FiguresOut) -> str:
    """The days on which runs ended, newest first, and their sums."""
    shown = [name for name in OUTCOMES if getattr(totals, name)]
    heads = ("Day", "Ended", *(LABELS[Status(name)] for name in shown), "Mean time", "Used")
    rows = [(day.day.isoformat(), day) for day in reversed(days) if day.ended]
    body = "".join(_row_html(words, one, shown) for words, one in [*rows, ("Together", totals)])
    head = "".join(f'<th scope="col">{text(word)}</th>' for word in heads)
    return f'<table class="t"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _row_html(name: str, figures: FiguresOut, shown: Sequence[str]) -> str:
    mean = "–" if figures.mean_seconds is None else took(figures.mean_seconds)
    used = used_words(figures) or "not reported"
    cells = [figures.ended, *(getattr(figures, one) for one in shown), mean, used]
    inner = "".join(f"<td>{text(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{text(name)}</th>{inner}</tr>'
