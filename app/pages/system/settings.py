"""Settings (`/settings`): doctor's findings on the server's machine, limits, people and tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import CopiesOut, DoctorOut, Finding, LeavingOut, RetentionOut, SettingOut
from app.domain.formatting import size_words
from app.domain.ids import shorten
from app.domain.sandbox.levels import UNSANDBOXED
from app.pages.components.buttons import button, link_button
from app.pages.components.chips import pill_html
from app.pages.components.countdown import ago_html, at_html
from app.pages.components.markup import clean, counted, text
from app.pages.components.paging import Tabs, chosen_tab
from app.pages.components.testids import testid
from app.pages.people.organisation import OrganisationPanel
from app.pages.people.people import PeoplePanel
from app.pages.people.tokens import TokensPanel, tokens_for
from app.pages.shell.frame import Page, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.system.devices import DevicesPanel
from app.pages.system.forges import ForgesPanel
from app.pages.system.health import HealthPanel, StuckList
from app.pages.system.notifications import NotificationsPanel
from app.pages.system.sign_out import draw_sign_out
from app.pages.system.subscriptions import SubscriptionsPanel
from app.state.page.connection import Connection
from app.state.system.boards import AgentSeen, DoctorBoard

# the tabs, each with the deed that a person needs for it
TABS = {
    "Doctor": "read_doctor",
    "Forges": "add_forge",
    "Limits": "read_doctor",
    "Notifications": "read",
    "People": "read_people",
    "Tokens": "add_token",
    "Organisation": "change_organisation",
    "Sign-in": "sign_out",
}
HEAD = '<link rel="stylesheet" href="/assets/settings.css">'
LOOKING = '<div class="card none" role="status">Checking this machine…</div>'
WHY = {"age": "too old", "size": "over the size limit"}
MARKS = {"ok": "fine", "look": "needs attention", "unknown": "unknown", "none": "absent"}


def register(connection: Connection) -> None:
    """Define `/settings`."""

    @page_at("/settings")
    async def settings_page(tab: str = "") -> None:
        session = await PageSession.open(connection)
        tabs = [name for name, deed in TABS.items() if session.may(deed)]
        chosen = chosen_tab(tabs, tab)
        ui.add_head_html(HEAD)
        with frame(session, title="Settings", active="settings") as page:
            with page.actions:
                if session.may("read_audit"):
                    link_button("Audit", "/audit", kind="bare", mark="to-audit")
                link_button("Quota", "/quota", kind="bare", mark="to-quota")
            Tabs(tabs, chosen, about="Settings")
            draw = PANELS.get(chosen)
            await (draw(session) if draw else _draw(session, page, chosen))


async def _draw(session: PageSession, page: Page, chosen: str) -> None:
    api = session.api
    if chosen == "Doctor":
        HealthPanel(session)
        StuckList(session, await api.stuck())
        # show the last findings at once; the page asks for a new check if they are stale
        DoctorScreen(session, page, await api.doctor("no"))
    elif chosen == "Notifications":
        NotificationsPanel(session, page, await api.notifications())
        if session.system.installable:
            DevicesPanel(session, await api.push_key(), await api.devices())
        SubscriptionsPanel(session, await api.subscriptions())
    elif chosen == "Forges":
        ForgesPanel(session, await api.forges())
    elif chosen == "Sign-in":
        draw_sign_out()
    else:
        kept = retention_html(await api.retention(), session)
        testid(ui.html(kept, sanitize=clean), "retention")
        settings = (await api.doctor("no")).settings
        ui.html(limits_html(settings), sanitize=clean).classes("wrap")


async def _draw_people(session: PageSession) -> None:
    places = await session.api.organisations() if session.may("add_organisation") else []
    PeoplePanel(session, await session.api.people(), places)


async def _draw_tokens(session: PageSession) -> None:
    everybody = session.may("read_people")
    TokensPanel(session, await tokens_for(session.api, everybody=everybody))


async def _draw_organisation(session: PageSession) -> None:
    OrganisationPanel(session, await session.api.organisations())


PANELS = {
    "People": _draw_people,
    "Tokens": _draw_tokens,
    "Organisation": _draw_organisation,
}


class DoctorScreen:
    """Doctor's findings, redrawn after each new check."""

    def __init__(self, session: PageSession, page: Page, seen: DoctorOut) -> None:
        self._session = session
        with page.actions:
            self._again = button("Re-check", self._examine_again, mark="look-again")
        self._told = ui.html("", sanitize=clean).classes("under sub")
        self._found = testid(ui.html(LOOKING, sanitize=clean), "doctor")
        self._follow = session.looker(lambda: session.api.doctor("no"), self._show)
        self._show(seen)
        session.on("doctor.changed", lambda _: self._follow())
        session.on_arrival(session.looker(lambda: session.api.doctor("stale"), self._show))
        session.on_return(self._follow)

    def _show(self, seen: DoctorOut) -> None:
        if seen.looked_at is None:
            return
        board = DoctorBoard.of(seen.items)
        count = board.to_fix
        words = f"{counted(count, 'finding')} to fix" if count else "All good"
        looked = ago_html(seen.looked_at, self._session.now())
        self._told.set_content(f"{words} · checked {looked}")
        self._found.set_content(board_html(board))

    async def _examine_again(self) -> None:
        self._set_busy(True)
        try:
            self._show(await self._session.api.doctor("anew"))
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        finally:
            self._set_busy(False)

    def _set_busy(self, is_busy: bool) -> None:
        self._again.set_text("Checking…" if is_busy else "Re-check")
        self._again.set_enabled(not is_busy)


