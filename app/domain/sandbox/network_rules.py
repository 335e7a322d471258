"""The hosts and ports that an agent may reach, and the addresses that are always refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

HTTP_PORT, HTTPS_PORT = 80, 443
# port of the proxy inside the sandbox, the only way out of its network
PROXY_PORT = 3128
PROXY_VARIABLES = frozenset(
    word
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    for word in (name, name.lower())
)
NOT_ALLOWED = "not allowed"
LONGEST_NAME = 253

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# forms that C libraries also accept as addresses: 127.1, 0x7f.1, 2130706433
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
# IDNA 2003 and IDNA 2008 encode these differently
_DISPUTED = frozenset("ßẞς\u200c\u200d")

Address = IPv4Address | IPv6Address


class WrongHost(ValueError):
    """A text is not a host that can be allowed; the message is a sentence."""


@dataclass(frozen=True, order=True)
class Target:
    """A host and a port; the host is a lowercase name, or an address without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Kind(StrEnum):
    """The kind of an address, as the reason for a refusal; PUBLIC is none."""

    PUBLIC = "a public address"
    PRIVATE = "a private address"
    LOOPBACK = "an address of this machine"
    LINK_LOCAL = "a link-local address"
    MULTICAST = "a multicast address"
    RESERVED = "a reserved address"


_PRIVATE = tuple(
    IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_PRIVATE_V6 = IPv6Network("fc00::/7")
# reserved for documentation and benchmarks; public here because VPNs and the resolvers of some
# networks return such addresses for any name
_SPARE = tuple(
    IPv4Network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
)
_SPARE_V6 = IPv6Network("2001:db8::/32")
# Azure's service for its machines, at an address that looks public
_PROVIDER = IPv4Address("168.63.129.16")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
# third quarter of an ISATAP address: an IPv4 address follows
_ISATAP = frozenset((0x00005EFE, 0x02005EFE))


def kind_of(address: Address) -> Kind:
    """Return the worst kind among an address and the IPv4 addresses embedded in it."""
    if isinstance(address, IPv4Address):
        return _kind_of_v4(address)
    for embedded in _embedded(address):
        kind = _kind_of_v4(embedded)
        if kind is not Kind.PUBLIC:
            return kind
    if address.ipv4_mapped is not None or address in _NAT64:
        return Kind.PUBLIC
    return _kind_of_v6(address)


def read_host(text: str) -> str:
    """Normalize a host: a lowercase name or an address. Raises WrongHost."""
    if text.startswith("["):
        if not text.endswith("]") or ":" not in text:
            raise WrongHost(_not_a_host(text))
        text = text[1:-1]
    if ":" in text:
        return _read_v6(text)
    name = _as_ascii(text).lower().removesuffix(".")
    last = name.rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise WrongHost(f"Not an address: {text!r}. Write it as in 10.0.0.5.") from None
    if len(name) > LONGEST_NAME or not all(map(_LABEL.fullmatch, name.split("."))):
        raise WrongHost(_not_a_host(text))
    return name


def read_port(text: str) -> int:
    """Parse a port from 1 to 65535. Raises WrongHost."""
    port = int(text) if _PORT.fullmatch(text) else 0
    if not 0 < port < 65536:
        raise WrongHost(f"Not a port: {text!r}. It is a number from 1 to 65535.")
    return port


def read_target(text: str, default_port: int | None = None) -> Target:
    """Parse `host:port`, or `host` if there is a default port. Raises WrongHost."""
    host, port = _split(text)
    if port is None:
        if default_port is None:
            raise WrongHost(f"{text!r} has no port.")
        return Target(read_host(host), default_port)
    return Target(read_host(host), read_port(port))


def read_entry(text: str) -> tuple[Target, ...]:
    """Parse a list entry: `host` allows ports 443 and 80, `host:port` only that one.

    Raises WrongHost.
    """
    entry = text.strip()
    if not entry:
        raise WrongHost("A host is missing.")
    if "/" in entry or "@" in entry:
        raise WrongHost(f"Not a host: {text!r}. Leave out the scheme, the user and the path.")
    if "*" in entry:
        raise WrongHost(f"{text!r} is a pattern. List each host by its whole name.")
    host, port = _split(entry)
    if port is not None:
        return (Target(read_host(host), read_port(port)),)
    name = read_host(host)
    return Target(name, HTTPS_PORT), Target(name, HTTP_PORT)


@dataclass(frozen=True)
class NetworkRules:
    """The hosts that one run may reach.

    `known` are those that its agent and its package registries need; `listed` are those that a
    person named, which may be private ones.
    """

    known: frozenset[Target] = frozenset()
    listed: frozenset[Target] = frozenset()

    @classmethod
    def read(cls, known: Iterable[str], listed: Iterable[str]) -> NetworkRules:
        """Build the rules from two lists of entries. Raises WrongHost."""
        return cls(_read_all(known), _read_all(listed))

    def allows(self, target: Target) -> bool:
        """Return True if this host and port are allowed; the address is checked separately."""
        return target in self.known or target in self.listed

    def refusal_of(self, target: Target, address: Address) -> str:
        """Return why an allowed host is refused at one of its addresses; empty if it is not.

        A listed name may resolve to a private network. An address of this machine, or a link-local
        one, must itself be listed, or be reached by the name `localhost`: otherwise the owner of a
        listed name could point it there.
        """
        kind = kind_of(address)
        if kind is Kind.PUBLIC or Target(str(address), target.port) in self.listed:
            return ""
        may_be_here = kind is Kind.LOOPBACK and _is_localhost(target.host)
        if target in self.listed and (kind is Kind.PRIVATE or may_be_here):
            return ""
        return f"it leads to {address}, {kind}"


def proxy_environment(listed: Iterable[Target] = (), port: int = PROXY_PORT) -> dict[str, str]:
    """Return the environment variables that send programs to the proxy on loopback.

    The sandbox's loopback is excluded, unless a person `listed` that name or address: it then means
    this machine's.
    """
    address = f"http://127.0.0.1:{port}"
    outside = {target.host for target in listed}
    direct = ",".join(host for host in ("localhost", "127.0.0.1", "::1") if host not in outside)
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), address)
    both = {**proxies, "NO_PROXY": direct}
    java = [
        f"-D{scheme}.proxy{name}={value}"
        for scheme in ("http", "https")
        for name, value in (("Host", "127.0.0.1"), ("Port", port))
    ]
    return {
        **both,
        **{name.lower(): value for name, value in both.items()},
        # Node and Java ignore the variables above unless configured
        "NODE_USE_ENV_PROXY": "1",
        "JAVA_TOOL_OPTIONS": " ".join(java),
    }


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _read_all(entries: Iterable[str]) -> frozenset[Target]:
    return frozenset(target for entry in entries for target in read_entry(entry))


