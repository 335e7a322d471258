"""Sends notifications with apprise: desktop, ntfy, Slack, mail, webhooks and many others."""

from __future__ import annotations

import logging
import re
import threading
from functools import cache
from types import ModuleType
from typing import Any

from app.domain.notifications import Message
from app.services.ports import NotTaken

SECONDS = 10.0
_STATUS = re.compile(r"error=(\d{3})\b")
_UNUSABLE = "apprise cannot use this address: check its scheme and parts."
_FORMING = threading.Lock()


class AppriseNotifier:
    """A notifier on apprise, which is imported on first use, not at startup."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds

    def problem(self, address: str) -> str | None:
        """Return the reason why an address cannot be used, or None."""
        return None if _service(address, self._seconds) is not None else _UNUSABLE

    def send(self, address: str, message: Message) -> None:
        """Send a message, waiting up to the timeout in seconds. Raises NotTaken."""
        service = _service(address, self._seconds)
        if service is None:
            raise NotTaken(_UNUSABLE)
        told: list[str] = []
        carrier = _apprise().Apprise(service, asset=service.asset)
        try:
            answer = carrier.notify(
                title=message.title,
                body=message.body,
                body_format="text",
                timeout=self._seconds,
                log_callback=lambda entry, _: told.append(str(entry.message)),
            )
        except Exception as problem:
            # an exception's text may contain the address: show only its type
            raise NotTaken(f"It failed: {type(problem).__name__}.") from None
        if not answer:
            is_late = answer.status is _apprise().AppriseResultStatus.TIMEOUT
            raise NotTaken(self._words(told, is_late=is_late))

    def _words(self, told: list[str], *, is_late: bool) -> str:
        # apprise's messages may name the receiver: pass on only known harmless parts
        if is_late:
            return f"It did not answer within {self._seconds:g} seconds."
        status = next((found[1] for line in told if (found := _STATUS.search(line))), None)
        if status is not None:
            return f"It answered {status}."
        if any("onnection error" in line for line in told):
            return "It could not be reached, or did not answer."
        return "It did not take the message."


@cache
def _apprise() -> ModuleType:
    import apprise

    # its log names addresses with their secrets
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    return apprise


def _service(address: str, seconds: float) -> Any:
    """Create apprise's service for an address; None if apprise cannot use it."""
    with _FORMING:
        apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="Runyard",
        app_desc="Runyard",
        app_url="",
        # nothing is loaded from elsewhere or stored on disk
        image_url_mask="",
        image_url_logo="",
        storage_mode="memory",
        interpret_emojis=False,
        async_mode=False,
        service_timeout=seconds,
    )
    return apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
