"""Encryption of the secrets that the database keeps, with a key in a file beside it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.services.ports import WrongKey


class SecretBox:
    """Encrypts and decrypts texts; its key is made at first use, readable by this user alone.

    A file with several lines holds the key first, and below it those that still open something.
    """

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file

    def seal(self, text: str) -> str:
        """Return a text encrypted. Raises WrongKey, OSError if no key can be made."""
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

    @contextmanager
    def rotation(self) -> Generator[None]:
        """Encrypt with a fresh key from now on, and drop those before it at the end.

        They are kept if the body raises. Rotations by several servers take turns. Raises OSError.
        """
        self._make()
        place = self.key_file.resolve()
        lock = place.with_name(f".{place.name}.lock")
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            fresh = Fernet.generate_key().decode()
            _replace(place, [fresh, *self._keys()])
            yield
            _replace(place, [fresh])
        finally:
            os.close(held)

    def _keys(self) -> list[str]:
        return self.key_file.read_text().split()

    def _fernet(self, *, make: bool) -> MultiFernet:
        if make:
            self._make()
        try:
            return MultiFernet([Fernet(key) for key in self._keys()])
        except FileNotFoundError as problem:
            raise WrongKey(f"{self.key_file} is missing") from problem
        except OSError as problem:
            raise WrongKey(f"{self.key_file} cannot be read") from problem
        except ValueError as problem:
            raise WrongKey(f"{self.key_file} holds no key") from problem

    def _make(self) -> None:
        """Create the key file whole, unless it is there; another server may do so, too."""
        if self.key_file.exists():
            return
        self.key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.key_file.with_name(f".{self.key_file.name}.{os.getpid()}")
        _write_new(fresh, Fernet.generate_key())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, self.key_file)
        finally:
            fresh.unlink()


def _replace(place: Path, keys: list[str]) -> None:
    """Replace the key file as a whole: a crash leaves the old one or the new one."""
    fresh = place.with_name(f".{place.name}.fresh")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()  # of a rotation that was cut short
    _write_new(fresh, "".join(f"{key}\n" for key in keys).encode())
    fresh.replace(place)
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_new(place: Path, content: bytes) -> None:
    """Write a file that only this user can read, and that a crash does not leave half written."""
    opened = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(opened, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
