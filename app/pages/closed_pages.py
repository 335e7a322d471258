"""Pages whose browser is gone for good: taken apart, so that their memory is free at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nicegui import Client
    from nicegui.element import Element


def take_apart_once_deleted(client: Client) -> None:
    """Cut what a page's elements hold of each other as soon as NiceGUI has deleted the page.

    They hold each other in circles. Left alone they are found by the collector of garbage, which
    looks at old objects so rarely that hundreds of closed pages would wait for it.
    """

    def cut_soon() -> None:
        # NiceGUI still goes through them in this turn of the loop, and drops its list at its end
        elements = list(client.elements.values())
        asyncio.get_running_loop().call_soon(_take_apart, client, elements)

    client.on_delete(cut_soon)


def _take_apart(client: Client, elements: list[Element]) -> None:
    for element in elements:
        for watched in (element._classes, element._style, element._props):
            watched._change_handlers.clear()
        element._event_listeners.clear()
        element.slots.clear()
    for handlers in (client.connect_handlers, client.disconnect_handlers, client.delete_handlers):
        handlers.clear()
