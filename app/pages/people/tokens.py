"""Tokens in the settings: one's own, those of others for admins, and the form that makes one."""

from __future__ import annotations

import asyncio
from functools import partial

from nicegui import ui

from app.api.client.client import ApiClient
from app.api.schemas import NewTokenOut, TokenOut
from app.domain.people.roles import Scope
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.chips import copy_chip_html
from app.pages.components.countdown import ago_html, day_html
from app.pages.components.fields import Field, text_field
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.people.proof import Desk
from app.pages.shell.page_session import PageSession
from app.state.people.people_board import (
    DAYS,
    MOST_DAYS,
    SCOPES,
    end_after,
    scopes_for,
    split_tokens,
)

ABOUT = (
    "Programs send a token as <code>Authorization: Bearer ry_…</code>. It may do what you may, "
    "within its scopes."
)
NONE = "No tokens yet."
WRONG_DAYS = f"Write a number from 1 to {MOST_DAYS}."
Seen = tuple[list[TokenOut], list[TokenOut]]


async def tokens_for(api: ApiClient, *, everybody: bool) -> Seen:
    """Return one's own tokens and, with `everybody`, those of others."""
    if not everybody:
        return await api.tokens(), []
    own, found = await asyncio.gather(api.tokens(), api.tokens(everybody=True))
    return split_tokens(found, own)


class TokensPanel:
    """The tokens, and the form for another one."""

    def __init__(self, session: PageSession, seen: Seen) -> None:
        self._session = session
        ui.html(ABOUT, sanitize=clean, tag="p").classes("sub said")
        self._desk = Desk(session)
        with testid(ui.element("div"), "new-token") as self._made:
            self._new = ui.html("", sanitize=clean)
        self._mine = testid(ui.element("div").classes("list part"), "tokens-list")
        self._others = ui.element("div").classes("part")
        self._scopes: dict[Scope, ui.checkbox] = {}
        self._draw_form()
        self._show(seen)
        everybody = session.may("read_people")
        self._look = session.looker(
            partial(tokens_for, session.api, everybody=everybody), self._show
        )
        session.on_return(self._look)

    def _draw_form(self) -> None:
        ui.html("Make a token", sanitize=clean, tag="h2").classes("above")
        with ui.element("div").classes("form"):
            name = text_field("Name", placeholder="nightly build", mark="token-name")
            scopes = Field("Scopes")
            with scopes.box, ui.element("div").classes("stack boxes") as group:
                for scope in scopes_for(self._session.system.role):
                    box = ui.checkbox(SCOPES[scope], value=scope is Scope.READ)
                    self._scopes[scope] = testid(box, "token-scope", scope=scope.value)
            group.props('role=group aria-label="Scopes"')
            scopes.hold(group, is_group=True)
            hint = f"At most {MOST_DAYS}."
            days = text_field("Days until it ends", str(DAYS), hint=hint, mark="token-days")
            days.control.props("inputmode=numeric")
            self._fields = {"name": name, "scopes": scopes, "expires_at": days}
            name.control.on("keydown.enter", self._add)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                self._button = button("Make token", self._add, kind="pri", mark="token-add")

    def _show(self, seen: Seen) -> None:
        mine, others = seen
        self._mine.clear()
        with self._mine:
            if not mine:
                ui.html(NONE, sanitize=clean).classes("item sub")
            for one in mine:
                self._draw(one)
        self._others.clear()
        if not others:
            return
        with self._others:
            ui.html("Of others", sanitize=clean, tag="h2").classes("above")
            with testid(ui.element("div").classes("list"), "tokens-of-others"):
                for one in others:
                    self._draw(one, is_own=False)

    def _draw(self, token: TokenOut, *, is_own: bool = True) -> None:
        with testid(ui.element("div").classes("item"), "token-row", id=token.id):
            html = token_html(token, self._session, is_own=is_own)
            ui.html(html, sanitize=clean).classes("grow")
            ConfirmButton(
                "Revoke",
                "Revoke now?",
                partial(self._revoke, token),
                kind="small danger",
                mark="token-revoke",
            )

    async def _add(self) -> None:
        if not self._button.enabled:
            return
        days, now = self._fields["expires_at"], self._session.now()
        ends = end_after(str(days.control.value or "").strip(), now)
        if ends is None:
            days.refuse(WRONG_DAYS)
            days.go_to()
            return
        name = str(self._fields["name"].control.value or "")
        scopes = [scope for scope, box in self._scopes.items() if box.value]
        self._button.disable()
        add = partial(self._session.api.add_token, name, scopes, ends)
        done, made = await self._desk.ask(add, self._fields)
        self._button.enable()
        if done and made is not None:
            self._fields["name"].show("")
            self._new.set_content(made_html(made))
            self._made.run_method("scrollIntoView", {"block": "center"})
            await self._look()

    async def _revoke(self, token: TokenOut) -> None:
        done, _ = await self._desk.ask(partial(self._session.api.revoke_token, token.id))
        if done:
            self._session.notify(f"{token.name} was revoked.")
        await self._look()


def token_html(token: TokenOut, session: PageSession, *, is_own: bool) -> str:
    """Return a token's name, person, scopes, last use and end."""
    now = session.now()
    used = f"used {ago_html(token.last_used_at, now)}" if token.last_used_at else "never used"
    who = "" if is_own else f"{plain_html(token.person)} · "
    scopes = ", ".join(token.scopes)
    return (
        f'<div class="line"><b class="name">{plain_html(token.name)}</b></div>'
        f'<span class="sub">{who}{text(scopes)} · {used} · ends {day_html(token.expires_at)}</span>'
    )


def made_html(made: NewTokenOut) -> str:
    """Return a new token's text with the button that copies it."""
    chip = copy_chip_html("Copy token", made.token, testid="token-copy", about="the token")
    return (
        f'<div class="card part"><p>This is the token <b>{plain_html(made.name)}</b>. It is not '
        'shown again.</p><div class="line">'
        f'<code data-testid="token-text">{text(made.token)}</code>'
        f"{chip}</div></div>"
    )
