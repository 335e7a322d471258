"""Strict parsing of proxy requests, so that no server can interpret them differently."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.domain.sandbox.network_rules import HTTP_PORT, Target, WrongHost, read_target

MAX_HEAD_BYTES = 16 * 1024
END = b"\r\n\r\n"
_MAX_FIELDS = 100
_MAX_BODY_DIGITS = 18

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
# field values: visible characters, spaces and tabs; non-ASCII bytes pass unchanged
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_VERSIONS = ("HTTP/1.1", "HTTP/1.0")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"))
_SCHEME = re.compile("http://", re.IGNORECASE)
_HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authorization", "proxy-authenticate", "proxy-connection"),
    )
)

Fields = list[tuple[str, str]]


class BadRequest(Exception):
    """A refused request; `status` is the HTTP status, the message a sentence."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class ProxyRequest:
    """A request for a tunnel to `target`, or, if it has a `head`, for a single exchange.

    `body_bytes` bytes of the client follow the head; anything after them is not forwarded.
    """

    target: Target
    head: bytes = b""
    body_bytes: int = 0

    @property
    def is_tunnel(self) -> bool:
        """True for CONNECT."""
        return not self.head


def head_size(received: bytes) -> int | None:
    """Return the size of a request's head with its empty line; None if it is incomplete.

    Raises BadRequest if it is too long.
    """
    at = received.find(END)
    if at >= 0 and at + len(END) <= MAX_HEAD_BYTES:
        return at + len(END)
    if at >= 0 or len(received) >= MAX_HEAD_BYTES:
        raise BadRequest("The request's head is too long.", 431)
    return None


def read_request(head: bytes) -> ProxyRequest:
    """Parse a complete head. Raises BadRequest."""
    if not head.endswith(END) or len(head) > MAX_HEAD_BYTES:
        raise BadRequest("The request's head is not whole.")
    first, *lines = head[: -len(END)].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] not in _VERSIONS or not _VISIBLE.fullmatch(parts[1]):
        raise BadRequest("The request's first line is none of HTTP/1.")
    fields = _read_fields(lines)
    method, asked, version = parts
    if method == "CONNECT":
        return _read_connect(asked, fields)
    if method not in _METHODS:
        raise BadRequest("The proxy does not know this method.", 405)
    return _read_exchange(method, asked, version, fields)


def _read_connect(asked: str, fields: Fields) -> ProxyRequest:
    target = _target(asked, None)
    if _values(fields, "transfer-encoding") or _body_bytes(fields):
        raise BadRequest("A request for a tunnel has no body.")
    for host in _one_at_most(fields, "host"):
        # some clients omit the port; if present it must match
        if _target(host, target.port) != target:
            raise BadRequest("The Host header names another host than the request.")
    return ProxyRequest(target)


def _read_exchange(method: str, asked: str, version: str, fields: Fields) -> ProxyRequest:
    if not _SCHEME.match(asked):
        raise BadRequest("This is a proxy: request a complete http:// address, or use CONNECT.")
    place, slash, path = asked[len("http://") :].partition("/")
    if "#" in asked or any(sign in place for sign in "@?\\"):
        raise BadRequest("The address has a part that no proxy takes.")
    target = _target(place, HTTP_PORT)
    hosts = _one_at_most(fields, "host")
    if not hosts and version == "HTTP/1.1":
        raise BadRequest("The request has no Host header.")
    if hosts and _target(hosts[0], HTTP_PORT) != target:
        raise BadRequest("The Host header names another host than the request.")
    if _values(fields, "transfer-encoding"):
        raise BadRequest("The proxy takes only a body whose length is told beforehand.", 411)
    body_bytes = _body_bytes(fields)
    kept = _end_to_end(fields)
    host = str(target).removesuffix(f":{HTTP_PORT}")
    lines = [
        f"{method} {slash or '/'}{path} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in kept if name.lower() != "host"),
        "Connection: close",
    ]
    return ProxyRequest(target, "\r\n".join(lines).encode("latin-1") + END, body_bytes)


def _end_to_end(fields: Fields) -> Fields:
    """Return the fields for the server: not hop-by-hop, and not named by `Connection`."""
    named = {
        word.strip().lower() for value in _values(fields, "connection") for word in value.split(",")
    }
    if named & {"host", "content-length"}:
        raise BadRequest("The Connection header names a field that must stay.")
    dropped = _HOP_BY_HOP | named
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def _read_fields(lines: list[str]) -> Fields:
    if len(lines) > _MAX_FIELDS:
        raise BadRequest("The request has too many fields.", 431)
    return [_read_field(line) for line in lines]


def _read_field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise BadRequest("A field of the request is not of HTTP.")
    return name, value.strip(" \t")


def _values(fields: Fields, wanted: str) -> list[str]:
    return [value for name, value in fields if name.lower() == wanted]


def _one_at_most(fields: Fields, wanted: str) -> list[str]:
    found = _values(fields, wanted)
    if len(found) > 1:
        raise BadRequest("The request has a field twice that it may have once.")
    return found


def _body_bytes(fields: Fields) -> int:
    for value in _one_at_most(fields, "content-length"):
        if not value.isascii() or not value.isdecimal() or len(value) > _MAX_BODY_DIGITS:
            raise BadRequest("The body's length is no number.")
        return int(value)
    return 0


def _target(text: str, default_port: int | None) -> Target:
    if not _VISIBLE.fullmatch(text):
        raise BadRequest("The request names no host.")
    try:
        return read_target(text, default_port)
    except WrongHost as problem:
        raise BadRequest(str(problem)) from problem
