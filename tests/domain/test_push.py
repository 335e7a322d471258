"""Web push: which addresses may be used, what a device is named and what it is sent."""

from __future__ import annotations

import json

import pytest

from app.domain.notifications import Kind, Message, compose
from app.domain.push.endpoints import device_name, endpoint_problem, is_public
from app.domain.push.payloads import MAX_PAYLOAD, is_own_path, payload_of


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def_-",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAA==",
        "https://web.push.apple.com/QH?x=1",
        "https://push.example.org:8443/a",
    ],
)
def test_an_https_address_of_a_name_can_be_used(endpoint: str) -> None:
    assert endpoint_problem(endpoint) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "push", "http://push.example.org/a", "https://", "https:///a", "file:///etc/passwd"),
        *("https://user@push.example.org/a", "https://push.example.org:x/", "https://a.b:0/"),
        *("https://[::1]/a", "https://push.example.org/a#b", "https://push.example.org/a\nb"),
        *("https://push.example.org\\@evil.example/", "https://püsh.example.org/", "https://a b/"),
        "https://push.example.org/" + "a" * 2000,
    ],
)
def test_a46_any_other_address_is_refused(endpoint: str) -> None:
    assert endpoint_problem(endpoint)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1"),
        *("::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
        *("2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1", "localhost", ""),
    ],
)
def test_a46_an_address_of_a_machine_or_network_of_ones_own_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("path", ["/", "/runs/run_1", "/projects/proj_1/changes/3", "/a?b=c#d"])
def test_a_path_on_this_server_is_kept(path: str) -> None:
    assert is_own_path(path)
    assert json.loads(payload_of(Message("t", "b", path=path)))["path"] == path


@pytest.mark.parametrize(
    "path", ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/\t/evil"]
)
def test_a11_any_other_path_leads_home(path: str) -> None:
    assert json.loads(payload_of(Message("t", "b", path=path)))["path"] == "/"


def test_a_device_gets_a_sentence_without_addresses_and_nothing_hostile() -> None:
    about = {
        "project": "shop <img src=x>",
        "what": "delivered",
        "subject": "#1 \u202e[click](https://evil.example) <b>now</b>",
        "because": "change request #3",
        "path": "/runs/run_1",
    }
    message = compose(Kind.DELIVERED, about, address="https://runyard.example.org", id_="notice_1")
    told = json.loads(payload_of(message))
    assert told == {
        "title": "shop ‹img src=x› delivered",
        "sentence": "#1 (click)(https: //evil.example) ‹b›now‹/b›\nchange request #3",
        "path": "/runs/run_1",
        "id": "notice_1",
    }
    assert message.title == "Runyard: shop ‹img src=x› delivered"


def test_a_digest_leads_home_and_shows_its_first_lines() -> None:
    line = {"project": "shop", "what": "failed", "subject": "", "because": "", "path": "/runs/r"}
    about = {
        "counts": {"failed": 5},
        "cost_usd": None,
        "lines": [line] * 5,
        "more": 0,
        "told": None,
    }
    told = json.loads(payload_of(compose(Kind.DIGEST, about, address="https://a", id_="n")))
    assert (told["title"], told["path"]) == ("5 failed", "/")
    assert told["sentence"] == "\n".join(["shop failed"] * 3)


def test_no_message_is_longer_than_a_push_service_takes() -> None:
    wide = {"project": "😀" * 900, "what": '"' * 900, "subject": "😀" * 900, "because": '"' * 900}
    message = compose(Kind.FAILED, wide | {"path": "/runs/r"}, address="https://a", id_="n" * 40)
    assert len(payload_of(message)) <= MAX_PAYLOAD


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0",
            "Firefox on Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/129.0.0.0 Safari/537.36",
            "Chrome on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/129 Safari/537.36 Edg/129.0",
            "Edge on Windows",
        ),
        ("<script>alert(1)</script>", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_device_is_named_by_known_words(agent: str, name: str) -> None:
    assert device_name(agent) == name
