"""Encryption of the secrets that the database keeps, with a key in a file beside it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken


class WrongKey(Exception):
    """The key file is missing, unusable, or not the one that these secrets were encrypted with."""


class SecretBox:
    """Encrypts and decrypts texts; its key is made at first use, readable by this user alone."""

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file

    def seal(self, text: str) -> str:
        """Return a text encrypted. Raises WrongKey, OSError."""
        return self._fernet(make=True).encrypt(text.encode()).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Return the text of an encrypted one. Raises WrongKey."""
        try:
            return self._fernet(make=False).decrypt(sealed.encode()).decode()
        except InvalidToken as problem:
            raise WrongKey(f"{self.key_file} is not the key of these secrets") from problem

    def opens(self, sealed: str) -> bool:
        """Return True if it was this key that encrypted a text."""
        try:
            self.unseal(sealed)
        except WrongKey:
            return False
        return True

    def _fernet(self, *, make: bool) -> Fernet:
        try:
            if make:
                self._make()
            return Fernet(self.key_file.read_text().strip())
        except FileNotFoundError as problem:
            raise WrongKey(f"{self.key_file} is missing") from problem
        except ValueError as problem:
            raise WrongKey(f"{self.key_file} holds no key") from problem

    def _make(self) -> None:
        """Create the key file whole, unless it is there; another server may do so, too."""
        if self.key_file.exists():
            return
        self.key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.key_file.with_name(f".{self.key_file.name}.{os.getpid()}")
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(opened, "wb") as written:
                written.write(Fernet.generate_key())
                written.flush()
                os.fsync(written.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, self.key_file)
        finally:
            fresh.unlink()
