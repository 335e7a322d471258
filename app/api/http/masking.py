"""Masking of secrets in responses: none that an agent wrote leaves this server."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.secret_masks import MaskStream, SecretMask

# paths with data of runs; texts that a person edits would come back with the mask in them
_TOLD = re.compile(
    r"/(?:runs|parked|batches|bulk|events|audit|quarantine|projects/[^/]+/changes)(?:/|\Z)"
)
# the parts of a zip file are masked before they are packed
_PACKED = b"application/zip"


class Masking:
    """Middleware around the API; keeps response lengths and never holds back an event."""

    def __init__(self, app: ASGIApp, mask: Callable[[], SecretMask]) -> None:
        self._app = app
        self._mask = mask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Mask the body of a response that contains data of runs."""
        is_told = scope["type"] == "http" and _TOLD.search(scope["path"])
        mask = self._mask() if is_told else None
        if not mask:
            await self._app(scope, receive, send)
            return
        stream, is_packed = MaskStream(mask), False

        async def answer(message: Message) -> None:
            nonlocal is_packed
            if message["type"] == "http.response.start":
                is_packed = (b"content-type", _PACKED) in message["headers"]
            elif message["type"] == "http.response.body" and not is_packed:
                body = stream.take(message.get("body", b""))
                if not message.get("more_body"):
                    body += stream.rest()
                message = {**message, "body": body}
            await send(message)

        await self._app(scope, receive, answer)
