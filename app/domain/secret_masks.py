"""Masking of secrets in bytes and text, by dots of the same byte length.

Imported by the supervisor: only standard library modules that load fast.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from app.domain.json.values import JsonObject, JsonValue

# shorter values would match ordinary text
LEAST = 8
# line length of base64(1)
_BASE64_LINE = 76
_LINE_LEAST = 16
_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE", re.IGNORECASE)
# plain words (`postgres`) and numbers would match ordinary text
_WORD = re.compile(r"[A-Za-z]{1,15}|[0-9]+", re.ASCII)
_PATH = re.compile(r"(?:~|\.{1,2})?/[^/]*[/.].*|(?:~|\.{1,2})/.*", re.DOTALL)
_FLAG = re.compile(r"-.*|[0-9.,]+|[a-z]+://[^@]*", re.DOTALL)
_IN_ADDRESS = re.compile(r"://(?:[^/?#@:\s]*:([^/?#@\s]{8,})|([^/?#@:\s]{20,}))@")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Secret:
    """A secret value and its name; only the name may be shown to people.

    Neither a dataclass nor a typing.NamedTuple: both load modules that the supervisor lacks.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self.name, self.value) == (other.name, other.value)

    def __hash__(self) -> int:
        return hash((self.name, self.value))

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def secret_in(name: str, value: str, *, is_known: bool = False) -> Secret | None:
    """Return the secret in an environment variable, or None.

    `is_known`: the name is known to be that of a credential; others are judged by name and value.
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
    """Return all encodings of a value to search for; none if it is shorter than `LEAST`."""
    raw = value.encode("utf-8", "surrogateescape")
    if len(raw) < LEAST:
        return []
    in_hex = (raw.hex().encode(), raw.hex().upper().encode())
    forms = [raw, *_lines(raw), *_in_json(value), *_in_urls(raw), *_in_base64(raw), *in_hex]
    return [form for form in dict.fromkeys(forms) if len(form) >= LEAST]


def _lines(raw: bytes) -> Iterator[bytes]:
    """Yield the lines of a key file, except its BEGIN and END lines."""
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
    """Yield the parts of a value's base64 that do not depend on the bytes around it."""
    for before in range(3):
        text = binascii.b2a_base64(b"\0" * before + raw, newline=False)
        stable = text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        for form in (stable, stable.replace(b"+", b"-").replace(b"/", b"_")):
            # encoded on its own, it is broken into lines
            step = _BASE64_LINE if before == 0 else len(form) or 1
            yield from (form[at : at + step] for at in range(0, len(form), step))


DOT = "•".encode()
# for one and two bytes that are left: nothing that Markdown would read
_RESTS = (b"", b".", "·".encode())
# bytes before a secret to check: its first byte may be the end of an escape
_LEAD = 64
_ESCAPE_BEFORE = re.compile(rb"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)\Z")
_LONGEST_ESCAPE = 6
# forms are indexed by their first bytes; none is shorter
_HEAD = 4
# JSON escapes, quotes and line ends are kept
_KEPT = re.compile(rb'\\(?:u[0-9a-fA-F]{4}|.)|["\\\r\n]', re.DOTALL)


