"""People in the settings: the list with roles and sessions, and the form that invites."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from nicegui import ui

from app.api.schemas import InvitationOut, OrganisationOut, PersonOut
from app.domain.people.roles import OWN_ROLE, Role
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.chips import copy_chip_html, pill_html
from app.pages.components.countdown import day_html
from app.pages.components.fields import Field, choice_field, text_field
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.people.limits import LimitsDialog
from app.pages.people.proof import Desk
from app.pages.shell.page_session import PageSession
from app.state.people.people_board import ROLES, PersonRow, rows_of

ABOUT = (
    "<b>Viewers</b> read. <b>Users</b> also start, stop and retry runs. <b>Operators</b> also "
    "merge, switch the loop and edit projects. <b>Admins</b> also decide about people, commands "
    "and sandboxes."
)
TONES = {"Disabled": "idle", "Invited": "wait", "This machine": "idle"}


class PeoplePanel:
    """The people of the organisation, and the form for another one."""

    def __init__(
        self, session: PageSession, people: list[PersonOut], places: list[OrganisationOut]
    ) -> None:
        self._session = session
        ui.html(ABOUT, sanitize=clean, tag="p").classes("sub said")
        self._desk = Desk(session)
        with testid(ui.element("div"), "invitation") as self._made:
            self._link = ui.html("", sanitize=clean)
        self._limits = LimitsDialog(session, lambda: self._look())
        self._list = testid(ui.element("div").classes("list part people"), "people-list")
        self._fields: dict[str, Field] = {}
        if session.may("add_person"):
            self._draw_form({one.id: plain(one.name) for one in places})
        self._show(people)
        self._look = session.looker(session.api.people, self._show)
        session.on_return(self._look)

    def _draw_form(self, places: dict[str, str]) -> None:
        ui.html("Invite a person", sanitize=clean, tag="h2").classes("above")
        with ui.element("div").classes("form"):
            self._fields["email"] = text_field(
                "E-mail address", placeholder="anna@example.com", mark="invite-email"
            )
            self._fields["email"].control.props("type=email inputmode=email")
            self._fields["name"] = text_field(
                "Name", hint="People can change theirs.", mark="invite-name"
            )
            roles = {role.value: words for role, words in ROLES.items()}
            self._fields["role"] = choice_field("Role", roles, Role.USER.value, mark="invite-role")
            if len(places) > 1:
                self._fields["organisation"] = choice_field(
                    "Organisation",
                    places,
                    self._session.system.organisation_id,
                    mark="invite-organisation",
                )
            for name in ("email", "name"):
                self._fields[name].control.on("keydown.enter", self._invite)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                self._button = button("Invite", self._invite, kind="pri", mark="person-invite")

    def _show(self, people: list[PersonOut]) -> None:
        self._list.clear()
        with self._list:
            for row in rows_of(people, self._session.system.person_id):
                self._draw(row)

    def _draw(self, row: PersonRow) -> None:
        with testid(ui.element("div").classes("item"), "person-row", id=row.id):
            ui.html(person_html(row), sanitize=clean).classes("grow")
            if row.is_me:
                ui.html(f"{ROLES[row.role]} · {OWN_ROLE}", sanitize=clean).classes("sub")
                if self._session.may("change_person"):
                    self._draw_limits(row)
                return
            if not self._session.may("change_person"):
                ui.html(ROLES[row.role], sanitize=clean).classes("sub")
                return
            self._draw_role(row)
            with ui.element("div").classes("line acts"):
                self._draw_acts(row)

    def _draw_role(self, row: PersonRow) -> None:
        names = {role.value: words for role, words in ROLES.items()}
        chosen = ui.select(names, value=row.role.value)
        chosen.props("outlined dense options-dense hide-bottom-space dropdown-icon=expand_more")
        chosen.props["aria-label"] = f"Role of {plain(row.name)}"
        testid(chosen.classes("in role"), "person-role")
        chosen.on_value_change(partial(self._set_role, row))

    def _draw_limits(self, row: PersonRow) -> None:
        limits = button(
            "Limits", partial(self._limits.open, row), kind="small", mark="person-limits"
        )
        limits.props["aria-label"] = f"Limits of {plain(row.name)}"

    def _draw_acts(self, row: PersonRow) -> None:
        self._draw_limits(row)
        if row.is_invitable:
            button("New link", partial(self._new_link, row), kind="small", mark="person-new-link")
        ConfirmButton(
            "End sessions",
            "End all sessions?",
            partial(self._end_sessions, row),
            kind="small",
            mark="person-end-sessions",
        )
        if row.is_disabled:
            enable = partial(self._set_disabled, row, is_disabled=False)
            button("Enable", enable, kind="small", mark="person-enable")
            return
        ConfirmButton(
            "Disable",
            f"Disable {plain(row.name)}?",
            partial(self._set_disabled, row, is_disabled=True),
            kind="small danger",
            mark="person-disable",
        )

    async def _invite(self) -> None:
        if not self._button.enabled:
            return
        typed = {name: str(field.control.value or "") for name, field in self._fields.items()}
        email = typed.pop("email")
        self._button.disable()
        done, invited = await self._desk.ask(
            partial(self._session.api.invite, email, **typed), self._fields
        )
        self._button.enable()
        if not done or invited is None:
            return
        for name in ("email", "name"):
            self._fields[name].show("")
        self._show_link(invited.name, invited.invitation)
        await self._look()

    async def _new_link(self, row: PersonRow) -> None:
        done, link = await self._desk.ask(partial(self._session.api.invite_again, row.id))
        if done and link is not None:
            self._show_link(row.name, link)

    def _show_link(self, name: str, link: InvitationOut) -> None:
        self._link.set_content(link_html(name, link.url, link.expires_at))
        self._made.run_method("scrollIntoView", {"block": "center"})
        self._session.announce(f"The link for {plain(name)} is shown above the list.")

    async def _set_role(self, row: PersonRow, event: Any) -> None:
        role = str(event.value)
        api = self._session.api
        done, _ = await self._desk.ask(partial(api.change_person, row.id, role=role))
        if done:
            words = f"{plain(row.name)} is now {ROLES[Role(role)].lower()}."
            self._session.notify(words)
        await self._look()

    async def _set_disabled(self, row: PersonRow, *, is_disabled: bool) -> None:
        api = self._session.api
        await self._desk.ask(partial(api.change_person, row.id, disabled=is_disabled))
        await self._look()

    async def _end_sessions(self, row: PersonRow) -> None:
        done, _ = await self._desk.ask(partial(self._session.api.end_sessions, row.id))
        if done:
            self._session.notify(f"The sessions of {plain(row.name)} ended.")


def person_html(row: PersonRow) -> str:
    """Return a person's name, state and address."""
    you = ' <span class="sub">(you)</span>' if row.is_me else ""
    pill = pill_html(row.state, TONES[row.state]) if row.state else ""
    facts = [plain_html(row.email)] if row.email and row.email != row.name else []
    limits = ((row.run_quota, "run"), (row.batch_quota, "batch item"))
    facts += [
        f"at most {counted(limit, thing)}" if limit else f"no {thing}s"
        for limit, thing in limits
        if limit is not None
    ]
    if row.agents:
        facts.append(f"only {plain_html(', '.join(row.agents))}")
    told = f'<span class="sub">{" · ".join(facts)}</span>' if facts else ""
    return f'<div class="line"><b class="name">{plain_html(row.name)}</b>{you}{pill}</div>{told}'


def link_html(name: str, url: str, expires_at: datetime) -> str:
    """Return a one-time link with the button that copies it, and when it ends."""
    chip = copy_chip_html("Copy link", url, testid="invite-copy", about="the link")
    return (
        f'<div class="card part"><p>Send this link to <b>{plain_html(name)}</b>. It sets their '
        f"password once, until {day_html(expires_at)}, and is not shown again.</p>"
        f'<div class="line"><code data-testid="invite-link">{text(url)}</code>{chip}</div></div>'
    )
