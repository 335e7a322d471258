"""The live table of runs, by day; rows are updated in place, never rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, tzinfo
from urllib.parse import quote

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.api.schemas import RunItem
from app.pages.components.browser import prop_of
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.run_list.row import Acts, Row, key_of
from app.pages.shell.page_session import PageSession
from app.state.runs.run_board import BoardRow, RunBoard
from app.state.runs.run_days import Day, Sums, days_of, zone_of

# column class, used to hide columns on narrow screens, and heading
HEADINGS = (
    ("run", "Run"),
    ("project", "Project"),
    ("agent", "Agent"),
    ("status", "Status"),
    ("took", "Took"),
    ("cost", "Cost"),
    ("when", "When"),
)
ZONE_COOKIE = "runyard_zone"
# what a list shows above and below its rows: the heading row, and the text of an empty table
_AROUND = 2


class RunsTable:
    """Shows a RunBoard; call `refresh` after each change to it. `when_empty` is HTML.

    `beyond` returns what the runs of a day come to that are on another page.
    """

    def __init__(
        self,
        session: PageSession,
        board: RunBoard,
        acts: Acts,
        *,
        when_empty: str,
        choose_all: Callable[[bool], None],
        beyond: Callable[[date], Sums],
    ) -> None:
        self._session, self._board, self._acts = session, board, acts
        self._choose_all, self._beyond = choose_all, beyond
        self.zone = zone_in(session)
        self._rows: dict[str, Row | _DayRow] = {}
        self._order: list[str] = []
        with ui.element("div").classes("runs").props('role=table aria-label="Runs"') as self._table:
            testid(self._table, "runs-table").props("data-keys=list")
            self._table.props["data-zone"] = quote(str(self.zone), safe="/")
            self._table.classes("of-one" if board.filters.project_id else "")
            self._draw_heading()
            self._none = ui.html(when_empty, sanitize=clean).classes("none")
        self.refresh()

    def when_zone(self, handler: Callable[[], object]) -> None:
        """Call `handler()` once the browser has named another time zone (assets/run_list.js)."""

        def take(event: GenericEventArguments) -> None:
            self.zone = zone_of(str(event.args))
            handler()

        self._table.on("zone", take, js_handler="(event) => emit(event.detail)")

    def set_empty_text(self, html: str) -> None:
        """Replace the HTML shown if there are no rows."""
        self._none.set_content(html)

    def show_all_chosen(self, is_all: bool) -> None:
        """Show if all rows are chosen."""
        if prop_of(self._all, "checked") != is_all:
            self._all.props["checked"] = is_all
            self._all.update()

    def refresh(self) -> None:
        """Bring the rows in line with the board: add, delete, move and update them."""
        items = self._items()
        for key in [key for key in self._rows if key not in items]:
            self._rows.pop(key).element.delete()
            self._order.remove(key)
        for place, (key, (day, row)) in enumerate(items.items()):
            if key not in self._rows:
                with self._table:
                    self._rows[key] = Row(self._acts, self._session) if row else _DayRow()
                self._order.append(key)
            if self._order[place] != key:
                self._order.remove(key)
                self._order.insert(place, key)
                self._rows[key].element.move(target_index=place + _AROUND)
            self._show(key, day, row)
        self._none.set_visibility(not items)

    def _draw_heading(self) -> None:
        with ui.element("div").classes("tr th").props("role=row"):
            with ui.element("label").classes("sel").props("role=columnheader"):
                self._all = ui.element("input").props('type=checkbox aria-label="Select all"')
                self._all.on(
                    "change",
                    lambda event: self._choose_all(bool(event.args)),
                    js_handler="(e) => emit(e.target.checked)",
                )
            heads = "".join(
                f'<span class="{name}" role="columnheader">{text(head)}</span>'
                for name, head in HEADINGS
            )
            ui.html(heads, sanitize=clean).classes("cells")

    def _items(self) -> dict[str, tuple[Day | None, BoardRow | None]]:
        """Return what the table shows, top first, by key: a heading has a day and no row."""
        rows = self._board.rows()
        if self._board.filters.is_by_cost:
            return {key_of(row): (None, row) for row in rows}
        items: dict[str, tuple[Day | None, BoardRow | None]] = {}
        for day in days_of(rows, self.zone):
            items[f"day {day.on}"] = (day, None)
            items |= {key_of(row): (day, row) for row in day.rows}
        return items

    def _show(self, key: str, day: Day | None, row: BoardRow | None) -> None:
        shown = self._rows[key]
        if isinstance(shown, Row) and row is not None:
            is_dated = day is None or not _is_of(row, day.on, self.zone)
            shown.show(row, self._board.word_of(key), is_dated=is_dated)
        elif isinstance(shown, _DayRow) and day is not None:
            today = self._session.now().astimezone(self.zone).date()
            shown.show(day.words(today), (day.sums + self._beyond(day.on)).words)


def zone_in(session: PageSession) -> tzinfo:
    """Return the reader's time zone: the chosen one, the browser's from a cookie, or UTC."""
    return zone_of(session.time_zone or session.client.request.cookies.get(ZONE_COOKIE, ""))


class _DayRow:
    """The heading of a day: its date, and what its runs came to."""

    def __init__(self) -> None:
        self._seen = ("", "")
        with ui.element("div").classes("tr day section-row").props("role=row") as self.element:
            self._words = ui.html("", sanitize=clean).classes("cells")

    def show(self, words: str, sums: str) -> None:
        """Update what differs."""
        if (words, sums) == self._seen:
            return
        self._seen = (words, sums)
        self._words.set_content(
            f'<span role="cell" class="words">{text(words)}</span>'
            f'<span role="cell" class="n num">{text(sums)}</span>'
        )


def _is_of(row: BoardRow, day: date, zone: tzinfo) -> bool:
    """Return True if the time that a row shows is of this day."""
    if not isinstance(row, RunItem):
        return True
    return (row.ended_at or row.created_at).astimezone(zone).date() == day
