"""Notification settings: receivers shown without secrets, and a test message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nicegui import ui
from nicegui.testing.user import User

from tests.fakes.receivers import SECRET, LocalReceiver, local_receiver
from tests.pages.conftest import html_of, until


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalReceiver]:
    """A working receiver; the server is also configured with an invalid one."""
    with local_receiver() as there:
        named = f"{there.address} nonsense://{SECRET}"
        monkeypatch.setenv("RUNYARD_NOTIFY_URLS", named)
        monkeypatch.setenv("RUNYARD_QUIET_HOURS", "22:00-07:00")
        monkeypatch.setenv("RUNYARD_NOTIFY_ZONE", "Europe/Berlin")
        yield there


async def test_receivers_are_shown_without_secrets_and_tried(
    receiver: LocalReceiver, user: User
) -> None:
    await user.open("/settings?tab=notifications")
    shown = html_of(user)
    assert f"json://127.0.0.1:{receiver.port}/…" in shown
    assert "not usable" in shown
    assert "quiet 22:00-07:00 · a digest at 07:00 · Europe/Berlin" in shown
    user.find("Send a test message").click()
    await until(lambda: "Test message</h2>" in html_of(user))
    assert [one["title"] for one in receiver.taken] == ["Runyard: a test"]
    assert SECRET not in html_of(user)


async def test_where_nobody_is_told_the_page_says_how_to_change_that(user: User) -> None:
    await user.open("/settings?tab=notifications")
    (said,) = user.find(marker="receivers").elements
    assert isinstance(said, ui.html)
    assert "<p>Notifications are off. To turn them on, set" in said.content
    assert "RUNYARD_NOTIFY_URLS" in said.content
