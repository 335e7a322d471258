"""Forges in the settings: what each token may do, and a form that adds one."""

from __future__ import annotations

from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ForgeOut
from app.domain.text.durations import two_units
from app.domain.tracker.forges import kind_name
from app.pages.components.buttons import button, link_button
from app.pages.components.chips import pill_html
from app.pages.components.fields import Field, area_field, text_field
from app.pages.components.markup import clean, counted, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.page.refused_input import blamed_by

NONE = (
    '<div class="card none"><p>No forge yet. Add one, and its issues start runs, and runs open '
    "pull requests there.</p></div>"
)
RIGHTS = {"push": "push", "pull_requests": "open pull requests", "issues": "change issues"}
SCOPES = (
    "It needs the scopes write:repository, write:issue and read:user; at GitHub the scope repo, "
    "or write access to contents, issues and pull requests."
)
APP = "Use a GitHub App instead of a token"


class ForgesPanel:
    """A card for each forge, and the form for another one."""

    def __init__(self, session: PageSession, seen: list[ForgeOut]) -> None:
        self._session = session
        self._list = testid(ui.element("div").classes("cards part"), "forges")
        self._fields: dict[str, Field] = {}
        self._draw_form()
        self._show(seen)
        self._look = session.looker(session.api.forges, self._show)
        session.on("doctor.changed", lambda _: self._look())
        session.on_return(self._look)

    def _draw_form(self) -> None:
        ui.html("Add a forge", sanitize=clean, tag="h2").classes("above")
        with ui.element("div").classes("form"):
            self._fields["url"] = text_field(
                "Address",
                placeholder="https://codeberg.org",
                hint="The address of a Forgejo, Gitea or GitHub. Runyard detects which one it is.",
                mono=True,
                mark="forge-url",
            )
            self._fields["token"] = text_field("Token", hint=SCOPES, mono=True, mark="forge-token")
            self._fields["token"].control.props("type=password autocomplete=off")
            for field in self._fields.values():
                field.control.on("keydown.enter", self._add)
            with ui.element("details").classes("fold"):
                ui.html(APP, sanitize=clean, tag="summary")
                self._fields["app_id"] = text_field("App id", mono=True, mark="forge-app-id")
                self._fields["app"] = area_field(
                    "Private key",
                    placeholder="-----BEGIN RSA PRIVATE KEY-----",
                    hint="The whole .pem file that GitHub made for the App.",
                    mono=True,
                    mark="forge-private-key",
                )
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                self._button = button("Add forge", self._add, kind="pri", mark="forge-add")

    def _show(self, seen: list[ForgeOut]) -> None:
        self._list.clear()
        with self._list:
            if not seen:
                ui.html(NONE, sanitize=clean)
            for forge in seen:
                self._draw_card(forge)

    def _draw_card(self, forge: ForgeOut) -> None:
        with ui.element("div").classes("card").props(f'data-forge="{forge.id}"'):
            ui.html(card_html(forge), sanitize=clean)
            with ui.element("div").classes("line"):
                button("Check", partial(self._check, forge), kind="small", mark="forge-check")
                path = f"/projects/import?forge={forge.id}"
                link_button("Import repositories…", path, kind="small", mark="forge-import")
                button("Remove", partial(self._remove, forge), kind="small", mark="forge-remove")

    async def _add(self) -> None:
        if not self._button.enabled:
            return
        typed = {name: str(field.control.value or "") for name, field in self._fields.items()}
        for field in self._fields.values():
            field.clear()
        self._button.disable()
        try:
            added = await self._session.api.add_forge(**_asked(typed))
        except ApiProblem as problem:
            self._refuse(problem)
        except NoAnswer as problem:
            self._session.refuse(problem)
        else:
            for field in self._fields.values():
                field.control.set_value("")
            self._session.notify(f"{added.name} was added.")
            await self._look()
        finally:
            self._button.enable()

    def _refuse(self, problem: ApiProblem) -> None:
        blamed = {name: words for name, words in blamed_by(problem).items() if name in self._fields}
        for name, words in blamed.items():
            self._fields[name].refuse(words)
        for name in list(blamed)[:1]:
            self._fields[name].go_to()
        if not blamed:
            self._session.refuse(problem)

    async def _check(self, forge: ForgeOut) -> None:
        try:
            await self._session.api.check_forge(forge.id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        await self._look()

    async def _remove(self, forge: ForgeOut) -> None:
        try:
            await self._session.api.remove_forge(forge.id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        await self._look()


def _asked(typed: dict[str, str]) -> dict[str, Any]:
    """Return what is sent: the address, and the token or the App that was typed."""
    url, app_id, key = typed["url"].strip(), typed["app_id"].strip(), typed["app"].strip()
    if not app_id and not key:
        return {"url": url, "token": typed["token"]}
    return {"url": url, "token": typed["token"] or None, "app": {"id": app_id, "private_key": key}}


def card_html(forge: ForgeOut) -> str:
    """Return a forge's name, state, address, and what its token may do."""
    trouble = forge.needs_attention
    pill = pill_html("needs attention", "wait") if trouble else pill_html("ready", "go")
    *first, last = [RIGHTS[one] for one in forge.may] or ["do nothing yet"]
    may = f"{', '.join(first)} and {last}" if first else last
    who = text(forge.acts_as.login or "an account that it does not name")
    said = f'<p class="wait">{text(trouble)}</p>' if trouble else ""
    return (
        f'<div class="line"><b class="name">{text(forge.name)}</b>{pill}</div>'
        f'<p class="sub"><code>{text(forge.url)}</code> · {kind_name(forge.kind)} '
        f"{text(forge.version)}</p>"
        f'<p class="sub">Acts as <b>{who}</b>, may {text(may)}.</p>'
        f'<p class="sub" data-testid="forge-spending">{text(spent_text(forge))}</p>{said}'
    )


def spent_text(forge: ForgeOut) -> str:
    """Return what was asked of a forge in the last minute, and what it says is left."""
    spending = forge.spending
    if spending is None:
        return ""
    asked = f"{counted(spending.last_minute, 'request')} in the last minute"
    if spending.remaining is None:
        return f"{asked}; it tells no limit."
    left = f"{asked}; {spending.remaining:,} left"
    if spending.reset_seconds is None:
        return f"{left}."
    return f"{left} until its limit is reset in {two_units(spending.reset_seconds)}."
