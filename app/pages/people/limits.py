"""Limits in the settings: of a person in a dialog, and of roles in a form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from app.api.schemas import OrganisationOut
from app.domain.people.roles import Role
from app.pages.components.buttons import button
from app.pages.components.fields import Field, text_field
from app.pages.components.markup import clean, plain, plain_html
from app.pages.components.testids import testid
from app.pages.people.proof import Desk
from app.pages.shell.page_session import PageSession
from app.state.people.people_board import ROLES, PersonRow, read_limit

OF_PERSON = "Empty for the limit of the role, or else of the server. 0 allows none."
OF_AGENTS = "The only ones that this person may start, such as claude, codex. Empty for any."
OF_ROLES = (
    "How many runs and batch items each person with a role may start in the window of the quota. "
    "Empty for the server's limit; 0 allows none. A person's own limit, under People, comes before "
    "the role's. Role means the one in the organisation, also where a project gives a higher one."
)


class LimitsDialog:
    """The limits of one person after the other; `saved` redraws what shows them."""

    def __init__(self, session: PageSession, saved: Callable[[], Awaitable[None]]) -> None:
        self._session = session
        self._saved = saved
        self._row: PersonRow | None = None
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "limits-dialog")
            self._dialog.props('aria-label="Limits"')
            self._title = ui.html("", sanitize=clean, tag="h2").classes("above")
            self._desk = Desk(session)
            runs = text_field("Runs in the quota's window", hint=OF_PERSON, mark="person-run-quota")
            items = text_field("Batch items", hint=OF_PERSON, mark="person-batch-quota")
            self._numbers = {"run_quota": runs, "batch_quota": items}
            self._agents = text_field("Agents", hint=OF_AGENTS, mark="person-agents")
            self._fields = {**self._numbers, "agents": self._agents}
            for field in self._numbers.values():
                field.control.props("inputmode=numeric")
            for field in self._fields.values():
                field.control.on("keydown.enter", self._save)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close, kind="bare")
                button("Save", self._save, kind="pri", mark="person-limits-save")

    def open(self, row: PersonRow) -> None:
        """Show the limits of a person."""
        self._row = row
        self._desk.clear()
        self._title.set_content(f"Limits of {plain_html(row.name)}")
        for name, limit in (("run_quota", row.run_quota), ("batch_quota", row.batch_quota)):
            self._fields[name].clear()
            self._fields[name].show("" if limit is None else str(limit))
        self._agents.clear()
        self._agents.show(", ".join(row.agents))
        self._dialog.open()

    async def _save(self) -> None:
        row, limits = self._row, read_fields(self._numbers)
        if row is None or limits is None:
            return
        agents = str(self._agents.control.value or "").replace(",", " ").split()
        change = partial(self._session.api.change_person, row.id, **limits, agents=agents)
        done, _ = await self._desk.ask(change, self._fields)
        if done:
            self._dialog.close()
            self._session.notify(f"The limits of {plain(row.name)} are saved.")
            await self._saved()


class RoleLimits:
    """The limits of each role, for the organisation of the signed-in admin."""

    def __init__(self, session: PageSession, place: OrganisationOut, desk: Desk) -> None:
        self._session = session
        self._place = place
        self._desk = desk
        ui.html("Limits of roles", sanitize=clean, tag="h2").classes("above")
        ui.html(OF_ROLES, sanitize=clean, tag="p").classes("sub said")
        self._fields: dict[str, dict[str, Field]] = {"run_quotas": {}, "batch_quotas": {}}
        with testid(ui.element("div").classes("form part"), "role-limits"):
            for role in Role:
                with ui.element("div").classes("pair"):
                    self._draw("run_quotas", f"{ROLES[role]}s: runs", role, mark=f"limit-{role}")
                    items = f"{ROLES[role]}s: batch items"
                    self._draw("batch_quotas", items, role, mark=f"batch-limit-{role}")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Save limits", self._save, mark="role-limits-save")

    def _draw(self, column: str, label: str, role: Role, *, mark: str) -> None:
        limit = getattr(self._place, column).get(role)
        value = "" if limit is None else str(limit)
        field = text_field(label, value, placeholder="server's limit", mark=mark)
        field.control.props("inputmode=numeric")
        field.control.on("keydown.enter", self._save)
        self._fields[column][role.value] = field

    async def _save(self) -> None:
        limits: dict[str, dict[str, int | None]] = {}
        for column, fields in self._fields.items():
            if (typed := read_fields(fields)) is None:
                return
            limits[column] = typed
        change = partial(self._session.api.change_organisation, self._place.id, **limits)
        done, _ = await self._desk.ask(change)
        if done:
            self._session.notify("The limits of roles are saved.")


def read_fields(fields: dict[str, Field]) -> dict[str, int | None] | None:
    """Return the limits that were typed, or None after refusing what is no limit."""
    limits: dict[str, int | None] = {}
    for name, field in fields.items():
        try:
            limits[name] = read_limit(str(field.control.value or ""))
        except ValueError as problem:
            field.refuse(str(problem))
            field.go_to()
            return None
    return limits
