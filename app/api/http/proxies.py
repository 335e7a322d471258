"""Where a request comes from: its address, whose word counts for it, and how much one may open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.types import Scope

from app.domain.system.addresses import Address, Network, household_of, read_address
from app.errors import RateLimited

FOR, PROTO, HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
# stands for an address that a proxy of this machine did not name readably: it is no program here
UNKNOWN = "unknown"
_WITH_PORT = re.compile(r"\[(?P<v6>[^\[\]]+)\](?::\d{1,5})?|(?P<v4>[\d.]+):\d{1,5}")
# an office behind one address: a hundred people with five tabs each
MOST_OPEN = 500


class TooManyOpen(RateLimited):
    """Too much is open from your address: close some pages, or try again in a moment."""


class Peers:
    """The requests, streams and web sockets that are open, by the address they come from.

    Those of this machine are not counted: its programs share one address.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, scope: Scope) -> Generator[bool]:
        """Count a request for the time of the block; yield True if its address has too many."""
        client, peer = scope.get("client"), peer_of(scope)
        if not client or (peer is not None and peer.is_loopback):
            yield False
            return
        whose = household_of(client[0])
        self._open[whose] += 1
        try:
            yield self._open[whose] > self._most
        finally:
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]


def peer_of(scope: Scope) -> Address | None:
    """Return the address that a request comes from, None if it has none."""
    client = scope.get("client")
    return read_address(client[0]) if client else None


def as_forwarded(scope: Scope, trusted: Sequence[Network]) -> tuple[Scope, str]:
    """Return a request as its client sent it to the proxies in front, if they are trusted.

    Of `X-Forwarded-For` the last address counts that is no trusted proxy: anybody can write what
    stands before it. In place of one that cannot be read stands the proxy that passed it on, or
    UNKNOWN for a proxy on this machine. The last value of `-Host` and of `-Proto` counts; the
    latter is returned: `http`, `https`, or "" if no trusted proxy says. An IPv4 address inside IPv6
    becomes IPv4.
    """
    peer = peer_of(scope)
    if peer is None:
        return scope, ""
    client: tuple[str, int] = scope["client"]
    if not is_within(peer, trusted):
        is_plain = str(peer) == client[0]
        return scope if is_plain else {**scope, "client": (str(peer), client[1])}, ""
    given = [(name, value) for name, value in scope["headers"] if name in (FOR, PROTO, HOST)]
    address = _client_of(peer, given, trusted)
    changed: dict[str, Any] = {"client": client if address == str(peer) else (address, 0)}
    if host := _last_word(given, HOST):
        changed["headers"] = with_host(scope["headers"], host)
    return {**scope, **changed}, _last_word(given, PROTO).lower()


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Return True if one of the networks holds this address."""
    return any(address in network for network in networks)


def hosts_of(scope: Scope) -> list[str]:
    """Return the values of a request's Host headers."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]


def with_host(headers: Sequence[tuple[bytes, bytes]], host: str) -> list[tuple[bytes, bytes]]:
    """Return headers with this Host in place of any other."""
    kept = [pair for pair in headers if pair[0] != b"host"]
    return [(b"host", host.encode("latin-1")), *kept]


def _client_of(
    peer: Address, given: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> str:
    found = peer
    for word in reversed(list(_words(given, FOR))):
        address = _forwarded(word)
        if address is None:
            # programs of this machine are exempt from limits, and this is none of them
            return UNKNOWN if found.is_loopback else str(found)
        found = address
        if not is_within(address, trusted):
            break
    # a loopback address is of the proxy's own machine, which may be another one
    return str(peer if found.is_loopback and not peer.is_loopback else found)


def _forwarded(word: str) -> Address | None:
    """Parse an address as proxies write it: some add the port, and brackets around IPv6."""
    bare = _WITH_PORT.fullmatch(word)
    return read_address(word if bare is None else bare["v6"] or bare["v4"])


def _last_word(given: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    return next(reversed(list(_words(given, name))), "")


def _words(given: Sequence[tuple[bytes, bytes]], wanted: bytes) -> Iterator[str]:
    for name, value in given:
        if name == wanted:
            words = (word.strip() for word in value.decode("latin-1").split(","))
            yield from filter(None, words)
