"""PushAnywayDialog: asks before pushing or merging commits that a check has held back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from app.pages.components.buttons import button
from app.pages.components.markup import clean, plain_html
from app.pages.components.testids import testid

Push = Callable[[], Awaitable[None]]
WARNING = (
    "Everyone who can read the repository will be able to read it, and deleting it later does not "
    "remove it from the history. Change the secret first, or discard the work."
)
WARNING_OF_SIZE = "The file stays in the history of the repository, even if it is deleted later."
WARNING_OF_THE_UNKNOWN = (
    "Whether they contain a secret or a file that is too large is not known. Whatever they contain "
    "stays in the history of the repository, even if it is deleted later."
)


class PushAnywayDialog:
    """The dialog of one page; `open` sets what it asks about."""

    def __init__(self) -> None:
        self._push: Push | None = None
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet") as sheet:
            testid(sheet, "push-anyway-dialog")
            self._title = ui.html("", sanitize=clean, tag="h2").classes("above")
            self._because = ui.html("", sanitize=clean, tag="p").classes("above named")
            self._warning = ui.html("", sanitize=clean, tag="p").classes("above sub")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Keep", self._dialog.close, mark="keep").props("autofocus")
                mark = "push-anyway-confirm"
                self._confirm = button("Push anyway", self._sure, kind="danger", mark=mark)

    def open(self, branch: str, because: str, push: Push, *, verb: str = "Push") -> None:
        """Ask about a branch held back by a check; `because` is its reason, `verb` the action."""
        self._push = push
        self._title.set_content(f"{verb} {plain_html(branch)} anyway?")
        self._confirm.set_text(f"{verb} anyway")
        sentence = because[:1].upper() + because[1:]
        self._because.set_content(plain_html(sentence if sentence[-1:] == "." else f"{sentence}."))
        self._warning.set_content(_warning_of(because))
        self._dialog.open()

    async def _sure(self) -> None:
        push, self._push = self._push, None
        self._dialog.close()
        if push is not None:
            await push()


def _warning_of(because: str) -> str:
    if " a secret" in because:
        return WARNING
    return WARNING_OF_SIZE if "larger than" in because else WARNING_OF_THE_UNKNOWN