def _split(text: str) -> tuple[str, str | None]:
    """Split off the port after the last colon; a bare IPv6 address has none."""
    if text.startswith("["):
        host, closing, rest = text.partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise WrongHost(_not_a_host(text))
        return host + closing, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _read_v6(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise WrongHost(f"Not an address: {text!r}. Write it as in [2001:db8::1]:443.") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise WrongHost(f"{text!r} is an address of one network card. It cannot be allowed.")
    return str(address)


def _as_ascii(text: str) -> str:
    if text.isascii():
        return text
    disputed = _DISPUTED & set(text)
    if not disputed:
        try:
            return text.encode("idna").decode("ascii")
        except UnicodeError:
            pass
    raise WrongHost(f"Not a host: {text!r}. Write it in its ASCII form, which begins with xn--.")


def _not_a_host(text: str) -> str:
    return f"Not a host: {text!r}. Write a name or an address, with a port where it needs one."


def _kind_of_v4(address: IPv4Address) -> Kind:
    if any(address in net for net in _PRIVATE):
        return Kind.PRIVATE
    if address.is_loopback or address == IPv4Address(0):
        return Kind.LOOPBACK
    if address.is_link_local or address == _PROVIDER:
        return Kind.LINK_LOCAL
    if address.is_multicast:
        return Kind.MULTICAST
    is_spare = any(address in net for net in _SPARE)
    is_public = is_spare or (address.is_global and not address.is_reserved)
    return Kind.PUBLIC if is_public else Kind.RESERVED


def _kind_of_v6(address: IPv6Address) -> Kind:
    if address in _PRIVATE_V6:
        return Kind.PRIVATE
    if address.is_loopback or address.is_unspecified:
        return Kind.LOOPBACK
    if address.is_link_local or address.is_site_local:
        return Kind.LINK_LOCAL
    if address.is_multicast:
        return Kind.MULTICAST
    is_open = address.is_global and not address.is_reserved and address not in _LOCAL_NAT64
    return Kind.PUBLIC if is_open or address in _SPARE_V6 else Kind.RESERVED


def _embedded(address: IPv6Address) -> Iterable[IPv4Address]:
    """Yield the IPv4 addresses to which a packet for this address may be forwarded."""
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _COMPATIBLE and number > 1:
        yield low
    if address in _NAT64:
        yield low
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield low
