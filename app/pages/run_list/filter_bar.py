"""The filter bar of the list of runs: a search field, and a menu of links for each filter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta, tzinfo

from nicegui import ui

from app.domain.formatting import iso
from app.domain.lifecycle import LIVE, WAITING
from app.domain.words import LABELS, RunSort, Status, Trigger
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.run_list.more_filters import address, draw_more_filters
from app.pages.shell.page_session import PageSession
from app.state.runs.run_board import MAX_TEXT, RunFilters
from app.state.runs.run_days import bounds_of

GROUPS: dict[str, tuple[Status, ...]] = {
    "live": tuple(status for status in Status if status in LIVE),
    "waiting": tuple(status for status in Status if status in WAITING),
}
STARTED_BY = {
    Trigger.MANUAL: "A person",
    Trigger.AUTO: "Auto",
    Trigger.RETRY: "A retry",
    Trigger.RESUME: "A resume",
    Trigger.BATCH: "A batch",
    Trigger.API: "The API",
    Trigger.REVIEW: "A review",
}
ORDERS = {RunSort.NEWEST: "Newest first", RunSort.COST: "Dearest first"}
# words, and the days before today with which they begin
SINCE = (("today", 0), ("yesterday", 1), ("7 days ago", 7), ("30 days ago", 30))
FIND = "Find by id, branch, issue, title or tag"
PLACEHOLDER = "Title, branch or id"
# one request per word, not per key press
DEBOUNCE_MS = 300
Choice = tuple[str, str]


class FilterBar:
    """The filters of one list; `find` is called with what is typed into the search field."""

    def __init__(
        self, session: PageSession, zone: tzinfo, find: Callable[[str], Awaitable[None]]
    ) -> None:
        self._session, self._zone, self._find = session, zone, find

    def draw(self, filters: RunFilters) -> None:
        """Draw the bar."""
        with ui.element("div").classes("filter-bar of-runs"):
            field = ui.input(value=filters.text, placeholder=PLACEHOLDER)
            testid(field, "list-search")
            field.props(f"type=search outlined dense hide-bottom-space maxlength={MAX_TEXT}")
            field.props(f"debounce={DEBOUNCE_MS} autocomplete=off spellcheck=false")
            field.props["aria-label"] = field.props["title"] = FIND
            field.classes("in find")
            field.on_value_change(lambda event: self._find(event.value or ""))
            with field.add_slot("prepend"):
                ui.html(icon("search"), sanitize=clean, tag="span")
            with field.add_slot("append"):
                ui.html("/", sanitize=clean, tag="kbd").props("aria-hidden=true")
            self._picks = ui.element("div")
        self.show(filters)

    def show(self, filters: RunFilters) -> None:
        """Draw the menus again: their links hold all the other filters."""
        self._picks.clear()
        names = {project.id: project.name for project in self._session.board.listing()}
        query = filters.at(None).to_query()
        with self._picks:
            chosen = filters.project_id
            choices = [("", "All"), *names.items()]
            _pick("project", "Project", names.get(chosen, "All"), _links(query, choices, chosen))
            self._draw_since(filters, query)
            chosen = ",".join(filters.status)
            groups = [(",".join(group), word) for word, group in GROUPS.items()]
            each = [(str(status), label) for status, label in LABELS.items()]
            links = _links(query, [("", "Any"), *groups, *each], chosen, part="status")
            _pick("status", "Status", _status_word(filters.status), links)
            choices = [("", "Any"), *((one, one) for one in self._agents(filters))]
            links = _links(query, choices, filters.agent, part="agent")
            _pick("agent", "Agent", filters.agent or "Any", links)
            choices = [("", "Anyone"), *((str(one), word) for one, word in STARTED_BY.items())]
            links = _links(query, choices, filters.trigger or "", part="trigger")
            word = STARTED_BY[filters.trigger] if filters.trigger else "Anyone"
            _pick("trigger", "Started by", word, links)
            named = {value for value, _ in self._since_choices()}
            shown = {"agent", *(["created_after"] if query.get("created_after") in named else [])}
            draw_more_filters(query, shown)
            ui.element("span").classes("sp")
            choices = [("", ORDERS[RunSort.NEWEST]), (str(RunSort.COST), ORDERS[RunSort.COST])]
            chosen = str(filters.sort) if filters.is_by_cost else ""
            links = _links(query, choices, chosen, part="sort")
            _pick("sort", "Order", ORDERS[filters.sort], links, is_plain=True)

    def _draw_since(self, filters: RunFilters, query: dict[str, str]) -> None:
        choices = self._since_choices()
        chosen = query.get("created_after", "")
        words = dict(choices).get(chosen, "")
        links = _links(query, [("", "Any time"), *choices], chosen, part="created_after")
        _pick("since", "Since", words or "Any time", links)

    def _since_choices(self) -> list[Choice]:
        today = self._session.now().astimezone(self._zone).date()
        moment = timedelta(microseconds=1)
        return [
            (iso(bounds_of(today - timedelta(days=days), self._zone)[0] - moment), words)
            for words, days in SINCE
        ]

    def _agents(self, filters: RunFilters) -> list[str]:
        known = {project.agent for project in self._session.board.listing()}
        return sorted(one for one in known | {filters.agent} if one)


def _links(
    query: dict[str, str], choices: Iterable[Choice], chosen: str, *, part: str = "project"
) -> str:
    made: list[str] = []
    others = {name: kept for name, kept in query.items() if name != part}
    for value, word in choices:
        href = address({**others, part: value} if value else others)
        here = ' aria-current="true"' if value == chosen else ""
        made.append(f'<a class="item" href="{text(href)}"{here}>{plain_html(word)}</a>')
    return f'<div class="scroll">{"".join(made)}</div>'


def _pick(name: str, word: str, value: str, links: str, *, is_plain: bool = False) -> None:
    """Draw a button such as `Status Any` that opens a list of links."""
    is_chosen = not is_plain and value not in ("All", "Any", "Any time", "Anyone")
    with ui.element("button").classes("pick" + (" picked" if is_chosen else "")) as chip:
        chip.props(f'type=button aria-haspopup=menu data-filter="{name}"')
        words = f"{text(word)} <b>{plain_html(value)}</b>"
        ui.html(words, sanitize=clean, tag="span")
        ui.html(icon("chevron-down", kind="s"), sanitize=clean, tag="span")
        with ui.menu().classes("menu"):
            ui.html(links, sanitize=clean)


def _status_word(chosen: tuple[Status, ...]) -> str:
    for word, group in GROUPS.items():
        if set(chosen) == set(group):
            return word
    return ", ".join(LABELS[status] for status in chosen) or "Any"
