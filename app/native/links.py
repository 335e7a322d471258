"""Which addresses the window shows itself, and which the system's browser opens."""

from __future__ import annotations

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a web address, None for every other."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def is_own(url: str, home: str) -> bool:
    """True for a page of the server at `home`: same scheme, host and port, nobody's name in it."""
    origin = origin_of(url)
    return origin is not None and origin == origin_of(home) and "@" not in urlsplit(url).netloc


def may_open_outside(url: str) -> bool:
    """True for what a browser is asked to open: web addresses, never files nor programs."""
    return origin_of(url) is not None
