"""The pages as an installed app: manifest, icons, service worker, and notifications on a device.

Browsers subscribe at a push service of their maker, which cannot be reached here: these tests
replace `subscribe` in the page by one that gives a subscription at once. They also replace the
permission and the showing of notifications, which a browser without a screen refuses. The service
worker and its events are the browser's own.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserType, Page, Worker, expect

from tests.drivers.servers.processes import RunyardServer, free_port
from tests.drivers.web.browsers import launch_arguments
from tests.drivers.web.tls_front import tls_front
from tests.e2e.conftest import OpenPage
from tests.fakes.push_service import FakeBrowser

SETTINGS = "/settings?tab=notifications"
IS_CONTROLLED = "() => navigator.serviceWorker.controller !== null"
# what a browser without a screen refuses
SHOWS = """() => {
  self.shown = [];
  self.waiting = [];
  self.registration.showNotification = async (...told) => {
    (self.waiting.shift() ?? ((one) => self.shown.push(one)))(told);
  };
}"""
SHOWN = """() => new Promise((done) => {
  if (self.shown.length) done(self.shown.shift());
  else self.waiting.push(done);
})"""
PERMITS = """
Object.defineProperty(Notification, "permission", { get: () => "granted" });
Notification.requestPermission = async () => "granted";
"""
KEPT = """async () => {
  const found = [];
  for (const name of await caches.keys())
    for (const one of await (await caches.open(name)).keys()) found.push(one.url);
  return found;
}"""
SUBSCRIBES = """(subscription) => {
  const made = () => ({ ...subscription, toJSON: () => subscription,
    unsubscribe: async () => localStorage.removeItem("subscribed") });
  PushManager.prototype.subscribe = async (how) => {
    if (how.applicationServerKey.length !== 65) throw new Error("no key");
    localStorage.setItem("subscribed", "yes");
    return made();
  };
  PushManager.prototype.getSubscription = async () =>
    localStorage.getItem("subscribed") ? made() : null;
}"""


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"RUNYARD_PUBLIC_URL": f"https://localhost:{free_port()}"}


@pytest.fixture(scope="module")
def browser(browser_type: BrowserType) -> Iterator[Browser]:
    """A browser for which any certificate will do: for a service worker, no context's rule does."""
    how = launch_arguments(browser_type)
    how["args"].append("--ignore-certificate-errors")
    with browser_type.launch(**how) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def front(
    server: RunyardServer, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The proxy of the public address."""
    port = int(settings["RUNYARD_PUBLIC_URL"].rpartition(":")[2])
    with tls_front(port, server.port, tmp_path_factory.mktemp("front")):
        yield


def public(server: RunyardServer) -> str:
    """Return the address at which people reach a server."""
    return server.settings["RUNYARD_PUBLIC_URL"]


def controlled(page: Page, server: RunyardServer, path: str = "/guide") -> Worker:
    """Open a page that the service worker controls; return the worker."""
    page.goto(public(server) + path)
    page.wait_for_function(IS_CONTROLLED)
    return page.context.service_workers[0]


def origin_of(page: Page) -> str:
    """Return the origin of a page: the server's name for pages."""
    return str(page.evaluate("() => location.origin"))


def size_of(png: bytes) -> str:
    """Return the size of a PNG image as a manifest writes it."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return f"{width}x{height}"


def test_the_manifest_is_valid_and_its_icons_have_the_sizes_it_says(
    signed_in: Page, server: RunyardServer
) -> None:
    with server.visitor(Host=public(server).removeprefix("https://")) as nobody:
        answer = nobody.get("/manifest.webmanifest")
        assert answer.headers["content-type"] == "application/manifest+json"
        manifest = answer.json()
        for icon in manifest["icons"]:
            assert size_of(nobody.get(icon["src"]).content) == icon["sizes"]
        assert size_of(nobody.get("/assets/apple-touch-icon.png").content) == "180x180"
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == (
        "/",
        "/",
        "standalone",
    )
    assert {one["purpose"] for one in manifest["icons"]} == {"any", "maskable"}
    read = signed_in.context.new_cdp_session(signed_in).send("Page.getAppManifest")
    assert read["url"] == f"{origin_of(signed_in)}/manifest.webmanifest"
    assert read["errors"] == []
    assert json.loads(read["data"]) == manifest
    themes = signed_in.locator('meta[name="theme-color"]')
    assert themes.evaluate_all("(all) => all.map((one) => one.content)") == ["#f6f6f3", "#101113"]


def test_the_service_worker_keeps_assets_with_a_hash_and_nothing_of_a_person(
    signed_in: Page, server: RunyardServer
) -> None:
    controlled(signed_in, server)
    for path in ("/plain", "/", "/runs", "/projects", SETTINGS):
        signed_in.goto(public(server) + path)
    # the last is asked for by another version than the present one: it is not what the name says
    for path in ("/api/v1/system", "/assets/icon.svg", "/assets/theme.css?v=0123456789abcdef"):
        assert signed_in.evaluate("async (path) => (await fetch(path)).status", path) == 200
    kept = signed_in.evaluate(KEPT)
    assert any("/assets/page.css?v=" in one for one in kept)
    assert any("/assets/fonts/" in one for one in kept)
    for one in kept:
        path = one.removeprefix(origin_of(signed_in))
        assert path.startswith("/assets/"), one
        assert "?v=" in path, one
        assert "0123456789abcdef" not in path, one


def test_the_next_version_of_the_service_worker_removes_what_an_older_one_kept(
    signed_in: Page, server: RunyardServer
) -> None:
    controlled(signed_in, server)
    names = signed_in.evaluate(
        """async () => {
          await caches.open("runyard-assets-older");
          await caches.open("somebody-else");
          await (await navigator.serviceWorker.ready).unregister();
          location.reload();
        }"""
    )
    assert names is None
    signed_in.wait_for_function(
        "async () => !(await caches.keys()).includes('runyard-assets-older')"
    )
    left = signed_in.evaluate("() => caches.keys()")
    assert "somebody-else" in left


def test_a11_a_notification_leads_to_a_page_of_this_server_whatever_it_says(
    signed_in: Page, server: RunyardServer
) -> None:
    worker = controlled(signed_in, server)
    home = origin_of(signed_in)
    leads = {
        "/runs/run_1": f"{home}/runs/run_1",
        "/projects/p/changes/3?a=b": f"{home}/projects/p/changes/3?a=b",
        "//evil.example/a": f"{home}/",
        "/\\evil.example": f"{home}/",
        "https://evil.example/": f"{home}/",
        "javascript:alert(1)": f"{home}/",
        "http://[": f"{home}/",
    }
    for path, address in leads.items():
        assert worker.evaluate("(path) => addressOf(path)", path) == address
    for odd in (None, 3, {}, []):
        assert worker.evaluate("(path) => addressOf(path)", odd) == f"{home}/"


def test_a_pushed_message_is_shown_as_plain_text_and_opens_its_page(
    signed_in: Page, server: RunyardServer
) -> None:
    worker = controlled(signed_in, server)
    worker.evaluate(SHOWS)
    told = {"title": "shop <b>delivered</b>", "sentence": "#1 Repair it", "path": "/runs/r"}
    push(signed_in, json.dumps(told | {"id": "notice_1"}))
    title, how = worker.evaluate(SHOWN)
    assert title == told["title"]
    assert how["body"] == told["sentence"]
    assert (how["tag"], how["data"]) == ("notice_1", {"path": "/runs/r"})
    push(signed_in, "no JSON")
    assert worker.evaluate(SHOWN)[0] == "Runyard"


def push(page: Page, data: str) -> None:
    """Deliver a message to the service worker as a push service does."""
    devtools = page.context.new_cdp_session(page)
    known: list[str] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: known.extend(one["registrationId"] for one in told["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    while not known:
        page.evaluate("() => 0")
    how = {"origin": origin_of(page), "registrationId": known[0], "data": data}
    devtools.send("ServiceWorker.deliverPushMessage", how)
    devtools.detach()


def test_this_device_is_added_tried_and_removed(open_page: OpenPage, server: RunyardServer) -> None:
    page = open_page()
    phone = FakeBrowser("phone", 9)
    page.add_init_script(f"{PERMITS}({SUBSCRIBES})({json.dumps(phone.subscription)})")
    page.goto(server.new_link())
    controlled(page, server, SETTINGS)
    notify, row = page.get_by_test_id("notify-device"), page.get_by_test_id("device-row")
    notify.click()
    expect(row).to_have_count(1)
    expect(row).to_contain_text("on Linux")
    expect(row).to_contain_text("this device")
    expect(notify).to_be_hidden()
    expect(page.get_by_test_id("device-state")).to_have_text("This device gets your notifications.")
    # its address is one of this machine, which a server never reaches
    page.get_by_test_id("test-device").click()
    expect(page.get_by_test_id("toast")).to_contain_text("not in the public Internet")
    expect(row).to_contain_text("not in the public Internet")
    page.reload()
    expect(row).to_contain_text("this device")
    page.get_by_test_id("remove-device").click()
    expect(row).to_have_count(0)
    expect(notify).to_be_visible()
    page.wait_for_function("() => localStorage.getItem('subscribed') === null")


def test_a_browser_that_blocks_notifications_says_what_to_do(
    open_page: OpenPage, server: RunyardServer
) -> None:
    page = open_page()
    page.add_init_script(
        "Object.defineProperty(Notification, 'permission', { get: () => 'denied' })"
    )
    page.goto(server.new_link())
    page.goto(public(server) + SETTINGS)
    expect(page.get_by_test_id("device-state")).to_contain_text("blocks notifications")
    expect(page.get_by_test_id("notify-device")).to_be_hidden()
