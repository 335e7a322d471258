"""Devices at push services: which addresses may be used, their keys and their names."""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from app.domain.safe_text import UNSAFE

MOST_DEVICES = 20
MAX_ENDPOINT = 2000
# uncompressed point of P-256, and the secret of 16 bytes
_POINT, _AUTH = 65, 16
_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)
NO_ENDPOINT = "This is not the https address of a push service."
NO_KEYS = "These are not the keys of a push subscription."
# IPv4 addresses behind these are those of the last 32 bits
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))

Address = IPv4Address | IPv6Address


def endpoint_problem(endpoint: str) -> str | None:
    """Return why a push service's address cannot be used, None if it can.

    Browsers give it, so it may be anything. Where its name leads is checked before each message.
    """
    if len(endpoint) > MAX_ENDPOINT or not endpoint.isascii() or UNSAFE.search(endpoint):
        return NO_ENDPOINT
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return NO_ENDPOINT
    if parts.scheme != "https" or not host or port == 0 or " " in endpoint or "\\" in endpoint:
        return NO_ENDPOINT
    if "@" in parts.netloc or parts.fragment or ":" in host:
        return NO_ENDPOINT  # push services have names: no user, no IPv6 address
    return None


def keys_problem(p256dh: str, auth: str) -> str | None:
    """Return why a browser's keys (base64url) cannot be used, None if they can."""
    point, secret = decoded(p256dh), decoded(auth)
    is_point = len(point) == _POINT and point[:1] == b"\x04"
    return None if is_point and len(secret) == _AUTH else NO_KEYS


def decoded(text: str) -> bytes:
    """Decode base64url with or without padding; empty for anything else."""
    if not _BASE64.fullmatch(text):
        return b""
    bare = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""


def is_public(address: str) -> bool:
    """Return True for an IP address in the public Internet: no own machine, no local network.

    Addresses that carry an IPv4 address are as public as that.
    """
    try:
        found: Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and any(found in network for network in _NAT64):
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return found.is_global and not (found.is_multicast or found.is_reserved)


_SYSTEMS = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows")),
    *(("CrOS", "ChromeOS"), ("Macintosh", "a Mac"), ("Linux", "Linux")),
)
_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet")),
    *(("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("Chrome", "Chrome"), ("CriOS", "Chrome")),
    ("Safari", "Safari"),
)


def device_name(user_agent: str) -> str:
    """Return a browser's name for people, such as `Firefox on Android`, made of known words."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser
