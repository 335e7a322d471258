"""Secrets masked in bytes and texts, each by dots of as many bytes: positions and lengths stay.

Imported by the supervisor: only modules of the standard library that load fast.
"""

from __future__ import annotations

import binascii
import json
import re
from collections import namedtuple
from collections.abc import Iterable, Iterator
from functools import lru_cache

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


DOT = "•".encode()
STAR = b"*"
# of a text around a secret, what may make its first byte the end of an escape
_LEAD = 64
_ESCAPE_BEFORE = re.compile(rb"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)\Z")
_LONGEST_ESCAPE = 6
# no form is shorter: by so many bytes it is told from the text around it
_HEAD = 4
# what holds a text of JSON together stays, and so do the ends of lines
_KEPT = re.compile(rb'\\(?:u[0-9a-fA-F]{4}|.)|["\\\r\n]', re.DOTALL)


def dots(count: int) -> bytes:
    """The mask for so many bytes."""
    return DOT * (count // len(DOT)) + STAR * (count % len(DOT))


class SecretMask:
    """Finds secrets in whatever form they are written."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        names: dict[bytes, str] = {}
        for secret in secrets:
            for form in forms_of(secret.value):
                names.setdefault(form, secret.name)
        # the longer first: of one that holds another nothing is left over
        self._names = dict(sorted(names.items(), key=lambda known: -len(known[0])))
        self.longest = max(map(len, names), default=0)
        self._by_head: dict[bytes, list[bytes]] = {}
        for form in names:
            self._by_head.setdefault(form[:_HEAD], []).append(form)

    def __bool__(self) -> bool:
        """True where there is anything to find."""
        return bool(self._names)

    def find(self, content: bytes) -> dict[str, int]:
        """The names of those that are in it, each with where it is first met."""
        found: dict[str, int] = {}
        for form, name in self._names.items():
            # searching for one text after the other is far faster than a pattern of all
            at = content.find(form)
            if at >= 0:
                found[name] = min(at, found.get(name, at))
        return found

    def mask(self, content: bytes, before: bytes = b"") -> bytes:
        """The same bytes with dots for each secret in them; `before` is what stands before them.

        A text of JSON stays one: its escapes and quotes are not touched.
        """
        there = [form for form in self._names if form in content]
        if not there:
            return content
        lead = before[-_LEAD:]
        text = lead + content
        masked = bytearray(text)
        for form in there:
            if b"\\" not in text and not _KEPT.search(form):
                # no escape can be touched: the fast way
                masked = masked.replace(form, dots(len(form)))
                continue
            at = text.find(form, len(lead))
            while at >= 0:
                _cover(masked, text, at, at + len(form))
                at = text.find(form, at + len(form))
        return bytes(masked[len(lead) :])

    def mask_text(self, text: str) -> str:
        """The same of a text."""
        content = text.encode("utf-8", "surrogatepass")
        masked = self.mask(content)
        return text if masked is content else masked.decode("utf-8", "surrogatepass")

    def mask_texts(self, about: dict[str, object]) -> dict[str, object]:
        """The same of every text in a mapping, and in lists and mappings within it."""
        return {key: self._mask_any(value) for key, value in about.items()}

    def _mask_any(self, value: object) -> object:
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return self.mask_texts(value)
        return [self._mask_any(one) for one in value] if isinstance(value, list) else value

    def held(self, content: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret that goes on."""
        tail = content[-self.longest + 1 :] if self.longest > 1 else b""
        for at in range(len(tail)):
            is_near_end = at > len(tail) - _HEAD
            forms = self._names if is_near_end else self._by_head.get(tail[at : at + _HEAD])
            if forms and any(form.startswith(tail[at:]) for form in forms):
                return len(tail) - at
        return 0


class MaskStream:
    """Masks what comes in pieces: one cut in two by them is found, too."""

    def __init__(self, mask: SecretMask) -> None:
        self._mask = mask
        self._held = b""
        self._before = b""

    def take(self, content: bytes) -> bytes:
        """Pass on what cannot be part of a secret any more; the rest waits for what follows."""
        if not self._mask:
            return content
        text = self._mask.mask(self._held + content, self._before)
        ready = len(text) - self._mask.held(text)
        self._held = text[ready:]
        return self._passed(text[:ready])

    def rest(self) -> bytes:
        """Pass on what still waited, at the end."""
        held, self._held = self._held, b""
        return self._passed(held)

    def _passed(self, content: bytes) -> bytes:
        self._before = (self._before + content)[-_LEAD:]
        return content


@lru_cache(maxsize=8)
def mask_of(secrets: tuple[Secret, ...]) -> SecretMask:
    """The mask of these secrets; made once for all who ask."""
    return SecretMask(secrets)


def _cover(masked: bytearray, text: bytes, begin: int, end: int) -> None:
    escape = _ESCAPE_BEFORE.search(text, max(0, begin - _LEAD), begin)
    place = begin if escape is None else escape.start(1)
    # an escape may end behind it
    for kept in _KEPT.finditer(text, place, end + _LONGEST_ESCAPE - 1):
        if kept.start() >= end:
            break
        _fill(masked, max(place, begin), min(kept.start(), end))
        place = kept.end()
    _fill(masked, max(place, begin), end)


def _fill(masked: bytearray, begin: int, end: int) -> None:
    if begin < end:
        masked[begin:end] = dots(end - begin)
