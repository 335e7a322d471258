"""Rules of passwords, and how long to wait after wrong ones."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

from app.domain.people.common_passwords import COMMON

LEAST_LENGTH = 12
MOST_LENGTH = 1000
FREE_FAILURES = 5
LONGEST_WAIT = timedelta(seconds=300)


def normalized(password: str) -> str:
    """Return a password as it is hashed: the same characters whatever keyboard typed them."""
    return unicodedata.normalize("NFKC", password)


def password_problem(password: str) -> str | None:
    """Return why this cannot be a password, or None."""
    if len(password) < LEAST_LENGTH:
        return f"Write at least {LEAST_LENGTH} characters."
    if len(password) > MOST_LENGTH:
        return f"Write at most {MOST_LENGTH} characters."
    if password.casefold() in COMMON:
        return "This is one of the most common passwords: choose another."
    return None


def wait_after(failures: int) -> timedelta:
    """Return how long to refuse sign-ins after this many failures in a row: 1, 2, 4 … 300 s."""
    if failures < FREE_FAILURES:
        return timedelta()
    return min(timedelta(seconds=2 ** min(failures - FREE_FAILURES, 9)), LONGEST_WAIT)
