"""Rows of HTML in one element, updated in place: none is drawn anew because another changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nicegui import ui

from app.pages.components.markup import clean
from app.pages.components.testids import testid


@dataclass(frozen=True)
class RowLook:
    """The HTML of a row, its classes and its attributes."""

    html: str
    classes: str = ""
    props: Mapping[str, str] = field(default_factory=dict[str, str])


class KeyedRows:
    """The rows of `box` by key, after `offset` other children; each has `data-row`."""

    def __init__(self, box: ui.element, mark: str, *, offset: int = 0) -> None:
        self._box, self._mark, self._offset = box, mark, offset
        self._rows: dict[str, tuple[RowLook, ui.html]] = {}

    def show(self, looks: Mapping[str, RowLook]) -> None:
        """Show these rows in this order."""
        for gone in self._rows.keys() - looks.keys():
            self._rows.pop(gone)[1].delete()
        children = self._box.default_slot.children
        for place, (key, look) in enumerate(looks.items(), start=self._offset):
            known = self._rows.get(key)
            if known is None:
                with self._box:
                    row = testid(ui.html("", sanitize=clean), self._mark, row=key)
            else:
                row = known[1]
            if known is None or known[0] != look:
                row.classes(replace=look.classes)
                for name in known[0].props.keys() - look.props.keys() if known else ():
                    row.props.pop(name, None)
                for name, value in look.props.items():
                    row.props[name] = value
                row.set_content(look.html)
                row.update()
                self._rows[key] = look, row
            if children[place] is not row:
                row.move(target_index=place)
