"""Between an open form and what its browser keeps of it (assets/draft.js)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.pages.components.plain_sight import plain
from app.pages.visit import Visit
from app.state.form_draft import FormDraft
from app.state.run_form import RunForm
from app.state.wire import BranchOut


class Show(Protocol):
    """Called when the form's state was changed by what the browser had kept."""

    def __call__(self, *, is_arrival: bool) -> None:
        """`is_arrival`: the page was loaded anew; else only the link had been lost."""
        ...


class DraftKeeper:
    """Tells the browser key and sent ids; takes key and fields back when it arrives or returns.

    A form in a dialog (not `is_page`) is there only after the arrival, and ends with its page.
    """

    def __init__(
        self,
        visit: Visit,
        form: RunForm,
        box: ui.element,
        branches: Sequence[BranchOut],
        show: Show,
        *,
        is_page: bool,
    ) -> None:
        self._form, self._box, self._show = form, box, show
        self._branches = [branch.name for branch in branches]
        self._asked, self._is_page = 0, is_page
        box.props["data-draft"] = "form" if is_page else "dialog"
        box.on("draft", self._take, args=["detail"])
        self.tell()
        if is_page:
            visit.on_arrival(self._ask)
        visit.on_return(self._ask)

    def tell(self, *, is_done: bool = False) -> None:
        """Say which key the form has; after a run was made there is nothing to keep."""
        self._box.props["data-draft-key"] = self._form.key
        self._box.props["data-draft-sent"] = " ".join(self._form.sent)
        if is_done:
            self._box.props["data-draft-done"] = "true"

    def _ask(self) -> None:
        if self._box.is_deleted:
            return
        self._asked += 1
        self._box.props["data-draft-asked"] = str(self._asked)

    def _take(self, event: GenericEventArguments) -> None:
        draft = FormDraft.read((event.args or {}).get("detail"))
        if draft.take_into(self._form, self._branches, plain):
            self.tell()
            self._show(is_arrival=self._is_page and self._asked == 1)
