"""Network rules for agents: host spellings, and addresses that no name may resolve to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sandbox.network_rules import (
    Kind,
    NetworkRules,
    Target,
    WrongHost,
    kind_of,
    proxy_environment,
    read_entry,
    read_target,
)

ENTRIES = {
    "example.com": [("example.com", 443), ("example.com", 80)],
    " Example.COM. ": [("example.com", 443), ("example.com", 80)],
    "example.com:8443": [("example.com", 8443)],
    "localhost:3000": [("localhost", 3000)],
    "bücher.example": [("xn--bcher-kva.example", 443), ("xn--bcher-kva.example", 80)],
    "10.0.0.5:5432": [("10.0.0.5", 5432)],
    "[2001:DB8::1]:443": [("2001:db8::1", 443)],
    "2001:db8:0::1": [("2001:db8::1", 443), ("2001:db8::1", 80)],
    "[::1]": [("::1", 443), ("::1", 80)],
    "my_host.internal": [("my_host.internal", 443), ("my_host.internal", 80)],
}
WRONG = [
    *("", "  ", "https://example.com", "example.com/", "user@example.com", "*.example.com", "*"),
    *("example.com:", "example.com:0", "example.com:65536", "example.com:+1", "example.com:٣"),
    *("exa mple.com", "-a.example", "a-.example", "a..example", ".", ".example.com", "a" * 64),
    *("127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.5", "1.2.3.256", "example.0x10"),
    *("[::1", "::1]", "[::1]443", "[example.com]", "[127.0.0.1]", "fe80::1%eth0", ":443", "a:b:c"),
    *("straße.de", "a\u200db.example", "a\x00b.example", "\ud800.example", "☃" * 70),
    ".".join(["a" * 60] * 5),
]
KINDS = {
    Kind.PUBLIC: [
        *("93.184.216.34", "2606:4700::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"),
        # a VPN's resolver may return these for any name
        *("198.18.0.1", "203.0.113.80", "2001:db8::1"),
    ],
    Kind.PRIVATE: [
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1"),
        *("::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::", "::10.0.0.1"),
        *("2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:192.168.0.1"),
    ],
    Kind.LOOPBACK: [
        *("127.0.0.1", "127.255.1.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1"),
        *("64:ff9b::127.0.0.1", "2002:7f00:1::1", "::ffff:0.0.0.0"),
    ],
    Kind.LINK_LOCAL: [
        *("169.254.169.254", "fe80::1", "fec0::1", "::ffff:169.254.169.254", "168.63.129.16"),
    ],
    Kind.MULTICAST: ["224.0.0.1", "239.255.255.250", "ff02::1"],
    Kind.RESERVED: [
        *("0.1.2.3", "192.0.0.1", "240.0.0.1", "255.255.255.255", "100::1", "64:ff9b:1::1"),
    ],
}


@pytest.mark.parametrize(("entry", "targets"), ENTRIES.items())
def test_an_entry_names_a_host_and_its_ports(entry, targets):
    assert read_entry(entry) == tuple(Target(*one) for one in targets)


@pytest.mark.parametrize("entry", WRONG)
def test_what_is_no_host_is_refused_with_a_sentence(entry):
    with pytest.raises(WrongHost, match=r"\.$"):
        read_entry(entry)


@given(st.text(max_size=80))
def test_no_text_is_read_as_anything_but_a_host_or_a_refusal(text):
    try:
        targets = read_entry(text)
    except WrongHost:
        return
    for target in targets:
        assert read_target(str(target)) == target
        assert target.host == target.host.lower()
        assert target.host.isascii()
        assert 0 < target.port < 65536


@pytest.mark.parametrize(
    ("kind", "address"), [(kind, one) for kind, some in KINDS.items() for one in some]
)
def test_an_address_is_what_it_leads_to_however_it_is_wrapped(kind, address):
    assert kind_of(ip_address(address)) is kind


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_wrapping_makes_a_closed_address_public(inner):
    number = int(inner)
    mapped = IPv6Address(0xFFFF << 32 | number)
    translated = IPv6Address((0x64FF9B << 96) | number)
    six_to_four = IPv6Address((0x2002 << 112) | (number << 80))
    plain = kind_of(inner)
    assert kind_of(mapped) is plain
    assert kind_of(translated) is plain
    if plain is not Kind.PUBLIC:
        assert kind_of(six_to_four) is not Kind.PUBLIC


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_address_of_this_machine_or_its_networks_is_public(address):
    is_near = (
        address.is_loopback or address.is_link_local or address.is_multicast or address.is_reserved
    )
    if is_near or int(address) == 0:
        assert kind_of(address) is not Kind.PUBLIC


class TestRules:
    rules = NetworkRules.read(
        ["api.example.com"],
        ["intranet.example", "localhost:3000", "10.0.0.5:5432", "169.254.169.254:80"],
    )

    @pytest.mark.parametrize(
        ("target", "is_allowed"),
        {
            "api.example.com:443": True,
            "api.example.com:80": True,
            "API.example.com.:443": True,
            "api.example.com:22": False,
            "evil.example:443": False,
            "x.api.example.com:443": False,
            "example.com:443": False,
            "localhost:3000": True,
            "localhost:3001": False,
            "127.0.0.1:3000": False,
            "10.0.0.5:5432": True,
        }.items(),
    )
    def test_a_host_is_allowed_by_its_whole_name_and_port(self, target, is_allowed):
        assert self.rules.allows(read_target(target)) is is_allowed

    @pytest.mark.parametrize(
        ("target", "address", "is_reached"),
        [
            ("api.example.com:443", "93.184.216.34", True),
            ("api.example.com:443", "127.0.0.1", False),
            ("api.example.com:443", "10.0.0.5", False),
            ("api.example.com:443", "169.254.169.254", False),
            ("api.example.com:443", "::ffff:127.0.0.1", False),
            ("intranet.example:443", "10.1.2.3", True),
            ("intranet.example:443", "fd12::1", True),
            ("intranet.example:443", "127.0.0.1", False),
            ("intranet.example:443", "169.254.169.254", False),
            ("intranet.example:80", "169.254.169.254", True),
            ("localhost:3000", "127.0.0.1", True),
            ("localhost:3000", "::1", True),
            ("localhost:3000", "169.254.1.1", False),
            ("10.0.0.5:5432", "10.0.0.5", True),
        ],
    )
    def test_a_name_leads_only_where_it_may(self, target, address, is_reached):
        because = self.rules.refusal_of(read_target(target), ip_address(address))
        assert (because == "") is is_reached
        assert is_reached or because.startswith(f"it leads to {ip_address(address)}, a")


def test_programs_are_shown_the_proxy_in_both_ways_of_writing():
    told = proxy_environment()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        assert told[name] == told[name.lower()] == "http://127.0.0.1:3128"
    assert told["NO_PROXY"] == told["no_proxy"] == "localhost,127.0.0.1,::1"


def test_a_listed_loopback_host_is_this_machine_s_and_not_the_sandbox_s():
    listed = NetworkRules.read([], ["localhost:3000"]).listed
    assert proxy_environment(listed)["NO_PROXY"] == "127.0.0.1,::1"
