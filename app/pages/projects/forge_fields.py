"""The fields of a new project's forge: what is at its address, its token, who keeps issues."""

from __future__ import annotations

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.domain.words import BUILTIN
from app.pages.components.buttons import button
from app.pages.components.fields import Field, choice_field, text_field
from app.pages.components.markup import clean, plain_html
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.page.refused_input import blamed_by
from app.state.projects.forge_choice import ForgeChoice, is_at_a_forge

# so many characters at once were pasted
PASTED = 4
WITHOUT_FORGE = (
    "Runyard has no token for this forge. Ask an admin to add it, or keep the issues in Runyard."
)
KEEPERS = {"": "At the forge", BUILTIN: "In Runyard"}


class ForgeFields:
    """Shown once the address is at a forge; `fields` gets who keeps the issues."""

    def __init__(self, session: PageSession, origin: Field, fields: dict[str, Field]) -> None:
        self._session, self._origin = session, origin
        self._choice = ForgeChoice()
        self._length = 0
        with testid(ui.element("div").classes("stack"), "project-forge") as self._box:
            self._told = ui.html("", sanitize=clean)
            self._keeper = choice_field(
                "Issues and pull requests",
                KEEPERS,
                "",
                hint="At the forge, its issues start runs, and runs open pull requests there. In "
                "Runyard, both stay here, and branches are pushed.",
                mark="project-tracker",
            )
            self._token = session.offer("add_forge", None, self._draw_token)
            self._connect = session.offer(
                "add_forge",
                None,
                lambda: button("Check the token", self.connect, mark="project-connect"),
            )
        fields["tracker"] = self._keeper
        self._box.set_visibility(False)
        self._keeper.control.on_value_change(self._show)
        origin.control.on("blur", self.look)
        origin.control.on_value_change(self._follow)

    def _draw_token(self) -> Field:
        token = text_field("Token", mono=True, mark="project-token")
        token.control.props("type=password autocomplete=off")
        token.control.on("keydown.enter", self.connect)
        return token

    @property
    def _typed(self) -> str:
        return (self._origin.control.value or "").strip()

    async def _follow(self) -> None:
        is_pasted = len(self._typed) - self._length >= PASTED
        self._length = len(self._typed)
        if self._typed != self._choice.origin:
            self._choice.take("", None)
            self._show()
        if is_pasted:
            await self.look()

    async def look(self) -> None:
        """Ask what is at the address, once for each."""
        typed = self._typed
        if typed == self._choice.origin or not is_at_a_forge(typed):
            return
        try:
            found = await self._session.api.forge_at(typed)
        except (ApiProblem, NoAnswer):
            return  # errors show on submit
        # the field may have changed while the request was under way
        if typed == self._typed and not self._session.client.is_deleted:
            self._choice.take(typed, found)
            self._show()

    def _show(self) -> None:
        choice = self._choice
        self._box.set_visibility(choice.is_known or bool(choice.words))
        tone = "wait" if choice.wants_token or not choice.is_known else "go"
        self._told.set_content(f'<p class="{tone}">{plain_html(choice.words)}</p>')
        self._keeper.box.set_visibility(choice.is_known)
        is_asked = choice.wants_token and self._keeper.control.value != BUILTIN
        self._token.box.set_visibility(is_asked)
        self._connect.set_visibility(is_asked)
        self._token.explain(f"It needs the scopes {choice.scopes}. Runyard keeps it encrypted.")
        if not choice.is_known:
            self._keeper.control.set_value("")

    async def is_settled(self) -> bool:
        """Return True if nothing is missing; else the field for the token says what."""
        await self.look()
        if self._choice.forge is not None or not self._choice.is_known:
            return True
        if self._keeper.control.value == BUILTIN:
            return True
        if not self._session.may("add_forge"):
            self._origin.refuse(WITHOUT_FORGE)
            self._origin.go_to()
            return False
        return await self.connect()

    async def connect(self) -> bool:
        """Keep the forge with the token, or replace a token that lacks something."""
        found, typed = self._choice.found, (self._token.control.value or "").strip()
        if found is None or found.url is None or not self._connect.enabled:
            return False
        if not typed:
            self._refuse(f"Give a token with the scopes {self._choice.scopes}.")
            return False
        self._token.clear()
        self._connect.disable()
        try:
            api = self._session.api
            if found.forge is None:
                forge = await api.add_forge(found.url, typed)
            else:
                forge = await api.change_forge(found.forge.id, token=typed)
        except ApiProblem as problem:
            self._refuse(" ".join(blamed_by(problem).values()) or problem.detail)
            return False
        except NoAnswer as silence:
            self._refuse(str(silence))
            return False
        finally:
            self._connect.enable()
        self._token.control.set_value("")
        self._choice.take(self._choice.origin, found.model_copy(update={"forge": forge}))
        self._show()
        return not forge.needs_attention

    def _refuse(self, words: str) -> None:
        self._token.refuse(words)
        self._token.go_to()
