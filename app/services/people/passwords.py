"""Passwords by argon2id, at most a few at a time: each takes 64 MiB of memory."""

from __future__ import annotations

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.domain.people.passwords import MOST_LENGTH, normalized

AT_ONCE = 2


class Passwords:
    """Hashes and checks passwords; blocks its thread for about 50 ms."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = BoundedSemaphore(AT_ONCE)
        self._nobody = ""

    def hash(self, password: str) -> str:
        """Return the hash of a password, with its parameters and salt."""
        with self._turns:
            return self._hasher.hash(normalized(password))

    def fits(self, password: str, hashed: str | None) -> bool:
        """Return True if this is the password; takes as long where there is none."""
        if hashed is None:
            self._nobody = self._nobody or self.hash("nobody has this one")
        if len(password) > MOST_LENGTH:
            return False
        with self._turns:
            try:
                is_fit = self._hasher.verify(hashed or self._nobody, normalized(password))
            except (VerificationError, InvalidHashError):
                return False
        return is_fit and hashed is not None

    def is_old(self, hashed: str) -> bool:
        """Return True if a hash has other parameters than new ones get."""
        return self._hasher.check_needs_rehash(hashed)
