"""The data folder's token: made at the first start, private to its user, replaced on request."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path

TOKEN_FILE = "token"  # noqa: S105  (a file's name)
SECRET_BYTES, SECRET_LENGTH = 32, 43


def new_secret(entropy: Callable[[int], bytes]) -> str:
    """Return a new secret of `SECRET_LENGTH` characters."""
    return base64.urlsafe_b64encode(entropy(SECRET_BYTES)).rstrip(b"=").decode()


def is_secret(text: str) -> bool:
    """Return True for text of a secret's shape."""
    return len(text) == SECRET_LENGTH and text.isascii()


def read_token(file: Path, entropy: Callable[[int], bytes]) -> str:
    """Return the token in a file, created if it is missing or incomplete."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = _read_private(file)
    if token is not None and is_secret(token):
        return token
    draft = file.with_name(f".{file.name}.{entropy(8).hex()}")
    _write_private(draft, new_secret(entropy))
    try:
        if token is not None:
            os.replace(draft, file)
        else:
            # atomic, and never overwrites the token of a server that started at the same time
            os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return (_read_private(file) or "").strip()


def rotate_token(file: Path, entropy: Callable[[int], bytes]) -> str:
    """Replace the token in `file` atomically. Return the new one."""
    draft, token = file.with_name(f".{file.name}.{entropy(8).hex()}"), new_secret(entropy)
    _write_private(draft, token)
    try:
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return token


def _read_private(file: Path) -> str | None:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, encoding="utf-8", errors="replace") as opened:
        if stat.S_IMODE(os.fstat(handle).st_mode) != 0o600:
            os.fchmod(handle, 0o600)
        return opened.read(1024).strip()


def _write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text + "\n")
        opened.flush()
        os.fsync(handle)
