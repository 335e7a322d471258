"""Refusals in a panel, and the dialog that asks to sign in again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.pages.components.buttons import button
from app.pages.components.chips import correlation_chip_html
from app.pages.components.fields import Field, text_field
from app.pages.components.markup import clean, plain_html
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.page.refused_input import blamed_by
from app.state.people.people_board import asks_to_sign_in

Answer = TypeVar("Answer")
WHY = "Your last sign-in is more than 15 minutes ago. Sign in again to go on."


class Desk:
    """The changes of one panel: each is tried, and refused at its field or above the list.

    A change that needs a newer sign-in asks for the password, and is tried once more.
    """

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._dialog = ProofDialog(session)
        self._place = testid(ui.html("", sanitize=clean), "form-error").props("role=alert")
        self.clear()

    async def ask(
        self, act: Callable[[], Awaitable[Answer]], fields: Mapping[str, Field] | None = None
    ) -> tuple[bool, Answer | None]:
        """Try a change; return if it was done, and its answer."""
        self.clear()
        for field in (fields or {}).values():
            field.clear()
        try:
            return True, await self._dialog.run(act)
        except (ApiProblem, NoAnswer) as problem:
            if not self._session.client.is_deleted:
                self._refuse(problem, fields or {})
            return False, None

    def clear(self) -> None:
        """Show no refusal."""
        self._place.set_visibility(False)
        self._place.set_content("")

    def _refuse(self, problem: ApiProblem | NoAnswer, fields: Mapping[str, Field]) -> None:
        told = blamed_by(problem) if isinstance(problem, ApiProblem) else {}
        blamed = {name: words for name, words in told.items() if name in fields}
        for name, words in blamed.items():
            fields[name].refuse(words)
        for name in list(blamed)[:1]:
            fields[name].go_to()
        if not blamed:
            words = problem.detail if isinstance(problem, ApiProblem) else str(problem)
            chip = correlation_chip_html(problem.correlation_id)
            html = f'<div class="banner stop"><span>{plain_html(words)}</span>{chip}</div>'
            self._place.set_content(html)
            self._place.set_visibility(True)


class ProofDialog:
    """Asks for the password and a one-time code; without a password, leads to the provider."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "proof-dialog")
            self._dialog.props('aria-label="Sign in again"')
            ui.html("Sign in again", sanitize=clean, tag="h2").classes("above")
            ui.html(WHY, sanitize=clean, tag="p").classes("sub said")
            has_password = session.system.has_password
            fields = self._draw_fields() if has_password else None
            self._fields = fields or ()
            self._offer_provider("Or sign in" if has_password else "Sign in")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", lambda: self._dialog.submit(False), kind="bare")
                if fields is not None:
                    prove = partial(self._prove, *fields)
                    button("Sign in", prove, kind="pri", mark="proof-submit")

    def _draw_fields(self) -> tuple[Field, Field]:
        password = secret_field("Password", "current-password", mark="proof-password")
        password.control.props("autofocus")
        code = text_field("One-time code", hint="If you use codes.", mark="proof-code")
        code.control.props("inputmode=numeric autocomplete=one-time-code")
        for field in (password, code):
            field.control.on("keydown.enter", partial(self._prove, password, code))
        return password, code

    def _offer_provider(self, words: str) -> None:
        host = self._session.system.identity_provider
        if host is None:
            return
        here = self._session.client.request.url
        wanted = quote(f"{here.path}?{here.query}" if here.query else here.path, safe="")
        where = f"/login/oidc?again=true&next={wanted}"
        link = f"<a href='{where}' data-testid='proof-provider'>{words} again at "
        ui.html(f"{link}{plain_html(host)}</a>", sanitize=clean, tag="p").classes("sub said")

    async def run(self, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do it, after a new sign-in where that is asked for. Raises ApiProblem and NoAnswer."""
        try:
            return await act()
        except ApiProblem as problem:
            if not asks_to_sign_in(problem) or not await self._ask():
                raise
        return await act()

    async def _ask(self) -> bool:
        for field in self._fields:
            field.show("")
            field.clear()
        proved: Any = await self._dialog
        return proved is True

    async def _prove(self, password: Field, code: Field) -> None:
        try:
            await self._session.api.prove(password.control.value or "", code.control.value or "")
        except (ApiProblem, NoAnswer) as problem:
            words = problem.detail if isinstance(problem, ApiProblem) else str(problem)
            password.refuse(words)
            password.go_to()
        else:
            self._dialog.submit(True)


def secret_field(label: str, autocomplete: str, *, hint: str = "", mark: str = "") -> Field:
    """Create a field for a password."""
    field = text_field(label, hint=hint, mark=mark)
    field.control.props(f"type=password autocomplete={autocomplete}")
    return field
