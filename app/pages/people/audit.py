"""The audit (`/audit`): who did what, when and how, with filters, pages and an export."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from app.api.client.client import ApiProblem
from app.api.schemas import PersonOut
from app.api.schemas.system import AuditRow
from app.domain.formatting import iso
from app.pages.components.buttons import button
from app.pages.components.countdown import day_html
from app.pages.components.fields import Field, choice_field, text_field
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.paging import pages_html
from app.pages.components.testids import testid
from app.pages.shell.frame import frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection
from app.state.people.audit_view import AuditAsked, deed_choices, page_of

HEAD = '<link rel="stylesheet" href="/assets/settings.css">'
ROWS = 50
NONE = '<div class="card none"><p>Nothing was done yet.</p></div>'
NO_MATCH = (
    '<div class="card none"><p>Nothing matches these filters.</p>'
    '<p><a class="btn" href="/audit">Show everything</a></p></div>'
)
EVERYBODY = "Everybody"


def register(connection: Connection) -> None:
    """Define `/audit`."""

    @page_at("/audit")
    async def audit_page(
        person: str = "", deed: str = "", object: str = "", since: str = "", cursor: str = ""
    ) -> None:
        session = await PageSession.open(connection)
        asked = AuditAsked(person, deed, object, since)
        try:
            seen = await session.api.audit(ROWS, **asked.filters(), cursor=cursor)
        except ApiProblem as problem:
            refused(session, problem, active="settings")
            return
        people = await session.api.people() if session.may("read_people") else []
        ui.add_head_html(HEAD)
        with frame(session, title="Audit", active="settings") as page:
            with page.actions:
                href = f"/api/v1/audit/export?{urlencode(asked.filters())}"
                link = f'<a class="btn" href="{text(href)}" download="audit.ndjson" '
                link += 'data-testid="audit-export">Export</a>'
                ui.html(link, sanitize=clean, tag="span")
            FilterForm(session, asked, people)
            if not seen.items:
                ui.html(NO_MATCH if asked.filters() else NONE, sanitize=clean)
                return
            testid(ui.html(rows_html(seen.items), sanitize=clean).classes("wrap"), "audit-list")
            more = f"/audit?{urlencode({**asked.filters(), 'cursor': seen.next_cursor or ''})}"
            links = [(f"/audit?{urlencode(asked.filters())}", "Newest")] if cursor else []
            links += [(more, "Older")] if seen.next_cursor else []
            ui.html(pages_html(links), sanitize=clean)


class FilterForm:
    """The filters of the page; a choice opens the page anew."""

    def __init__(self, session: PageSession, asked: AuditAsked, people: list[PersonOut]) -> None:
        self._session = session
        names = {one.id: plain(one.name) for one in people}
        if asked.person and asked.person not in names:
            names[asked.person] = plain(asked.person)
        deeds = deed_choices(asked.deed)
        self._fields: dict[str, Field] = {}
        with testid(ui.element("div").classes("filters part"), "audit-filters"):
            everybody = {"": EVERYBODY}
            person = choice_field("Who", everybody | names, asked.person, mark="audit-person")
            deed = choice_field("Action", deeds, asked.deed, mark="audit-deed")
            hint = "project, run or person"
            thing = text_field("Object", asked.object, placeholder=hint, mark="audit-object")
            since = text_field("Since", asked.since[:10], mark="audit-since")
            since.control.props("type=date")
            self._fields = {"person": person, "deed": deed, "object": thing, "since": since}
            for field in (person, deed, since):
                field.control.on_value_change(self._go)
            thing.control.on("keydown.enter", self._go)
            button("Filter", self._go, mark="audit-filter")

    def _go(self) -> None:
        typed = {name: str(field.control.value or "") for name, field in self._fields.items()}
        self._session.go(page_of(AuditAsked(**{n: v.strip() for n, v in typed.items()})))


def rows_html(rows: list[AuditRow]) -> str:
    """Return audit rows as a table."""
    head = "".join(
        f'<th scope="col">{words}</th>'
        for words in ("When", "Who", "Role", "By", "Action", "Object", "Details")
    )
    body = "".join(map(_row_html, rows))
    return (
        f'<table class="t fold audit"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _row_html(row: AuditRow) -> str:
    who, path = plain_html(row.who), None
    if row.person is not None:
        path = f"/audit?{urlencode({'person': row.person})}"
    elif row.run_id is not None:
        path = f"/runs/{row.run_id}"
    if path is not None:
        who = f'<a href="{text(path)}">{who}</a>'
    # an agent's token has no name but its run's
    by = f"{row.via} {row.token}" if row.token and row.run_id is None else row.via
    return (
        f'<tr data-testid="audit-row" data-id="{row.id}"><td class="tight">{day_html(row.at)}</td>'
        f'<td class="named">{who}</td><td class="sub">{text(row.role or "")}</td>'
        f'<td class="sub">{plain_html(by)}</td><td>{text(row.deed.replace("_", " "))}</td>'
        f'<td class="m wide">{object_html(row.object)}</td>'
        f'<td class="sub">{_details(row)}</td></tr>'
    )


def object_html(thing: str) -> str:
    """Return an object's id, linked to its page if it has one."""
    name, _, below = thing.partition("/")
    paths = {"run": f"/runs/{name}", "proj": f"/projects/{name}", "batch": f"/batches/{name}"}
    path = paths.get(name.partition("_")[0])
    if path is None:
        return plain_html(thing)
    if below.startswith(("changes/", "issues/")):
        path = f"/projects/{thing}"
    return f'<a href="{text(path)}">{plain_html(thing)}</a>'


def _details(row: AuditRow) -> str:
    facts = {"Before": row.before, "After": row.after, "Address": row.address}
    told = "".join(
        f"<dt>{name}</dt><dd>{plain_html(_words(value))}</dd>"
        for name, value in facts.items()
        if value
    )
    told += f"<dt>Correlation</dt><dd>{text(row.correlation_id)}</dd>"
    told += f"<dt>Exactly</dt><dd>{text(iso(row.at.astimezone(UTC)))}</dd>"
    return f'<details><summary>Details</summary><dl class="facts-list">{told}</dl></details>'


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
