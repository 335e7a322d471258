"""Secrets masked in bytes and texts, each by dots of as many bytes: positions and lengths stay.

Imported by the supervisor: only modules of the standard library that load fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from app.domain.secret_forms import Secret, forms_of

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
