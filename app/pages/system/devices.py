"""The browsers on which a person is notified, and the button that adds this one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import DeviceOut, PushKeyOut
from app.pages.components.browser import detail_of
from app.pages.components.buttons import button
from app.pages.components.chips import pill_html
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, plain, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

ABOUT = "Messages that you chose below, on your phone or computer, also while no page is open."
# functions of assets/install.js
STATE = "return await window.runyardDevice?.state() ?? {}"
SUBSCRIBE = (
    "async (event) => emit(await window.runyardDevice?.subscribe("
    'event.target.closest("[data-key]").dataset.key) ?? {})'
)
UNSUBSCRIBE = "window.runyardDevice?.unsubscribe()"
PROBLEMS = {
    "unsupported": "This browser cannot show notifications. On an iPhone or iPad, add Runyard to "
    "the home screen first, and open it from there.",
    "denied": "This browser blocks notifications of this page: allow them in its settings.",
}
FAILED = "This browser could not subscribe at its push service: try it again."
HERE = "This device gets your notifications."
STATE_SECONDS = 10.0


class DevicesPanel:
    """The devices of the person, and the state of this browser once it has told it."""

    def __init__(self, session: PageSession, key: PushKeyOut, seen: list[DeviceOut]) -> None:
        self._session = session
        self._seen = seen
        self._endpoint = ""
        ui.html("Your devices", sanitize=clean, tag="h2").classes("above")
        ui.html(ABOUT, sanitize=clean, tag="p").classes("sub")
        with ui.element("div").classes("line part this-device"):
            self._notify = button("Notify me on this device", None, mark="notify-device")
            self._notify.props["data-key"] = key.key
            self._notify.on("click", self._take, js_handler=SUBSCRIBE)
            self._said = testid(ui.html("", sanitize=clean, tag="span"), "device-state")
            self._said.classes("sub").props("role=status aria-live=polite")
        self._list = testid(ui.element("div").classes("list part"), "devices")
        self._show(seen)
        self._look = session.looker(session.api.devices, self._show)
        session.on("devices.changed", self._follow)
        session.on_return(self._look)
        session.on_arrival(self._look_at_browser)

    async def _follow(self, changed: Mapping[str, Any]) -> None:
        if changed["person_id"] == self._session.system.person_id:
            await self._look()

    async def _look_at_browser(self) -> None:
        state: dict[str, Any] = {}
        # one that is busy or gone tells nothing: the button stays
        with suppress(TimeoutError):
            state = detail_of(await self._ask_browser())
        self._note(state)

    async def _ask_browser(self) -> object:
        client: Any = self._session.client
        return await client.run_javascript(STATE, timeout=STATE_SECONDS)

    def _note(self, state: Mapping[str, Any]) -> None:
        """Keep what the browser said of itself."""
        problem = str(state.get("problem") or "")
        self._endpoint = str(state.get("endpoint") or "")
        if problem:
            self._said.set_content(text(PROBLEMS.get(problem, FAILED)))
            self._notify.set_visibility(problem not in PROBLEMS)
        else:
            self._show(self._seen)

    async def _take(self, event: Any) -> None:
        told = detail_of(event.args)
        subscription = detail_of(told.get("subscription"))
        if not subscription:
            self._note({"problem": told.get("problem") or "failed"})
            return
        try:
            added = await self._session.api.add_device(subscription)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        self._endpoint = added.endpoint
        await self._look()

    def _show(self, seen: list[DeviceOut]) -> None:
        self._seen = seen
        is_here = any(one.endpoint == self._endpoint for one in seen)
        self._notify.set_visibility(not is_here)
        self._said.set_content(text(HERE) if is_here else "")
        self._list.set_visibility(bool(seen))
        self._list.clear()
        with self._list:
            for one in seen:
                self._draw_row(one)

    def _draw_row(self, device: DeviceOut) -> None:
        is_here = device.endpoint == self._endpoint
        with testid(ui.element("div").classes("item device"), "device-row", device=device.id):
            ui.html(device_html(device, self._session, is_here=is_here), sanitize=clean)
            ui.element("span").classes("sp")
            name = plain(device.name)
            for words, act, mark in (
                ("Send a test", self._test, "test-device"),
                ("Remove", self._remove, "remove-device"),
            ):
                made = button(words, partial(act, device), kind="small", mark=mark)
                made.props["aria-label"] = f"{words}: {name}"

    async def _test(self, device: DeviceOut) -> None:
        try:
            tried = await self._session.api.test_device(device.id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            because = tried.because or "The message is on its way."
            self._session.notify(f"{tried.receiver}: {because}")
        await self._look()

    async def _remove(self, device: DeviceOut) -> None:
        try:
            await self._session.api.remove_device(device.id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            if device.endpoint == self._endpoint:
                self._endpoint = ""
                self._session.client.run_javascript(UNSUBSCRIBE)
        await self._look()


def device_html(device: DeviceOut, session: PageSession, *, is_here: bool) -> str:
    """Return a device's name, since when it is one, and why its last message failed."""
    now = session.now()
    here = pill_html("this device", "acc") if is_here else ""
    since = f'<span class="sub">added {ago_html(device.created_at, now)}</span>'
    failed = ""
    if device.failed_at is not None:
        because = f"failed {ago_html(device.failed_at, now)}: {text(device.because or '')}"
        failed = f'<span class="wait">{because}</span>'
    return f'<span class="line"><b>{text(device.name)}</b>{here}{since}{failed}</span>'
