"""A person's own page (`/me`): name, password, one-time codes, and browser sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from app.api.schemas import CodesOut, PersonOut, SessionOut
from app.domain.people.preferences import zone_names
from app.domain.push.endpoints import device_name
from app.pages.components.buttons import ConfirmButton, button, link_button
from app.pages.components.chips import copy_chip_html
from app.pages.components.countdown import ago_html, day_html
from app.pages.components.fields import Field, choice_field, text_field
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.people.proof import Desk, secret_field
from app.pages.shell.frame import frame
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection
from app.state.people.people_board import ROLES

HEAD = '<link rel="stylesheet" href="/assets/settings.css">'
MACHINE = (
    "This account belongs to the machine and has no password. To sign in with a password, "
    '<a href="/settings?tab=people">invite yourself as a person</a>.'
)
OF_BROWSER = "The browser's"
CODES = (
    "With one-time codes a sign-in asks for the code of an authenticator app besides the password."
)
SCAN = "Enter this secret in your authenticator app, then write the code that it shows."
KEPT = (
    "Keep these recovery codes in a safe place: each replaces a one-time code once. They are not "
    "shown again."
)


def register(connection: Connection) -> None:
    """Define `/me`."""

    @page_at("/me")
    async def own_page() -> None:
        session = await PageSession.open(connection)
        api = session.api
        person, sessions = await asyncio.gather(api.person(), api.sessions())
        ui.add_head_html(HEAD)
        with frame(session, title="Your account", active="me") as page:
            with page.actions:
                link_button("Tokens", "/settings?tab=tokens", kind="bare", mark="me-tokens")
                words, path = "Notifications", "/settings?tab=notifications"
                link_button(words, path, kind="bare", mark="me-notifications")
            NamePanel(session, person)
            if person.email is None:
                ui.html(MACHINE, sanitize=clean, tag="p").classes("sub part")
                SessionsPanel(session, sessions)
                return
            ZonePanel(session, person)
            password = PasswordPanel(session)
            CodesPanel(session, person)
            password.then = SessionsPanel(session, sessions).look


class NamePanel:
    """The name that others see, and what the person may do."""

    def __init__(self, session: PageSession, person: PersonOut) -> None:
        self._session = session
        ui.html(about_html(session, person), sanitize=clean, tag="p").classes("sub said")
        self._desk = Desk(session)
        with ui.element("div").classes("form part"):
            self._name = text_field("Name", plain(person.name), mark="me-name")
            self._name.control.on("keydown.enter", self._save)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Save name", self._save, mark="me-save-name")

    async def _save(self) -> None:
        change = partial(
            self._session.api.change_person, "me", name=str(self._name.control.value or "")
        )
        done, person = await self._desk.ask(change, {"name": self._name})
        if done and person is not None:
            self._name.show(plain(person.name))
            self._session.notify("Your name was changed.")


class ZonePanel:
    """The time zone in which this person's browsers show times."""

    def __init__(self, session: PageSession, person: PersonOut) -> None:
        self._session = session
        self._desk = Desk(session)
        with ui.element("div").classes("form part"):
            names = {"": OF_BROWSER, **{one: one for one in zone_names()}}
            hint = "Used in all your browsers. So is the look, which you choose in the menu below."
            # one that the list no longer has is the browser's
            chosen = person.time_zone if person.time_zone in names else ""
            self._zone = choice_field("Time zone", names, chosen, hint=hint, mark="me-zone")
            self._zone.control.props("use-input hide-selected fill-input input-debounce=0")
            self._zone.control.on_value_change(self._save)

    async def _save(self) -> None:
        change = partial(
            self._session.api.change_person, "me", time_zone=str(self._zone.control.value or "")
        )
        done, _ = await self._desk.ask(change, {"time_zone": self._zone})
        if done:
            # reload: every time on the page changes
            self._session.go("/me")


