"""The organisation in the settings: its name and, for admins of the first one, the others."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from app.api.schemas import OrganisationOut
from app.pages.components.buttons import button
from app.pages.components.countdown import day_html
from app.pages.components.fields import text_field
from app.pages.components.markup import clean, plain_html
from app.pages.components.testids import testid
from app.pages.people.limits import RoleLimits
from app.pages.people.proof import Desk
from app.pages.shell.page_session import PageSession

APART = (
    "People of an organisation see nothing of another one. After adding one, invite its first "
    "admin under People."
)


class OrganisationPanel:
    """The name of one's organisation, and the list of all for those who may add one."""

    def __init__(self, session: PageSession, seen: list[OrganisationOut]) -> None:
        self._session = session
        self._desk = Desk(session)
        self._adds = session.may("add_organisation")
        own = session.system.organisation_id
        name = next((one.name for one in seen if one.id == own), session.system.organisation)
        with ui.element("div").classes("form part"):
            self._name = text_field("Name", name, mark="organisation-name")
            self._name.control.on("keydown.enter", self._rename)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                kind = "" if self._adds else "pri"
                button("Rename", self._rename, kind=kind, mark="organisation-rename")
        mine = next((one for one in seen if one.id == own), None)
        if mine is not None and session.may("change_organisation"):
            RoleLimits(session, mine, self._desk)
        if self._adds:
            self._draw_others()
            self._show(seen)
        self._look = session.looker(session.api.organisations, self._show)
        session.on_return(self._look)

    def _draw_others(self) -> None:
        ui.html("Organisations", sanitize=clean, tag="h2").classes("above")
        ui.html(APART, sanitize=clean, tag="p").classes("sub said")
        self._list = testid(ui.element("div").classes("list part"), "organisations-list")
        with ui.element("div").classes("form"):
            self._new = text_field("Add an organisation", mark="organisation-new")
            self._new.control.on("keydown.enter", self._add)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Add", self._add, kind="pri", mark="organisation-add")

    def _show(self, seen: list[OrganisationOut]) -> None:
        if not self._adds:
            return
        own = self._session.system.organisation_id
        self._list.clear()
        with self._list:
            for one in seen:
                yours = ' <span class="sub">(yours)</span>' if one.id == own else ""
                html = f"<b>{plain_html(one.name)}</b>{yours}"
                with testid(ui.element("div").classes("item"), "organisation-row", id=one.id):
                    ui.html(html, sanitize=clean).classes("grow")
                    since = f"since {day_html(one.created_at)}"
                    ui.html(since, sanitize=clean).classes("sub")

    async def _rename(self) -> None:
        own, name = self._session.system.organisation_id, str(self._name.control.value or "")
        rename = partial(self._session.api.change_organisation, own, name=name)
        done, _ = await self._desk.ask(rename, {"name": self._name})
        if done:
            self._session.notify("The organisation was renamed.")
            await self._look()

    async def _add(self) -> None:
        name = str(self._new.control.value or "")
        add = partial(self._session.api.add_organisation, name)
        done, _ = await self._desk.ask(add, {"name": self._new})
        if done:
            self._new.show("")
            await self._look()
