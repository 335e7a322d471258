"""E-mail addresses: the names by which people sign in."""

from __future__ import annotations

import re

MOST = 254
_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f<>\"]{1,64}@[^@\s\x00-\x1f\x7f<>\"]{1,189}")


def clean_email(text: str) -> str:
    """Return an address as it is stored and compared."""
    return text.strip().casefold()


def email_problem(text: str) -> str | None:
    """Return why this is not an e-mail address, or None."""
    email = clean_email(text)
    if len(email) > MOST or not _ADDRESS.fullmatch(email):
        return "Write an e-mail address, such as anna@example.com."
    return None
