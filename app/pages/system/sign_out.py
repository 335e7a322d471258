"""Sign-out, of this browser or of all: plain HTML forms, as the answer is another page."""

# stands alone: plain HTML forms, which the pages of the settings around it are not

from __future__ import annotations

from nicegui import ui

from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.markup import clean

BROWSERS = (
    '<h2 class="above">Browsers</h2><p class="sub">A browser stays signed in for 30 days. Signing '
    "out everywhere ends the session of every browser, this one too, and open pages stop at once. "
    "Runs are not affected.</p>"
)
SCRIPTS = (
    '<h2 class="above">Scripts</h2><p class="sub">Scripts and the command line keep working with '
    "the token in the data folder. <code>runyard token rotate</code> replaces it.</p>"
)


def draw_sign_out() -> None:
    """Draw the sign-out buttons and explain which tokens stay valid."""
    ui.html(BROWSERS, sanitize=clean)
    with ui.element("div").classes("line part sign-outs"):
        here, everywhere = _form(), _form(everywhere=True)

        async def leave() -> None:
            here.run_method("submit")

        async def leave_everywhere() -> None:
            everywhere.run_method("submit")

        button("Sign out", leave, mark="sign-out")
        ConfirmButton(
            "Sign out everywhere",
            "Press again to sign out everywhere",
            leave_everywhere,
            kind="danger",
            mark="sign-out-everywhere",
        )
    ui.html(SCRIPTS, sanitize=clean)


def _form(*, everywhere: bool = False) -> ui.element:
    with ui.element("form").props("method=post action=/logout hidden") as form:
        if everywhere:
            ui.element("input").props("type=hidden name=everywhere value=true")
    return form
