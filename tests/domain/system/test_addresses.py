"""The public URL and the trusted proxies: what is taken, and the sentence for what is not."""

from __future__ import annotations

import pytest

from app.domain.system.addresses import issuer, public_url, trusted_networks


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Runyard.Example.org/", "https://runyard.example.org"),
        ("https://runyard.example.org:443", "https://runyard.example.org"),
        ("https://runyard.example.org:8443", "https://runyard.example.org:8443"),
        ("https://[2001:DB8::5]", "https://[2001:db8::5]"),
        ("", None),
    ],
)
def test_a_public_url_becomes_the_origin_that_browsers_send(text: str, origin: str | None) -> None:
    assert public_url(text) == origin


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("http://runyard.example.org", "begin with https://"),
        ("runyard.example.org", "begin with https://"),
        ("https://", "write an address"),
        ("https://a b", "write an address"),
        ("https://a:0", "write an address"),
        ("https://a:99999", "write an address"),
        ("https://[::1", "write an address"),
        ("https://me:secret@a", "leave user name"),
        ("https://a/runyard", "leave out what follows"),
        ("https://a?", "leave out what follows"),
        ("https://a#", "leave out what follows"),
    ],
)
def test_any_other_public_url_is_refused_with_the_reason(text: str, because: str) -> None:
    with pytest.raises(ValueError, match=because):
        public_url(text)


def test_proxies_are_addresses_and_networks() -> None:
    assert [str(one) for one in trusted_networks(["10.0.0.9", "10.0.0.9/32", "fd00::/8"])] == [
        "10.0.0.9/32",
        "fd00::/8",
    ]


@pytest.mark.parametrize("word", ["everybody", "10.0.0.9/8", "10.0.0.0/33", "0.0.0.0/0", "::/0"])
def test_a_word_that_names_no_proxy_or_everybody_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=word):
        trusted_networks([word])


def test_an_ipv4_proxy_written_as_ipv6_is_the_ipv4_one() -> None:
    found = trusted_networks("::ffff:127.0.0.1 ::ffff:10.0.0.0/120 127.0.0.1")
    assert [str(one) for one in found] == ["127.0.0.1/32", "10.0.0.0/24"]


@pytest.mark.parametrize("word", ["::ffff:0.0.0.0/96", "::ffff:0:0/96"])
def test_every_ipv4_address_written_as_ipv6_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="name the proxies"):
        trusted_networks(word)


@pytest.mark.parametrize("given", [5, True, None, 2.5, {"a": "b"}])
def test_another_type_names_no_proxies(given: object) -> None:
    with pytest.raises(ValueError, match="write addresses and networks"):
        trusted_networks(given)


@pytest.mark.parametrize(
    "text",
    [
        *("https://id.example.org ", " https://id.example.org", "https://id.example.org\n"),
        *("https://id.example.org#", "https://id.example.org/#", "https://id.exa\tmple.org"),
        *("https://id.example.org/a b", "https://id.example.org?"),
    ],
)
def test_an_issuer_with_anything_a_provider_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write an https address"):
        issuer(text)


@pytest.mark.parametrize("text", ["https://id.example.org", "https://id.example.org/realms/a/"])
def test_an_issuer_stays_as_the_provider_writes_it(text: str) -> None:
    assert issuer(text) == text