class PasswordPanel:
    """Changes the password; the other sessions end, and `then` is called."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self.then: Callable[[], Awaitable[None]] | None = None
        ui.html("Password", sanitize=clean, tag="h2").classes("above")
        self._desk = Desk(session)
        with ui.element("div").classes("form part"):
            old = secret_field("Old password", "current-password", mark="me-old-password")
            hint = "At least 12 characters. Your other sessions end."
            new = secret_field("New password", "new-password", hint=hint, mark="me-new-password")
            new.control.on("keydown.enter", self._save)
            self._fields: dict[str, Field] = {"old_password": old, "password": new}
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Change password", self._save, mark="me-save-password")

    async def _save(self) -> None:
        old, new = (str(field.control.value or "") for field in self._fields.values())
        change = partial(self._session.api.change_password, old, new)
        done, _ = await self._desk.ask(change, self._fields)
        if done:
            for field in self._fields.values():
                field.show("")
            self._session.notify("Your password was changed, and your other sessions ended.")
            if self.then is not None:
                await self.then()


class CodesPanel:
    """One-time codes: off, being set up, or on."""

    def __init__(self, session: PageSession, person: PersonOut) -> None:
        self._session = session
        ui.html("One-time codes", sanitize=clean, tag="h2").classes("above")
        ui.html(CODES, sanitize=clean, tag="p").classes("sub said")
        self._desk = Desk(session)
        self._box = testid(ui.element("div").classes("part"), "me-codes")
        self._show(is_on=person.asks_for_code)

    def _show(self, *, is_on: bool) -> None:
        self._box.clear()
        with self._box:
            if is_on:
                ConfirmButton(
                    "Remove codes",
                    "Ask for no codes any more?",
                    self._remove,
                    kind="danger",
                    mark="codes-remove",
                )
            else:
                button("Set up codes", self._begin, mark="codes-begin")

    async def _begin(self) -> None:
        done, codes = await self._desk.ask(self._session.api.begin_codes)
        if done and codes is not None:
            self._ask_for_code(codes)

    def _ask_for_code(self, codes: CodesOut) -> None:
        self._box.clear()
        with self._box, ui.element("div").classes("form"):
            ui.html(secret_html(codes), sanitize=clean)
            self._code = text_field("Code", mono=True, mark="codes-code")
            self._code.control.props("inputmode=numeric autocomplete=one-time-code")
            self._code.control.on("keydown.enter", self._confirm)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", lambda: self._show(is_on=False), kind="bare")
                button("Confirm", self._confirm, kind="pri", mark="codes-confirm")

    async def _confirm(self) -> None:
        code = str(self._code.control.value or "").strip()
        confirm = partial(self._session.api.confirm_codes, code)
        done, made = await self._desk.ask(confirm, {"code": self._code})
        if done and made is not None:
            self._show(is_on=True)
            with self._box:
                ui.html(recovery_html(made.codes), sanitize=clean).move(target_index=0)

    async def _remove(self) -> None:
        done, _ = await self._desk.ask(self._session.api.remove_codes)
        if done:
            self._show(is_on=False)
            self._session.notify("Sign-ins ask for no code any more.")


class SessionsPanel:
    """The browsers in which this person is signed in."""

    def __init__(self, session: PageSession, sessions: list[SessionOut]) -> None:
        self._session = session
        ui.html("Signed in", sanitize=clean, tag="h2").classes("above")
        self._desk = Desk(session)
        self._list = testid(ui.element("div").classes("list part"), "me-sessions")
        link_button("Sign out…", "/settings?tab=sign-in", kind="danger", mark="me-sign-out")
        self._show(sessions)
        self.look = session.looker(session.api.sessions, self._show)
        session.on_return(self.look)

    def _show(self, sessions: list[SessionOut]) -> None:
        self._list.clear()
        with self._list:
            for one in sessions:
                with testid(ui.element("div").classes("item"), "session-row", id=one.id):
                    ui.html(session_html(one, self._session), sanitize=clean).classes("grow")
                    if not one.current:
                        end = partial(self._end, one)
                        button("End", end, kind="small", mark="session-end")

    async def _end(self, one: SessionOut) -> None:
        await self._desk.ask(partial(self._session.api.end_session, "me", one.id))
        await self.look()


def about_html(session: PageSession, person: PersonOut) -> str:
    """Return a person's address, role and organisation."""
    email = f"{plain_html(person.email)} · " if person.email else ""
    return f"{email}{ROLES[person.role]} of {plain_html(session.system.organisation)}"


def secret_html(codes: CodesOut) -> str:
    """Return the secret of one-time codes as text, and the address that apps read."""
    chip = copy_chip_html("Copy secret", codes.secret, about="the secret")
    return (
        f'<p class="sub">{SCAN}</p><div class="line above">'
        f'<code data-testid="codes-secret">{text(codes.secret)}</code>{chip}</div>'
        f'<p class="sub said">Address: <code data-testid="codes-address">{text(codes.address)}'
        "</code></p>"
    )


def recovery_html(codes: list[str]) -> str:
    """Return recovery codes with the button that copies them."""
    chip = copy_chip_html("Copy codes", "\n".join(codes), about="the codes")
    lines = "\n".join(text(one) for one in codes)
    return (
        f'<div class="card part"><p>{KEPT}</p><pre class="task" data-testid="recovery-codes">'
        f'{lines}</pre><div class="line">{chip}</div></div>'
    )


def session_html(one: SessionOut, session: PageSession) -> str:
    """Return a session's browser, address, last use and end."""
    now = session.now()
    here = " · this browser" if one.current else f" · used {ago_html(one.last_used_at, now)}"
    address = f"{plain_html(one.address)} · " if one.address else ""
    return (
        f'<div class="clip"><b>{plain_html(device_name(one.browser or ""))}</b></div>'
        f'<span class="sub">{address}since {day_html(one.created_at)}{here} · '
        f"ends {day_html(one.expires_at)}</span>"
    )