def dots(count: int) -> bytes:
    """Return the mask for `count` bytes."""
    return DOT * (count // len(DOT)) + _RESTS[count % len(DOT)]


class SecretMask:
    """Finds and masks secrets in all their encodings."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        names: dict[bytes, str] = {}
        for secret in secrets:
            for form in forms_of(secret.value):
                names.setdefault(form, secret.name)
        # longest first, so that no remainder of a containing form is left
        self._names = dict(sorted(names.items(), key=lambda known: -len(known[0])))
        self.longest = max(map(len, names), default=0)
        self._by_head: dict[bytes, list[bytes]] = {}
        for form in names:
            self._by_head.setdefault(form[:_HEAD], []).append(form)

    def __bool__(self) -> bool:
        """Return True if there is any secret to find."""
        return bool(self._names)

    def find(self, content: bytes) -> dict[str, int]:
        """Return the names of the secrets in `content`, each with its first position in bytes."""
        found: dict[str, int] = {}
        for form, name in self._names.items():
            # one search per form is far faster than a combined regex
            at = content.find(form)
            if at >= 0:
                found[name] = min(at, found.get(name, at))
        return found

    def mask(self, content: bytes, before: bytes = b"") -> bytes:
        """Return the bytes with secrets masked; `before` are the bytes that precede them.

        JSON stays valid: escapes and quotes are kept.
        """
        there = [form for form in self._names if form in content]
        if not there:
            return content
        lead = before[-_LEAD:]
        text = lead + content
        masked = bytearray(text)
        for form in there:
            if b"\\" not in text and not _KEPT.search(form):
                # no escapes involved: the fast path
                masked = masked.replace(form, dots(len(form)))
                continue
            at = text.find(form, len(lead))
            while at >= 0:
                _cover(masked, text, at, at + len(form))
                at = text.find(form, at + len(form))
        return bytes(masked[len(lead) :])

    def mask_text(self, text: str) -> str:
        """Return the text with secrets masked."""
        content = text.encode("utf-8", "surrogatepass")
        masked = self.mask(content)
        return text if masked is content else masked.decode("utf-8", "surrogatepass")

    def mask_texts(self, about: JsonObject) -> JsonObject:
        """Return a mapping with all strings in it masked, at any depth."""
        return {key: self._mask_any(value) for key, value in about.items()}

    def _mask_any(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return self.mask_texts(value)
        return [self._mask_any(one) for one in value] if isinstance(value, list) else value

    def held(self, content: bytes) -> int:
        """Return how many bytes at the end may be the start of a secret."""
        tail = content[-self.longest + 1 :] if self.longest > 1 else b""
        for at in range(len(tail)):
            is_near_end = at > len(tail) - _HEAD
            forms = self._names if is_near_end else self._by_head.get(tail[at : at + _HEAD])
            if forms and any(form.startswith(tail[at:]) for form in forms):
                return len(tail) - at
        return 0


class MaskStream:
    """Masks a stream in chunks; a secret split between chunks is found too."""

    def __init__(self, mask: SecretMask) -> None:
        self._mask = mask
        self._held = b""
        self._before = b""

    def take(self, content: bytes) -> bytes:
        """Return the bytes that cannot be part of a secret; the rest is held back."""
        if not self._mask:
            return content
        text = self._mask.mask(self._held + content, self._before)
        ready = len(text) - self._mask.held(text)
        self._held = text[ready:]
        return self._passed(text[:ready])

    def end(self, content: bytes = b"") -> bytes:
        """Return all bytes that were held back, and the last ones, if any, after them."""
        text = self._mask.mask(self._held + content, self._before) if self._mask else content
        self._held = b""
        return self._passed(text)

    def _passed(self, content: bytes) -> bytes:
        self._before = (self._before + content)[-_LEAD:]
        return content


@lru_cache(maxsize=8)
def mask_of(secrets: tuple[Secret, ...]) -> SecretMask:
    """Return the mask of these secrets, cached."""
    return SecretMask(secrets)


def _cover(masked: bytearray, text: bytes, begin: int, end: int) -> None:
    escape = _ESCAPE_BEFORE.search(text, max(0, begin - _LEAD), begin)
    place = begin if escape is None else escape.start(1)
    # an escape may end after the secret
    for kept in _KEPT.finditer(text, place, end + _LONGEST_ESCAPE - 1):
        if kept.start() >= end:
            break
        _fill(masked, max(place, begin), min(kept.start(), end))
        place = kept.end()
    _fill(masked, max(place, begin), end)


def _fill(masked: bytearray, begin: int, end: int) -> None:
    if begin < end:
        masked[begin:end] = dots(end - begin)
