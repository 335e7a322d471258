"""Notification receivers without their secrets, pending messages, and a test message."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import NotificationsOut, ReceiverOut, TriedOut
from app.pages.components.buttons import button
from app.pages.components.chips import pill_html
from app.pages.components.countdown import ago_html, until_html
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession

OFF = (
    '<div class="card none"><p>Notifications are off. To turn them on, set '
    "<code>RUNYARD_NOTIFY_URLS</code> to the addresses of receivers, separated by spaces, and "
    "restart Runyard.</p><p>For example <code>ntfy://ntfy.sh/my-topic</code>, "
    "<code>slack://…</code>, <code>mailto://…</code>, <code>json://…</code>.</p></div>"
)

# where people are notified on their devices
NO_ADDRESS = OFF.replace("Notifications are off. To turn them on", "To notify a chat, too")


class NotificationsPanel:
    """The receivers and the button for a test message."""

    def __init__(self, session: PageSession, page: Page, seen: NotificationsOut) -> None:
        self._session = session
        self._arranged = ui.html("", sanitize=clean).classes("sub above")
        self._table = testid(ui.html("", sanitize=clean).classes("part"), "receivers")
        self._tried = ui.html("", sanitize=clean).props("role=status aria-live=polite")
        self._show(seen)
        if seen.items and session.may("test_notifications"):
            with page.actions:
                self._test = button("Send a test message", self._send, mark="test-notifications")
        session.on_return(session.looker(session.api.notifications, self._show))

    def _show(self, seen: NotificationsOut) -> None:
        now = self._session.now()
        self._arranged.set_content(arranged_html(seen))
        self._arranged.set_visibility(bool(seen.items))
        off = NO_ADDRESS if self._session.system.installable else OFF
        self._table.set_content(receivers_html(seen.items, now) if seen.items else off)

    async def _send(self) -> None:
        self._set_busy(True)
        try:
            tried = await self._session.api.test_notifications()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._tried.set_content(tried_html(tried))
        finally:
            self._set_busy(False)

    def _set_busy(self, is_busy: bool) -> None:
        self._test.set_text("Sending…" if is_busy else "Send a test message")
        self._test.set_enabled(not is_busy)


def arranged_html(seen: NotificationsOut) -> str:
    """Return one line on quiet hours and the digest; empty without either."""
    parts: list[str] = []
    if seen.quiet_hours:
        parts.append(f"quiet {seen.quiet_hours}")
    if "digest" in seen.kinds and (seen.quiet_hours or seen.digest_at):
        at = seen.digest_at or seen.quiet_hours.partition("-")[2]
        parts.append(f"a digest at {at}")
    if seen.quiet_hours or seen.digest_at:
        parts.append(seen.zone)
    return text(f"Times: {' · '.join(parts)}") if parts else ""


def receivers_html(receivers: list[ReceiverOut], now: datetime) -> str:
    """Return the receivers as a table."""
    rows = "".join(
        f'<tr><td class="m wide">{text(one.receiver)}</td><td>{_state_html(one)}</td>'
        f'<td class="sub">{_waiting_html(one, now)}</td>'
        f'<td class="sub wide">{_last_html(one, now)}</td></tr>'
        for one in receivers
    )
    head = "<th>Receiver</th><th>State</th><th>Waiting</th><th>Last message</th>"
    table = f'<table class="t fold"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="wrap">{table}</div>'


def tried_html(tried: list[TriedOut]) -> str:
    """Return the result of a test message, one line per receiver."""
    rows = "".join(
        f'<div class="item">{_word_html(is_good=one.taken, good="delivered", bad="failed")}'
        f'<span class="m">{plain_html(one.receiver)}</span>'
        f"<span>{plain_html(one.because or '')}</span></div>"
        for one in tried
    )
    return f'<h2 class="above">Test message</h2><div class="list">{rows}</div>'


def _state_html(one: ReceiverOut) -> str:
    bad = "not usable" if one.problem else "failing"
    return _word_html(is_good=not (one.problem or one.last_because), good="ready", bad=bad)


def _word_html(*, is_good: bool, good: str, bad: str) -> str:
    return pill_html(good, "go") if is_good else pill_html(bad, "wait")


def _waiting_html(one: ReceiverOut, now: datetime) -> str:
    if not one.pending:
        return "none waiting"
    words = f"{text(counted(one.pending, 'message'))} waiting"
    if one.next_at is None or one.next_at <= now:
        return words
    return f"{words}, next in {until_html(one.next_at, now)}"


def _last_html(one: ReceiverOut, now: datetime) -> str:
    if one.problem:
        return text(one.problem)
    if one.last_at is None:
        return "no message yet"
    when = ago_html(one.last_at, now)
    if one.last_taken:
        return f"delivered {when}"
    if one.last_because:
        return f"failed {when}: {text(one.last_because)}"
    return f"sending since {when}"
