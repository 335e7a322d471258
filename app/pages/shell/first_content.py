"""A page's first content: its elements as HTML that is read before any script has run.

When the scripts come, Vue empties the mount point and draws the same elements in its place, so
tags, classes and attributes here are those that Vue and Quasar produce. Until then no control
works: they are `inert` (a click finds nothing) and their fields read-only, while links are links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, cast

from app.pages.components.markup import clean

if TYPE_CHECKING:
    from nicegui import Client
    from nicegui.element import Element

# elements beyond this are left empty: a diff of megabytes is not sent twice
MOST_CHARS = 400_000
# drawn by scripts only, or in a layer of their own once opened
UNSEEN = {"q-menu", "q-tooltip", "nicegui-dialog", "nicegui-timer", "nicegui-dark_mode", "option"}
BARE = {"br", "hr", "img", "input"}
CONTROLS = {"button", "input", "select", "textarea", "summary", "nicegui-input", "nicegui-select"}
FRAMES = {
    "q-layout": ("div", "q-layout q-layout--standard"),
    "q-page-container": ("div", "q-page-container"),
    "q-page": ("main", "q-page"),
}
SWITCHES = {"checked", "disabled", "hidden", "inert", "open", "readonly", "required", "selected"}
# what Quasar's fields and NiceGUI's links take for themselves
TAKEN = {"for", "label", "loopback", "model-value", "options", "sanitize", "tag", "value"}
# buttons that style sheets select by their test id
STYLED = {"stop-run", "retry-run"}
REACTED_TO = {"click", "press", "keydown", "focus", "blur", "find", "hold", "change", "input"}
_NAME = re.compile(r"(?!on)[a-z][a-z0-9-]*")
_CONTROL_TAG = re.compile(r"<(button|summary)\b")
_OPEN_SCHEME = re.compile(r"(?:https?|mailto):|[^:]*(?:[/?#]|$)", re.IGNORECASE)


class DrawsItself:
    """An element whose component has HTML of its own."""

    # a base class, not a protocol: asking each element for a protocol takes longer than drawing it
    def first_html(self) -> tuple[str, str]:
        """Return the HTML before and after the element's children."""
        raise NotImplementedError


def first_content(client: Client) -> str:
    """Return the page's elements as HTML; every value is escaped, and HTML was cleaned before."""
    drawing = _Drawing()
    drawing.put(client.layout)
    return "".join(drawing.parts)


def attributes(values: Mapping[str, Any]) -> str:
    """Return HTML attributes as Vue would set them; None is left out."""
    return "".join(_attributes(values))


