"""Secrets, and the ways in which a text may hold one: as it is, escaped, encoded.

Imported by the supervisor: only modules of the standard library that load fast.
"""

from __future__ import annotations

import binascii
import json
import re
from collections import namedtuple
from collections.abc import Iterator

# a shorter value is not looked for: it would be found in ordinary text
LEAST = 8
# so long are the lines of a command that encodes
_BASE64_LINE = 76
_LINE_LEAST = 16
_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE", re.IGNORECASE)
# `postgres` as a password, or a number: it would be found in ordinary text
_WORD = re.compile(r"[A-Za-z]{1,15}|[0-9]+", re.ASCII)
_PATH = re.compile(r"(?:~|\.{1,2})?/[^/]*[/.].*|(?:~|\.{1,2})/.*", re.DOTALL)
_FLAG = re.compile(r"-.*|[0-9.,]+|[a-z]+://[^@]*", re.DOTALL)
_IN_ADDRESS = re.compile(r"://(?:[^/?#@:\s]*:([^/?#@\s]{8,})|([^/?#@:\s]{20,}))@")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# `name` is what people are told of it, `value` what nobody is
Secret = namedtuple("Secret", "name value")


def secret_in(name: str, value: str, *, is_known: bool = False) -> Secret | None:
    """The secret that a variable of an environment holds, None where it holds none.

    `is_known`: its name is that of a sign-in's; others are judged by name and value.
    """
    value = value.strip()
    inner = _IN_ADDRESS.search(value)
    if inner is not None:
        value, is_known = inner[1] or inner[2], True
    if len(value) < LEAST or _WORD.fullmatch(value):
        return None
    if is_known:
        return Secret(name, value)
    is_plain = _PATH.fullmatch(value) or _FLAG.fullmatch(value)
    return Secret(name, value) if _NAME.search(name) and not is_plain else None


def forms_of(value: str) -> list[bytes]:
    """Every way in which a value is looked for; none for one that is shorter than `LEAST`."""
    raw = value.encode("utf-8", "surrogateescape")
    if len(raw) < LEAST:
        return []
    in_hex = (raw.hex().encode(), raw.hex().upper().encode())
    forms = [raw, *_lines(raw), *_in_json(value), *_in_urls(raw), *_in_base64(raw), *in_hex]
    return [form for form in dict.fromkeys(forms) if len(form) >= LEAST]


def _lines(raw: bytes) -> Iterator[bytes]:
    """The lines of a key in a file, but for those that say what it is."""
    for line in raw.splitlines() if b"\n" in raw else ():
        if len(line) >= _LINE_LEAST and not line.startswith(b"-----"):
            yield line


def _in_json(value: str) -> Iterator[bytes]:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        form = text.encode("utf-8", "surrogateescape" if not ascii_only else "strict")
        yield form
        yield form.replace(b"/", b"\\/")


def _in_urls(raw: bytes) -> Iterator[bytes]:
    for kept in (_UNRESERVED, _UNRESERVED | {*b"/"}, _UNRESERVED | {*b"!'()*"}):
        for form in ("%%%02X", "%%%02x"):
            yield b"".join(bytes((b,)) if b in kept else (form % b).encode() for b in raw)


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """The part that is the same whatever stands around it, wherever in a text it begins."""
    for before in range(3):
        text = binascii.b2a_base64(b"\0" * before + raw, newline=False)
        stable = text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        for form in (stable, stable.replace(b"+", b"-").replace(b"/", b"_")):
            # alone on its lines it is broken where they end
            step = _BASE64_LINE if before == 0 else len(form) or 1
            yield from (form[at : at + step] for at in range(0, len(form), step))
