"""Form fields with a label above and a hint or error below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nicegui import ui

from app.pages.components.markup import clean, text
from app.pages.components.testids import testid


class Field:
    """One labeled control with room for a hint, a note and an error below it."""

    def __init__(self, label: str, *, hint: str = "") -> None:
        self.box = ui.element("div").classes("f")
        with self.box:
            self._label = ui.html("", sanitize=clean)
        self._words, self._hint, self._note, self._tone = label, hint, "", ""
        self.control: Any = None

    def hold(self, control: Any, *, mark: str = "", is_group: bool = False) -> Any:
        """Adopt the control, created inside `with field.box:`; a group has controls inside."""
        self.control = control
        name = f"f{control.id}"
        if is_group:
            self._label.set_content(f'<span class="label">{text(self._words)}</span>')
        else:
            control.props["for"] = name
            control.props("outlined dense hide-bottom-space").classes("in")
            self._label.set_content(f'<label for="{name}">{text(self._words)}</label>')
        with self.box:
            self._below = ui.html("", sanitize=clean)
        self.clear()
        return testid(control, mark) if mark else control

    def show(self, value: Any) -> None:
        """Set the value, and send it though it is the same here.

        A dialog that closes keeps what was typed in the browser, whatever was set meanwhile.
        """
        self.control.set_value(value)
        self.control.update()

    def refuse(self, sentence: str) -> None:
        """Show an error at the field."""
        self.control.classes("bad")
        self.control.props["aria-invalid"] = "true"
        said = f'<div class="wrong" data-testid="field-error">{text(sentence)}</div>'
        self._below.set_content(said + self._note)

    def go_to(self) -> None:
        """Move the focus here, and scroll clear of what sticks to the window's edge."""
        self.control.run_method("focus")
        # also if it already had the focus
        self.box.run_method("scrollIntoView", {"block": "center"})

    def explain(self, sentence: str, tone: str = "") -> None:
        """Set the hint for the present value; `tone` is stop, wait or empty."""
        if (self._hint, self._tone) == (sentence, tone):
            return
        self._hint, self._tone = sentence, tone
        if self.control.props["aria-invalid"] == "false":
            self.clear()

    def tell(self, html: str) -> None:
        """Show a note (HTML) that is not an error, until the next call replaces it."""
        self._note = f'<div class="told" data-testid="field-note">{html}</div>' if html else ""
        if self.control.props["aria-invalid"] == "false":
            self.clear()

    def clear(self) -> None:
        """Remove the error."""
        self.control.classes(remove="bad")
        self.control.props["aria-invalid"] = "false"
        hint = f'<div class="hint {self._tone}">{text(self._hint)}</div>' if self._hint else ""
        self._below.set_content(self._note + hint)


def text_field(
    label: str,
    value: str = "",
    *,
    placeholder: str = "",
    hint: str = "",
    mono: bool = False,
    mark: str = "",
) -> Field:
    """Create a one-line text field."""
    field = Field(label, hint=hint)
    with field.box:
        control = ui.input(value=value, placeholder=placeholder)
    control.props("autocomplete=off spellcheck=false").classes("mono" if mono else "")
    field.hold(control, mark=mark)
    control.on_value_change(field.clear)
    return field


def area_field(
    label: str,
    value: str = "",
    *,
    placeholder: str = "",
    hint: str = "",
    mono: bool = False,
    mark: str = "",
) -> Field:
    """Create a multi-line text field."""
    field = Field(label, hint=hint)
    with field.box:
        control = ui.textarea(value=value, placeholder=placeholder)
    control.props("autogrow").classes("mono" if mono else "")
    field.hold(control, mark=mark)
    control.on_value_change(field.clear)
    return field


def choice_field(
    label: str,
    options: Any,
    value: Any,
    *,
    hint: str = "",
    mark: str = "",
    is_many: bool = False,
) -> Field:
    """Create a select for one value, or several with `is_many`; `options` as in `ui.select`."""
    field = Field(label, hint=hint)
    with field.box:
        control = ui.select(options, value=value, multiple=is_many)
    control.props("options-dense dropdown-icon=expand_more" + (" use-chips" if is_many else ""))
    field.hold(control, mark=mark)
    control.on_value_change(field.clear)
    return field


class Segments:
    """A choice of one among a few words, all of them visible; `on_choose` gets the word."""

    def __init__(
        self, label: str, words: Iterable[str], on_choose: Callable[[str], object], *, mark: str
    ) -> None:
        self._on_choose = on_choose
        self._made: dict[str, ui.element] = {}
        with ui.element("div").classes("f"):
            ui.html(text(label), sanitize=clean).classes("label")
            with testid(ui.element("div").classes("seg"), mark) as group:
                group.props("role=radiogroup")
                group.props["aria-label"] = label
                for word in words:
                    self._made[word] = self._draw(word)

    def choose(self, word: str) -> None:
        """Show a word as the chosen one."""
        for each, made in self._made.items():
            is_chosen = each == word
            made.props(f"aria-checked={str(is_chosen).lower()} tabindex={0 if is_chosen else -1}")

    def _draw(self, word: str) -> ui.element:
        with ui.element("button").props("type=button role=radio") as made:
            ui.html(text(word), sanitize=clean, tag="span")
        made.props["data-value"] = str(word)
        return made.on("click", lambda: self._press(word))

    def _press(self, word: str) -> None:
        self.choose(word)
        self._on_choose(word)
