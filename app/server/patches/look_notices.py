"""Tell an element of a change of its classes, style or properties by one call.

Replaces: `_handle_change` of `nicegui.classes.Classes`, `nicegui.style.Style` and
`nicegui.props.Props`, by one that calls the element's own handler if there is no other.
Why: NiceGUI gathers handlers, makes an event and enters a context for each of 2,000 changes a page.
Gain: a sixth of the processor time of a page with five hundred elements.
Tested: nicegui>=3.18,<3.19
"""

# stands alone: one module for each patch

from __future__ import annotations

import time
from typing import Any

from nicegui import core
from nicegui.classes import Classes
from nicegui.observables import ObservableCollection
from nicegui.props import Props
from nicegui.style import Style

KINDS: tuple[type[Any], ...] = (Classes, Style, Props)
_any_kind: Any = ObservableCollection
_tell_all = _any_kind._handle_change


def tell_elements_directly() -> None:
    """Put the patch in; safe to call twice."""
    for kind in KINDS:
        kind._handle_change = _handle_change


def _handle_change(self: Any) -> None:
    handlers = self._change_handlers
    # the first is the element's own, and is gone once the page has been taken apart
    if len(handlers) != 1 or self._observer_refs or handlers[0][0] != self._update:
        _tell_all(self)
        return
    self.last_modified = time.time()
    try:
        self._update()
    except Exception as problem:
        core.app.handle_exception(problem)
