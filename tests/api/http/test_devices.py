"""Devices over the API: subscribing, testing and removing one's own browsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.fakes.push_service import FakeBrowser, decode

HOST = "runyard.example.org"
PUSH = "/push/subscriptions"
PHONE = {"User-Agent": "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server with a public address."""
    address = {"RUNYARD_PUBLIC_URL": f"https://{HOST}"}
    with open_workshop(tmp_path_factory.mktemp("shop"), **address) as shop:
        yield shop


def subscribed(shop: Workshop, name: str) -> dict[str, Any]:
    """Add a browser and return its device."""
    body = FakeBrowser(name, 9).subscription
    answer = shop.api.post(PUSH, json=body, headers=PHONE)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_key_is_a_point_of_the_curve_and_stays_the_same(shop: Workshop) -> None:
    first = shop.api.get("/push/key").json()["key"]
    assert (len(decode(first)), decode(first)[0]) == (65, 4)
    assert shop.api.get("/push/key").json() == {"key": first}


def test_a_browser_is_added_once_listed_and_removed(shop: Workshop) -> None:
    browser = FakeBrowser("once", 9)
    added, again = (shop.api.post(PUSH, json=browser.subscription, headers=PHONE) for _ in range(2))
    assert (added.status_code, again.status_code) == (201, 200)
    device = added.json()
    assert again.json() == device
    assert (device["name"], device["endpoint"]) == ("Firefox on Android", browser.target.endpoint)
    assert set(device) == {"id", "name", "endpoint", "created_at", "failed_at", "because"}
    assert device in shop.api.get(PUSH).json()["items"]
    assert shop.api.delete(f"{PUSH}/{device['id']}").status_code == 204
    assert device not in shop.api.get(PUSH).json()["items"]
    for answer in (
        shop.api.delete(f"{PUSH}/{device['id']}"),
        shop.api.post(f"{PUSH}/{device['id']}/test"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "http://push.example.org/1"},
        {"endpoint": "https://user@push.example.org/1"},
        {"endpoint": "https://[::1]/1"},
        {"endpoint": "https://push.example.org/\x001"},
        {"endpoint": "x" * 2001},
        {"endpoint": 3},
        {"keys": {"p256dh": "AAAA", "auth": "AAAA"}},
        {"keys": {"p256dh": "A" * 87}},
        {"person_id": "somebody"},
    ],
)
def test_a46_a_subscription_that_no_browser_gives_is_refused(
    shop: Workshop, change: dict[str, Any]
) -> None:
    before = shop.api.get(PUSH).json()
    answer = shop.api.post(PUSH, json=FakeBrowser("odd", 9).subscription | change)
    assert answer.status_code == 422, answer.text
    assert shop.api.get(PUSH).json() == before


def test_a46_a_device_on_this_machine_is_never_sent_anything(shop: Workshop) -> None:
    device = subscribed(shop, "here")
    answer = shop.api.post(f"{PUSH}/{device['id']}/test")
    because = "Its push service is not in the public Internet."
    assert answer.json() == {"receiver": "Firefox on Android", "taken": False, "because": because}
    (seen,) = [one for one in shop.api.get(PUSH).json()["items"] if one["id"] == device["id"]]
    assert seen["because"] == because
    assert seen["failed_at"] is not None


def test_each_act_is_in_the_audit_without_the_address(shop: Workshop) -> None:
    device = subscribed(shop, "audited")
    shop.api.post(f"{PUSH}/{device['id']}/test")
    shop.api.delete(f"{PUSH}/{device['id']}")
    rows = shop.api.get("/audit", params={"object": device["id"]}).json()["items"]
    assert [row["deed"] for row in rows] == ["remove_device", "test_device", "add_device"]
    assert "audited" not in str(rows)


def test_without_a_session_only_the_manifest_and_the_worker_are_there(shop: Workshop) -> None:
    with shop.server.visitor(Host=HOST) as nobody:
        assert nobody.get("/manifest.webmanifest").status_code == 200
        assert nobody.get("/sw.js").status_code == 200
        for path in ("/push/key", PUSH):
            assert nobody.get(f"/api/v1{path}").status_code == 401
        # the worker is asked for again at each look, so that a new one takes over at once
        assert "no-store" in nobody.get("/sw.js").headers["cache-control"]
        assert "worker-src 'self'" in nobody.get("/sw.js").headers["content-security-policy"]


def settings_page(shop: Workshop) -> str:
    """Return the HTML of the page on which devices are added."""
    token = {"Authorization": shop.api.headers["Authorization"], "Accept": "text/html"}
    where = f"{shop.server.url}/settings?tab=notifications"
    return httpx.get(where, headers=token).raise_for_status().text


def test_pages_link_the_manifest_where_they_have_a_public_address(shop: Workshop) -> None:
    page = settings_page(shop)
    assert '<link rel="manifest" href="/manifest.webmanifest">' in page
    assert "Notify me on this device" in page


def test_without_a_public_address_devices_are_refused_and_not_offered(tmp_path: Path) -> None:
    with open_workshop(tmp_path) as shop:
        answers = [
            shop.api.get("/push/key"),
            shop.api.post(PUSH, json=FakeBrowser("phone", 9).subscription),
        ]
        assert [one.json()["error"] for one in answers] == ["push_off"] * 2
        assert shop.api.get(PUSH).json() == {"items": []}
        assert shop.api.get("/system").json()["installable"] is False
        page = settings_page(shop)
        assert "subscriptions" in page
        assert "manifest" not in page
        assert "Notify me on this device" not in page