def board_html(board: DoctorBoard) -> str:
    """Return agents as cards, agents not installed as a list, then machine and server."""
    cards = "".join(_agent_html(agent) for agent in board.agents)
    none = '<div class="card none">No agent that Runyard knows was found on this machine.</div>'
    agents = (
        f'<div class="cards agents">{cards}</div>' if cards else f'<div class="part">{none}</div>'
    )
    parts = "".join(
        f'<h2 class="above">{text(name)}</h2><div class="card part">{_found_html(found, "broad")}'
        "</div>"
        for name, found in board.parts
    )
    return f'<h2 class="above">Agents found</h2>{agents}{_absent_html(board.absent)}{parts}'


def _agent_html(agent: AgentSeen) -> str:
    return (
        f'<div class="card" data-agent="{text(agent.name)}"><div class="line">'
        f'<b class="name">{text(agent.name)}</b>{pill_html(agent.words, agent.tone)}</div>'
        f"{_found_html(agent.findings)}</div>"
    )


def _absent_html(absent: Sequence[Finding]) -> str:
    rows = "".join(
        f'<div class="item" data-agent="{text(one.about)}"><b>{text(one.about)}</b>'
        f'<span class="m">{text(one.advice)}</span></div>'
        for one in absent
    )
    if not rows:
        return ""
    return f'<h2 class="above">Not installed</h2><div class="list absent part">{rows}</div>'


def _found_html(findings: Sequence[Finding], kind: str = "") -> str:
    rows = "".join(
        f'<li data-level="{text(one.level)}"><b>{text(one.check)}</b><span class="what">'
        f'<span class="sr">{MARKS[one.level]}: </span>{_found_words(one.found)}</span>'
        + (f'<span class="advice">{_advice_html(one.advice)}</span>' if one.advice else "")
        + "</li>"
        for one in findings
    )
    return f'<ul class="found {kind}">{rows}</ul>'


def _found_words(found: str) -> str:
    is_bare = found.startswith(UNSANDBOXED)
    return f'<span class="alarm">{text(found)}</span>' if is_bare else text(found)


def _advice_html(advice: str) -> str:
    # commands in the advice are quoted with backticks
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(advice))


def _words(value: str) -> str:
    return "not set" if value in ("", "None") else value


def retention_html(kept: RetentionOut, session: PageSession) -> str:
    """Return the logs and working copies kept, and a table of those due for removal."""
    going = [("log", one) for one in kept.leaving]
    going += [("copy", one) for one in kept.copies.leaving]
    rows = "".join(
        f'<tr><td><a class="m" href="/runs/{text(one.run_id)}">{text(shorten(one.run_id))}</a></td>'
        f"<td>{what}</td><td>ended {ago_html(one.ended_at, session.now())}</td>"
        f"<td>{size_words(one.bytes)}</td><td>{_when([one], session)}</td>"
        f'<td class="sub">{WHY[one.because]}</td></tr>'
        for what, one in going
    )
    table = f'<div class="wrap"><table class="t fold"><tbody>{rows}</tbody></table></div>'
    work = "Run records and unmerged work are always kept."
    return (
        f'<h2 class="above">Retention</h2><p class="sub">{_logs_html(kept, session)}</p>'
        f'<p class="sub">{_copies_html(kept.copies, session)} {work}</p>{table if rows else ""}'
        '<h2 class="above">Values in use</h2>'
    )


def _when(leaving: list[LeavingOut], session: PageSession) -> str:
    """Return when the first of them may be removed."""
    first = min(one.goes_at for one in leaving)
    return f"from {at_html(first)}" if first > session.now() else "at the next cleanup"


def _copies_html(copies: CopiesOut, session: PageSession) -> str:
    said = f"Working copies: {_copies(copies.kept)}, {size_words(copies.bytes)}."
    if copies.unmeasured:
        said += f" {copies.unmeasured} of them not measured yet."
    if copies.leaving_copies:
        size = size_words(copies.leaving_bytes)
        when = _when(copies.leaving, session)
        said += f" To be deleted {when}: {_copies(copies.leaving_copies)}, {size}."
    if copies.staying:
        size = size_words(copies.staying_bytes)
        stays = "stays" if copies.staying == 1 else "stay"
        said += f' <a href="/parked">{_copies(copies.staying)} with work</a>, {size}, {stays}.'
    return said


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"


def _logs_html(kept: RetentionOut, session: PageSession) -> str:
    said = f"Kept: {counted(kept.kept_runs, 'log')}, {size_words(kept.kept_bytes)}."
    if kept.leaving_runs:
        size = size_words(kept.leaving_bytes)
        when = _when(kept.leaving, session)
        said += f" To be deleted {when}: {counted(kept.leaving_runs, 'log')}, {size}."
    elif kept.next_at is not None:
        said += f" The oldest is deleted on {kept.next_at:%d %B %Y}."
    else:
        said += " Nothing to delete."
    return said


def limits_html(settings: list[SettingOut]) -> str:
    """Return a table of every setting with its value and origin."""
    rows = "".join(
        f'<tr><td class="m">{text(s.name)}</td><td class="m wide">{text(_words(s.value))}</td>'
        f'<td class="sub">{text(s.origin)}</td></tr>'
        for s in settings
    )
    head = "<th>Setting</th><th>Value</th><th>Comes from</th>"
    return f'<table class="t fold"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
