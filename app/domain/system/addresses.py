"""Addresses in the settings of a server: databases, its pages, its public URL, its proxies.

Those that read a setting return the address as it is used, and raise ValueError with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import cast
from urllib.parse import parse_qsl, urlsplit

POSTGRESQL = ("postgresql://", "postgres://")
HTTPS_PORT = 443
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LOCAL_NAME = re.compile(r"127\.0\.0\.1|\[::1\]|(?:[a-z0-9](?:[a-z0-9-]{0,62})\.)?localhost")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAPPED = IPv6Network("::ffff:0:0/96")
MAX_HOST = 253
NO_PUBLIC_URL = "write an address such as https://runyard.example.org"


def household_of(text: str) -> str:
    """Return an address, of IPv6 its /64: one household has that many. Other texts stay."""
    address = read_address(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return text if address is None else str(address)


def database_address(url: str | None) -> str | None:
    """Return the URL of a database, None for an empty one."""
    if url and url.startswith(POSTGRESQL):
        _ = urlsplit(url).port  # raises ValueError if it is not a number
    elif url and not url.startswith("sqlite:"):
        raise ValueError("begin with sqlite:/// or postgresql://")
    return url or None


def database_place(url: str) -> str:
    """Return the URL of a database in one spelling, without user, password or options."""
    if not url.startswith(POSTGRESQL):
        return url
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query))
    host, port = named.get("host", parts.hostname or ""), named.get("port", parts.port or 5432)
    return f"postgresql://{host}:{port}{parts.path}"


def without_password(url: str) -> str:
    """Return the URL of a database or Redis as it may be shown."""
    # up to the last @, since a password may contain an unescaped one
    shown = re.sub(r"^([^/]*//[^:/?#@]*):.*@", r"\1:…@", url)
    return re.sub(r"(?i)([?&](?:ssl)?password=)[^&#]*", r"\1…", shown)


def redis_address(url: str | None) -> str | None:
    """Return the URL of a Redis, None for an empty one."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.path):
        raise ValueError("begin with redis://, rediss:// or unix://")
    _ = parts.port  # raises ValueError if it is not a number
    return url


def page_name(name: str | None) -> str | None:
    """Return a host name that browsers resolve to this machine, None for an empty one."""
    if name and not _LOCAL_NAME.fullmatch(name):
        raise ValueError("write 127.0.0.1, localhost, [::1] or a name below .localhost")
    return name or None


def public_url(text: str | None) -> str | None:
    """Return the origin at which people reach a server, `https://host[:port]`; None if empty.

    The host is in lower case, and the usual port is left out, as browsers send them.
    """
    if not text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(NO_PUBLIC_URL) from error
    if parts.scheme != "https":
        raise ValueError("begin with https://: passwords and sessions would cross the network")
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave user name and password out")
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ValueError("leave out what follows the host: Runyard is served at the root")
    if ":" in host:
        host = f"[{_address(host)}]"
    elif len(host) > MAX_HOST or not _HOST.fullmatch(host):
        raise ValueError(NO_PUBLIC_URL)
    if port == 0:
        raise ValueError(NO_PUBLIC_URL)
    return f"https://{host}" if port in (None, HTTPS_PORT) else f"https://{host}:{port}"


def is_provider_address(text: str) -> bool:
    """Return True for an address of an identity provider: https, or http on this machine."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or parts.fragment or not host:
        return False
    local = read_address(host)
    is_here = host == "localhost" or (local is not None and local.is_loopback)
    return parts.scheme == "https" or (parts.scheme == "http" and is_here)


def issuer(text: str | None) -> str | None:
    """Return the address that a provider of OpenID Connect calls itself, None for an empty one."""
    # urlsplit strips blanks, and a fragment that is empty; no provider writes them
    if text and (re.search(r"[\s?#]", text) or not is_provider_address(text)):
        raise ValueError(
            "write an https address, or an http one on this machine, without blanks, ? and #"
        )
    return text or None


def trusted_networks(given: object) -> tuple[Network, ...]:
    """Return the networks of trusted proxies, of a text with blanks or a list.

    A plain address is a network of one; an IPv4 address or network inside IPv6 becomes IPv4.
    """
    words: Iterable[object]
    if isinstance(given, str):
        words = given.split()
    elif isinstance(given, list | tuple):
        words = cast("Iterable[object]", given)
    else:
        raise ValueError("write addresses and networks, separated by spaces, or a list of them")
    return tuple(dict.fromkeys(_network(str(word)) for word in words))


def read_address(text: str) -> Address | None:
    """Parse the address of a peer, None if it is none; an IPv4 address inside IPv6 is IPv4."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(word: str) -> Network:
    try:
        network = ip_network(word)
    except ValueError as error:
        raise ValueError(f"{word} is not an address or network such as 10.0.0.0/24") from error
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        inside = int(network.network_address) & 0xFFFFFFFF
        network = IPv4Network((inside, network.prefixlen - _MAPPED.prefixlen))
    if network.prefixlen == 0:
        raise ValueError(f"{word} is everybody: name the proxies")
    return network


def _address(host: str) -> str:
    try:
        return str(IPv6Address(host))
    except ValueError as error:
        raise ValueError(NO_PUBLIC_URL) from error
