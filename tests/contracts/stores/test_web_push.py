"""Web push against a push service on loopback, which verifies and decrypts what it gets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.notifications.web_push import WebPush
from app.domain.notifications import Message
from app.domain.push.payloads import MAX_PAYLOAD, payload_of
from app.services.ports import NotTaken, PushSender, PushTarget, ReceiverGone
from tests.drivers.cli.shells import Shell
from tests.fakes.push_service import PushService, encode, push_service

HELLO = Message("t", "b", headline="yard0 delivered", sentence="#1 Repair it", path="/runs/run_1")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with push_service(tmp_path) as running:
        yield running


@pytest.fixture
def sender() -> PushSender:
    return PushSender(WebPush().make_key(), "https://runyard.example.org")


def test_a_message_arrives_signed_and_is_read_by_its_browser_alone(
    service: PushService, sender: PushSender
) -> None:
    pusher = service.pusher()
    phone = service.browser("phone", pusher.public_key(sender.key))
    desk = service.browser("desk")
    assert pusher.problem(phone.target) is None
    pusher.push(phone.target, payload_of(HELLO), sender)
    told = {"title": "yard0 delivered", "sentence": "#1 Repair it", "path": "/runs/run_1", "id": ""}
    assert phone.got == [told]
    assert (desk.got, service.refusals) == ([], [])
    assert phone.claims[0]["sub"] == "https://runyard.example.org"
    assert phone.claims[0]["aud"] == f"https://localhost:{service.port}"
    assert phone.headers[0]["content-encoding"] == "aes128gcm"


def test_a_message_with_the_key_of_another_browser_cannot_be_read(
    service: PushService, sender: PushSender
) -> None:
    phone, desk = service.browser("phone"), service.browser("desk")
    mixed = PushTarget(phone.target.endpoint, desk.target.p256dh, phone.target.auth)
    with pytest.raises(NotTaken):
        service.pusher().push(mixed, payload_of(HELLO), sender)
    assert phone.got == []


def test_a_message_of_another_key_is_refused_and_is_not_taken(
    service: PushService, sender: PushSender
) -> None:
    pusher = service.pusher()
    phone = service.browser("phone", pusher.public_key(pusher.make_key()))
    with pytest.raises(NotTaken, match=r"^Its push service answered 403\.$"):
        pusher.push(phone.target, payload_of(HELLO), sender)
    assert phone.got == []


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_ended_is_gone(
    service: PushService, sender: PushSender, status: int
) -> None:
    service.answers.append(status)
    with pytest.raises(ReceiverGone, match=f"answered {status}"):
        service.pusher().push(service.browser("phone").target, b"{}", sender)


@pytest.mark.parametrize(
    ("said", "wait"), [("120", 120), ("999999999", 86400), ("soon", None), ("", None), ("-5", None)]
)
def test_too_many_requests_wait_as_long_as_the_service_asks(
    service: PushService, sender: PushSender, said: str, wait: int | None
) -> None:
    service.answers.append((429, {"Retry-After": said} if said else {}))
    with pytest.raises(NotTaken, match=r"answered 429") as refused:
        service.pusher().push(service.browser("phone").target, b"{}", sender)
    assert not isinstance(refused.value, ReceiverGone)
    assert refused.value.retry_after == wait


def test_a46_a_redirect_of_a_push_service_is_not_followed(
    service: PushService, sender: PushSender
) -> None:
    phone, other = service.browser("phone"), service.browser("other")
    service.answers.append((307, {"Location": other.target.endpoint}))
    with pytest.raises(NotTaken, match=r"answered 307"):
        service.pusher().push(phone.target, payload_of(HELLO), sender)
    assert (service.asked, other.got) == (["/push/phone"], [])


def test_a46_an_own_machine_is_never_reached(service: PushService, sender: PushSender) -> None:
    target = service.browser("phone").target
    for host in ("localhost", "127.0.0.1", "127.1"):
        place = target.endpoint.replace("localhost", host)
        with pytest.raises(NotTaken, match="not in the public Internet"):
            WebPush().push(PushTarget(place, target.p256dh, target.auth), b"{}", sender)
    assert service.asked == []


def test_a46_a_name_with_one_forbidden_address_is_not_reached_at_all(
    service: PushService, sender: PushSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, service.port))
        for address in ("127.0.0.1", "169.254.169.254")
    ]
    target = service.browser("phone").target
    with monkeypatch.context() as names:
        names.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(NotTaken, match="not in the public Internet"):
            service.pusher().push(target, b"{}", sender)
    assert service.asked == []


def test_a46_a_name_is_resolved_once_and_that_address_is_connected_to(
    service: PushService, sender: PushSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def once(host: str, *more: int, **how: int) -> object:
        # a name that leads elsewhere the second time
        asked.append(str(host))
        return resolve("127.0.0.1" if len(asked) == 1 else str(host), *more, **how)

    phone = service.browser("phone")
    with monkeypatch.context() as names:
        names.setattr(socket, "getaddrinfo", once)
        service.pusher().push(phone.target, payload_of(HELLO), sender)
    assert asked.count("localhost") == 1
    assert len(phone.got) == 1


def test_a_certificate_of_another_authority_is_not_trusted(
    service: PushService, sender: PushSender
) -> None:
    phone = service.browser("phone")
    pusher = WebPush(may_reach=lambda _: True)
    with pytest.raises(NotTaken, match="could not be reached"):
        pusher.push(phone.target, payload_of(HELLO), sender)
    assert service.asked == []


def test_a_push_service_that_hangs_is_given_up_in_time(
    service: PushService, sender: PushSender
) -> None:
    service.answers.append("hangs")
    with pytest.raises(NotTaken, match="could not be reached, or did not answer"):
        service.pusher(seconds=0.5).push(service.browser("phone").target, b"{}", sender)


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", ""),
        ("AAAA", encode(b"a" * 16)),
        (encode(b"\x04" + b"\x01" * 64), encode(b"a" * 16)),
        (encode(b"\x04" + b"\x01" * 64), "ä"),
    ],
)
def test_keys_of_no_browser_have_a_problem_and_send_nothing(
    service: PushService, sender: PushSender, p256dh: str, auth: str
) -> None:
    target = PushTarget(service.browser("phone").target.endpoint, p256dh, auth)
    assert service.pusher().problem(target)
    with pytest.raises(NotTaken, match="not the keys"):
        service.pusher().push(target, b"{}", sender)
    assert service.asked == []


def test_the_longest_message_arrives_whole(service: PushService, sender: PushSender) -> None:
    longest = Message("t", "b", "🚀" * 500, "🚀" * 500, "/runs/" + "x" * 150, "notice_" + "v" * 24)
    payload = payload_of(longest)
    assert len(payload) <= MAX_PAYLOAD
    phone = service.browser("phone")
    service.pusher().push(phone.target, payload, sender)
    assert phone.got == [json.loads(payload)]


def test_a_start_does_not_load_pywebpush(tmp_path: Path) -> None:
    program = (
        "import sys; from app.server import application; "
        "from app.adapters.notifications.web_push import WebPush; "
        "WebPush(); print('pywebpush' in sys.modules)"
    )
    ended = Shell(tmp_path).run("-c", program)
    assert ended.out == "False\n", ended.err
