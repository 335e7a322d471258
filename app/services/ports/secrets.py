"""The port through which the database's secrets are encrypted."""

# stands alone: the other ports have nothing to do with it

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class WrongKey(Exception):
    """The key file is missing, unusable, or not the one that these secrets were encrypted with."""


class SecretBox(Protocol):
    """Encrypts the secrets that the database keeps."""

    def seal(self, text: str) -> str:
        """Return a text encrypted. Raises WrongKey, OSError if no key can be made."""
        ...

    def unseal(self, sealed: str) -> str:
        """Return the text of an encrypted one. Raises WrongKey."""
        ...

    def rotation(self) -> AbstractContextManager[None]:
        """Encrypt with a fresh key from now on; the ones before it are dropped at the end."""
        ...

    def opens(self, sealed: str) -> bool:
        """Return True if this server's key opens the check value."""
        ...