def _attributes(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if value is None or not _is_name(name):
            continue
        if name in SWITCHES:
            if value is not False:
                yield f" {name}"
            continue
        words = str(value).lower() if isinstance(value, bool) else str(value)
        if name != "href" or _OPEN_SCHEME.match(words):
            yield f' {name}="{escape(words)}"'


@lru_cache(256)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def inert_html(html: str) -> str:
    """Return clean HTML whose buttons do not react."""
    return _CONTROL_TAG.sub(r"<\1 inert", html)


class _Drawing:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._room = MOST_CHARS

    def put(self, element: Element) -> None:
        if element.tag in UNSEEN:
            return
        before, after = self._around(element)
        self._add(before)
        if self._room > 0:
            for child in element.default_slot.children:
                self.put(child)
        self._add(after)

    def _add(self, html: str) -> None:
        self.parts.append(html)
        self._room -= len(html)

    def _around(self, element: Element) -> tuple[str, str]:
        if isinstance(element, DrawsItself):
            return element.first_html()
        match element.tag:
            case "nicegui-html":
                return self._html(element)
            case "nicegui-link":
                return _native(element, "a", props_of(element))
            case "q-btn":
                return _button(element)
            case "nicegui-input" | "nicegui-select":
                return _field(element)
        tag, classes = FRAMES.get(element.tag, (element.tag, ""))
        if classes:
            return f'<{tag} class="{classes} {_classes(element)}">', f"</{tag}>"
        return _native(element, "div" if "-" in tag else tag, props_of(element))

    def _html(self, element: Element) -> tuple[str, str]:
        props = props_of(element)
        before, after = _native(element, props["tag"], props)
        html: str = props["innerHTML"] or ""
        if len(html) > self._room:
            return before, after
        is_clean = callable(getattr(element, "_sanitize", None))
        return before + inert_html(html if is_clean else clean(html)), after


def props_of(element: Element) -> Mapping[str, Any]:
    """Return an element's properties; NiceGUI gives them no types."""
    return cast("Mapping[str, Any]", element.props)


def _classes(element: Element, *more: str) -> str:
    return escape(" ".join([*more, *cast("list[str]", element.classes)]))


def _class_and_style(element: Element) -> str:
    """Return the attributes `class` and `style` of an element."""
    style = "".join(
        f"{name}:{value};" for name, value in cast("dict[str, str]", element.style).items()
    )
    return (f' class="{_classes(element)}"' if element.classes else "") + (
        f' style="{escape(style)}"' if style else ""
    )


def _native(element: Element, tag: str, values: Mapping[str, Any]) -> tuple[str, str]:
    given = {name: value for name, value in values.items() if name not in TAKEN or tag in CONTROLS}
    if tag in CONTROLS or _reacts(element):
        given["inert"] = True
    if tag in ("input", "textarea"):
        given["readonly"] = True
    text = escape(getattr(element, "_text", None) or "", quote=False)
    before = f"<{tag}{_class_and_style(element)}{attributes(given)}>{text}"
    return before, "" if tag in BARE else f"</{tag}>"


def _reacts(element: Element) -> bool:
    listeners = element._event_listeners.values()
    return any(one.type.partition(".")[0] in REACTED_TO for one in listeners)


def _button(element: Element) -> tuple[str, str]:
    props = props_of(element)
    is_off = bool(props.get("disable"))
    kinds = "" if is_off else "q-btn--actionable q-focusable q-hoverable "
    classes = (
        "q-btn q-btn-item non-selectable no-outline q-btn--flat q-btn--rectangle "
        f"{'disabled ' if is_off else kinds}q-btn--no-uppercase"
    )
    given = {name: value for name, value in props.items() if name.startswith(("aria-", "data-"))}
    if given.get("data-testid") not in STYLED:
        given.pop("data-testid", None)  # who looks for a button finds the one that reacts
    label = escape(str(props.get("label") or ""), quote=False)
    words = f'<span class="block">{label}</span>' if label else ""
    return (
        f'<button inert type="button" class="{_classes(element, classes)}"{attributes(given)}>'
        '<span class="q-focus-helper"></span>'
        '<span class="q-btn__content text-center col items-center q-anchor--skip justify-center'
        f' row">{words}',
        "</span></button>",
    )


def _field(element: Element) -> tuple[str, str]:
    props = props_of(element)
    kind, box = _select(props) if element.tag == "nicegui-select" else _input(props)
    has_value = bool(props.get("value") or props.get("model-value"))
    classes = f"q-field row no-wrap items-start q-field--outlined {kind} " + (
        "q-field--float q-field--dense" if has_value else "q-field--dense"
    )
    off = " q-field--disabled" if props.get("disable") else ""
    return (
        f'<label inert class="{_classes(element, classes + off)}">'
        '<div class="q-field__inner relative-position col self-stretch">'
        f'<div class="q-field__control relative-position row no-wrap">'
        '<div class="q-field__control-container col relative-position row no-wrap q-anchor--skip">'
        f"{box}",
        "</div></div></label>",
    )


def _input(props: Mapping[str, Any]) -> tuple[str, str]:
    given = {"placeholder": props.get("placeholder")}
    value, native = str(props.get("value") or ""), 'class="q-field__native q-placeholder" readonly'
    if props.get("type") == "textarea":
        # as high as its text, which Quasar sets by script
        area = f'<textarea {native} rows="1" style="field-sizing:content"{attributes(given)}>'
        return "q-textarea q-textarea--autogrow", f"{area}\n{escape(value)}</textarea></div>"
    return "q-input", f'<input {native} type="text"{attributes(given | {"value": value})}></div>'


def _select(props: Mapping[str, Any]) -> tuple[str, str]:
    chosen: Any = props.get("model-value") or ()
    all_chosen = cast(
        "list[Mapping[str, Any]]", [chosen] if isinstance(chosen, Mapping) else chosen
    )
    labels = [one["label"] for one in all_chosen]
    is_many, is_typed = bool(props.get("multiple")), bool(props.get("use-input"))
    kind = (
        f"q-select q-field--auto-height q-select--with{'' if is_typed else 'out'}-input "
        f"q-select--with{'' if props.get('use-chips') else 'out'}-chips "
        f"q-select--{'multiple' if is_many else 'single'}"
    )
    if is_typed:
        value = attributes({"value": ", ".join(map(str, labels))})
        shown = f'<input class="q-field__input q-placeholder col" readonly type="search"{value}>'
    elif props.get("use-chips"):
        shown = "".join(_chip(str(label)) for label in labels)
    else:
        words = escape(", ".join(map(str, labels)), quote=False)
        shown = f'<span class="ellipsis">{words}</span>' if words else ""
    return kind, (
        f'<div class="q-field__native row items-center">{shown}</div></div>'
        '<div class="q-field__append q-field__marginal row no-wrap items-center q-anchor--skip">'
        '<i class="q-icon notranslate material-icons q-select__dropdown-icon" aria-hidden="true">'
        "expand_more</i></div>"
    )


def _chip(label: str) -> str:
    return (
        '<div class="q-chip row inline no-wrap items-center q-chip--dense">'
        '<div class="q-chip__content col row no-wrap items-center q-anchor--skip">'
        f'<span class="ellipsis">{escape(label, quote=False)}</span></div>'
        '<i class="q-icon notranslate material-icons q-chip__icon q-chip__icon--remove'
        ' cursor-pointer" aria-hidden="true">cancel</i></div>'
    )
