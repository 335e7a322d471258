"""The button that asks for a folder of this machine; only Runyard's own window has one."""

from __future__ import annotations

from typing import Any

from app.domain.own_window import is_own_window
from app.pages.components.buttons import button
from app.pages.visit import Visit

# the window answers with a path, or with nothing where no folder was chosen
CHOOSE = (
    "async () => { const folder = await window.pywebview?.api?.choose_folder?.();"
    " if (folder) emit(folder); }"
)


def add_folder_button(visit: Visit, field: Any, *, mark: str) -> None:
    """Put `Browse…` at the end of a text field, if the visit is in the window."""
    if not is_own_window(visit.client.request.headers.get("user-agent", "")):
        return

    def take(event: Any) -> None:
        if isinstance(event.args, str):
            field.set_value(event.args)

    with field.add_slot("append"):
        made = button("Browse…", None, kind="small", mark=mark)
    made.on("click", take, js_handler=CHOOSE)
