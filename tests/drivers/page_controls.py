"""The controls of a page: what a person can press, and what reaches the server when they do."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from nicegui import Client, ui
from nicegui.testing.user import User

from tests.pages.conftest import until

# looks, each 20 ms after the other, in which nothing more is drawn
STILL = 3
# the name of a control that many rows have
EACH = re.compile(r"\b(Select all|Select|Copy run id|All projects)\b.*")
_NAMES = ("aria-label", "data-view", "data-tab", "data-key", "label")
# what names a control, or the place of others
_MARKS = ("data-testid", "data-filter")
# a name of its own, without a value
_FLAG = re.compile(r"data-(log-follow|reconnect|shortcuts)$")
# controls by name, each with the events that it may send to the server
Controls = dict[str, frozenset[str]]


class Buttons(HTMLParser):
    """The names of the buttons, and of what acts like one, in some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        marks = dict(attrs)
        if tag == "button" or "data-act" in marks or "data-command" in marks:
            flags = (one for one in marks if _FLAG.match(one))
            ways = ("data-testid", "data-act", "data-look", "aria-label")
            named = (name for mark in ways if (name := marks.get(mark)))
            self.names.add(next(iter((*named, *flags)), f"<{tag} {marks}>"))


def is_rendered(element: ui.element) -> bool:
    """Return True for an element that is shown, with all that it stands in."""
    return all(one.visible for one in _lineage(element))


def name_of(element: ui.element) -> str:
    """Return a control's test id, or else its name with the mark of what it stands in.

    A dialog is named by what it holds.
    """
    props: dict[str, Any] = dict(element.props)
    if props.get("data-testid"):
        return str(props["data-testid"])
    if isinstance(element, ui.dialog):
        marks = (_mark_of(one) for one in element.descendants())
        return props.get("aria-label") or f"{next(filter(None, marks), '')} dialog"
    flags = (one for one in props if _FLAG.match(one))
    named = (str(props[mark]) for mark in _NAMES if props.get(mark))
    plain = getattr(element, "text", "") or f"{element.tag}.{'.'.join(element.classes)}"
    places = filter(None, map(_mark_of, _lineage(element)))
    words = next(iter((*named, *flags)), plain)
    return f"{next(places, '')} {words}".strip()


def _mark_of(element: ui.element) -> str:
    props: dict[str, Any] = dict(element.props)
    return next((str(props[mark]) for mark in _MARKS if props.get(mark)), "")


def events_of(element: ui.element) -> frozenset[str]:
    """Return the events of an element that reach the server."""
    listeners = element._event_listeners.values()
    return frozenset(one.type for one in listeners if one.handler is not None)


def controls_of(client: Client, *, hidden: bool = True) -> Controls:
    """Return the controls in a page's element tree; `hidden`: also those that are not shown now."""
    found: Controls = {}

    def add(name: str, events: frozenset[str] = frozenset()) -> None:
        name = EACH.sub(r"\1", name)
        found[name] = found.get(name, frozenset()) | events

    for element in list(client.elements.values()):
        if not hidden and not is_rendered(element):
            continue
        props: dict[str, Any] = dict(element.props)
        if isinstance(element, ui.html):
            for name in Buttons(element.content).names:
                add(name)
        for press in props.get("presses", ()):
            add(press[0])
        if props.get("notice"):
            add("sandbox-undo")
        events = events_of(element)
        if events or (isinstance(element, ui.link) and "btn" in element.classes):
            add(name_of(element), events)
    return found


async def settled(user: User) -> Client:
    """Return a page's client once nothing more is drawn."""
    client = user.client
    assert client is not None
    seen: list[Controls] = []

    def is_still() -> bool:
        seen.append(controls_of(client))
        return len(seen) > STILL and all(one == seen[-1] for one in seen[-STILL:])

    await until(is_still)
    return client


def _lineage(element: ui.element) -> list[ui.element]:
    found: list[ui.element] = []
    at: ui.element | None = element
    while at is not None:
        found.append(at)
        at = at.parent_slot.parent if at.parent_slot else None
    return found
