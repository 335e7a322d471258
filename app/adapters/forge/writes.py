"""Writes whose answer may be lost: what has become of one is found out by reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.adapters.forge.client import Answer, ForgeClient
from app.services.ports import ForgeSilent

# stands for an answer that never came, as one with status 500 does
LOST = Answer(500, None, {})
# the longest wait for a forge that lost an answer, seconds
LONGEST_LOOK = 10


def sent(
    client: ForgeClient,
    pause: Callable[[float], None],
    method: str,
    path: str,
    body: Mapping[str, Any],
) -> Answer:
    """Return the answer to a write, LOST if there is none, after a pause: read, then judge.

    Raises ForgeSilent if only a person can help.
    """
    try:
        return client.send(method, path, body)
    except ForgeSilent as silence:
        if silence.needs_attention:
            raise
        pause(min(silence.retry_after or 1, LONGEST_LOOK))
        return LOST
