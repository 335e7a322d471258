"""A list of agents to choose from, each with its version and readiness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from app.pages.components.countdown import at_html
from app.pages.components.markup import clean, plain, plain_html
from app.pages.components.testids import testid
from app.state.runs.agent_options import READY, AgentOption, Readiness

# arrow keys move between the options; Quasar's menu handles Tab and Escape
ARROWS = (
    "(e) => { const step = {ArrowDown: 1, ArrowUp: -1}[e.key]; if (!step) return;"
    " e.preventDefault();"
    " const all = [...e.currentTarget.querySelectorAll('[role=option]')];"
    " all.at((all.indexOf(document.activeElement) + step) % all.length).focus(); }"
)
FOCUS_CHOSEN = "document.querySelector('.agents [aria-selected=true]')?.focus()"
MARKS = {
    Readiness.READY: ("go", "✓"),
    Readiness.NOT_READY: ("wait", "!"),
    Readiness.UNKNOWN: ("idle", "?"),
}

ABSENT = ("idle", "")


class AgentPicker:
    """A button that opens the list; `on_choose` gets the value of the chosen agent."""

    def __init__(self, on_choose: Callable[[str], object], on_open: Callable[[], object]) -> None:
        self._on_choose = on_choose
        self._options: Sequence[AgentOption] = ()
        self._chosen = ""
        self._rows: dict[str, ui.html] = {}
        with ui.element("div").classes("f"):
            label = ui.html("Agent", sanitize=clean).classes("label")
            with ui.element("button").classes("btn picker") as self._button:
                self._words = ui.html("", sanitize=clean, tag="span").classes("grow")
                with ui.menu().props("fit no-parent-event").classes("menu agents") as self._menu:
                    self._list = ui.element("div").classes("scroll")
        self._list.props("role=listbox aria-label=Agents").on("keydown", js_handler=ARROWS)
        testid(self._button, "agent-picker").props("type=button aria-haspopup=listbox")
        self._button.props["aria-labelledby"] = f"{label.html_id} {self._words.html_id}"
        self._button.on("click", self._menu.open)
        self._menu.on("show", self._opened)
        self._on_open = on_open

    def _opened(self) -> object:
        ui.run_javascript(FOCUS_CHOSEN)
        return self._on_open()

    def show(self, options: Sequence[AgentOption], chosen: str) -> None:
        """Show these agents with one of them chosen; the list stays as it is if nothing differs."""
        if (options, chosen) == (self._options, self._chosen):
            return
        self._options, self._chosen = options, chosen
        present = next((one for one in options if one.value == chosen), None)
        self._words.set_content(_face_html(present) if present else plain_html(chosen))
        for gone in self._rows.keys() - {one.value for one in options}:
            self._rows.pop(gone).delete()
        for place, option in enumerate(options):
            row = self._rows.get(option.value) or self._add(option)
            if self._list.default_slot.children[place] is not row:
                row.move(target_index=place)
            self._fill(row, option)

    def _add(self, option: AgentOption) -> ui.html:
        with self._list:
            row = ui.html("", sanitize=clean, tag="button").classes("item agent")
        testid(row, "agent-option", agent=option.name, value=option.value)
        row.props("type=button role=option")
        row.on("click", partial(self._choose, option.value))
        self._rows[option.value] = row
        return row

    def _fill(self, row: ui.html, option: AgentOption) -> None:
        row.set_content(_option_html(option))
        row.props["data-ready"] = str(option.readiness)
        row.props["aria-selected"] = str(option.value == self._chosen).lower()
        row.props["aria-disabled"] = str(not option.is_here).lower()
        row.props["title"] = plain(option.advice)

    def _choose(self, value: str) -> None:
        if any(one.value == value and one.is_here for one in self._options):
            self._menu.close()
            self._on_choose(value)


def _face_html(option: AgentOption) -> str:
    name = plain_html(option.name)
    return name if option.note == READY else f"{name} {_note_html(option)}"


def _option_html(option: AgentOption) -> str:
    tone, sign = MARKS[option.readiness] if option.is_here else ABSENT
    own = '<span class="sub">this project’s</span>' if not option.value else ""
    return (
        f'<i class="state {tone}" aria-hidden="true">{sign}</i><b>{plain_html(option.name)}</b>'
        f'<span class="sub version">{plain_html(option.version)}</span>{own}{_note_html(option)}'
    )


def _note_html(option: AgentOption) -> str:
    tone = (MARKS[option.readiness] if option.is_here else ABSENT)[0]
    words = plain_html(option.note)
    if option.until is not None:
        words = f"limit until {at_html(option.until)}"
    return f'<span class="note {tone}">{words}</span>'
