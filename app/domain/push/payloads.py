"""Messages as devices get them: small JSON of plain text, and a path on this server."""

from __future__ import annotations

import json
import re

from app.domain.notifications import LINE, TITLE, Message

# a push service stores 4096 bytes, of which encryption takes 103
MAX_PAYLOAD = 3993
SENTENCE = 2 * LINE
_ODD = re.compile(r"[\\\s\x00-\x1f\x7f]")


def payload_of(message: Message) -> bytes:
    """Return a message as JSON for a device: title, sentence, path, and an id for its place.

    It is at most MAX_PAYLOAD bytes, and all of it is plain text.
    """
    told = {
        "title": message.headline[:TITLE],
        "sentence": message.sentence[:SENTENCE],
        "path": message.path if is_own_path(message.path) else "/",
        "id": message.id,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def is_own_path(path: str) -> bool:
    """Return True for a path on this server, False for what a browser reads as another address."""
    is_plain = path.isascii() and len(path) <= LINE and not _ODD.search(path)
    return is_plain and path.startswith("/") and not path.startswith("//")
