"""Runyard behind Caddy and nginx, each with its file from deploy/, as people far away use it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.drivers.people import PASSWORD
from tests.drivers.servers.processes import free_port
from tests.drivers.servers.proxies import HOST, Proxy, proxy_before
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.web.browsers import WIDE, launch_arguments

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

# an address of this machine that is not the proxy's own, so that the audit can tell both apart
FAR_AWAY = "127.0.0.2"
AT_ONCE_SECONDS = 5


@dataclass(frozen=True)
class Served:
    """A server, and the proxy by which people reach it."""

    shop: Workshop
    proxy: Proxy

    def visitor(self, **headers: str) -> httpx.Client:
        """Return a client that reaches the proxy from FAR_AWAY, by the public name."""
        own = {"Host": f"{HOST}:{self.proxy.port}"}
        transport = httpx.HTTPTransport(local_address=FAR_AWAY, verify=self.proxy.trust)
        # the address is this machine's; the certificate is asked for by its name
        client = httpx.Client(transport=transport, headers=own | headers, timeout=30)
        client.base_url = httpx.URL(f"https://127.0.0.1:{self.proxy.port}")
        client.event_hooks["request"].append(_by_name)
        return client


def _by_name(request: httpx.Request) -> None:
    request.extensions["sni_hostname"] = HOST


@pytest.fixture(scope="module", params=["caddy", "nginx"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server under a public URL, with its proxy in front."""
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    beyond = {
        "RUNYARD_PUBLIC_URL": f"https://{HOST}:{port}",
        "RUNYARD_TRUSTED_PROXIES": "127.0.0.1",
    }
    with (
        open_workshop(folder, **beyond) as shop,
        proxy_before(shop.server.port, request.param, folder / "proxy", port) as proxy,
    ):
        yield Served(shop, proxy)


@contextmanager
def browser_for(served: Served) -> Iterator[BrowserContext]:
    """Open a browser that finds the public name on this machine."""
    with sync_playwright() as playwright:
        given = launch_arguments(playwright.chromium)
        given["args"] = [*given["args"], f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
        with playwright.chromium.launch(**given) as browser:
            context = browser.new_context(viewport=WIDE, ignore_https_errors=True)
            context.set_default_timeout(30_000)
            yield context


def test_somebody_far_away_is_invited_signs_in_and_sees_a_run_live(served: Served) -> None:
    shop = served.shop
    project = shop.add_project("far")
    email = {"email": "ada@runyard.test", "role": "operator"}
    invited = shop.api.post("/people", json=email).raise_for_status().json()
    link = invited["invitation"]["url"]
    assert link.startswith(f"{served.proxy.url}/login/invitation")
    with browser_for(served) as context:
        page = context.new_page()
        complaints = list[str]()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(link)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("button").first.click()
        page.wait_for_selector(".shell")
        assert {cookie.get("name") for cookie in context.cookies()} >= {
            f"__Host-runyard_{served.proxy.port}"
        }
        assert all(cookie.get("secure") for cookie in context.cookies())
        page.goto(f"{served.proxy.url}/projects/{project}")
        run = _run_is_seen_live(served, page, project)
        page.goto(f"{served.proxy.url}/runs/{run}")
        expect(page.get_by_text("please wait far away").first).to_be_visible()
        shop.stop(run)
        expect(page.get_by_text("Stopped").first).to_be_visible()
        assert complaints == []


def _run_is_seen_live(served: Served, page: Page, project: str) -> str:
    # the page is told of it by its web socket: it is not loaded again
    page.wait_for_function("() => window.socket && window.socket.connected")
    run = served.shop.start(project, "please wait far away")["id"]
    served.shop.live(run)
    expect(page.get_by_role("link", name="Runs 1 live")).to_be_visible()
    return str(run)


def test_every_line_of_an_event_stream_passes_at_once(served: Served) -> None:
    shop = served.shop
    project = shop.add_project("streamed")
    bearer = {"Authorization": shop.api.headers["Authorization"]}
    with (
        served.visitor(**bearer) as far,
        far.stream("GET", "/api/v1/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        begun = time.monotonic()
        run = shop.start(project, "please commit")["id"]
        assert any(run in line for line in lines)
        assert time.monotonic() - begun < AT_ONCE_SECONDS
    shop.ended(run)


def test_the_audit_names_the_address_of_the_person_whatever_they_say(served: Served) -> None:
    headers = {
        "Authorization": served.shop.api.headers["Authorization"],
        "X-Forwarded-For": "198.51.100.9",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=198.51.100.9",
    }
    with served.visitor(**headers) as far:
        assert far.post("/api/v1/login-links").status_code == 201
    [row] = served.shop.api.get("/audit", params={"limit": 1}).json()["items"]
    assert (row["deed"], row["address"]) == ("make_login_link", FAR_AWAY)


def test_answers_bind_browsers_to_https_and_another_name_is_refused(served: Served) -> None:
    with served.visitor(Accept="text/html") as far:
        sign_in = far.get("/login")
        assert sign_in.status_code == 401
        assert sign_in.headers["strict-transport-security"] == "max-age=31536000"
        # Caddy has no site of this name and answers nothing; nginx closes the connection
        try:
            other = far.get("/login", headers={"Host": "evil.example"})
        except httpx.RemoteProtocolError:
            return
        assert other.content == b""


def test_plain_http_leads_to_our_name_alone(served: Served) -> None:
    if served.proxy.program == "caddy":
        pytest.skip("CADDY: it makes its redirects by itself, for the names of its sites")
    plain = f"http://127.0.0.1:{served.proxy.plain_port}"
    with httpx.Client(base_url=plain, trust_env=False, timeout=30) as far:
        sent_on = far.get("/runs?a=b", headers={"Host": HOST})
        assert sent_on.status_code == 301
        assert sent_on.headers["location"] == f"https://{HOST}/runs?a=b"
        with pytest.raises(httpx.RemoteProtocolError):
            far.get("/runs", headers={"Host": "evil.example"})


def test_a_large_batch_passes_and_a_larger_one_is_refused_by_a_status(served: Served) -> None:
    shop = served.shop
    project = shop.add_project("large")
    bearer = {"Authorization": shop.api.headers["Authorization"]}
    with served.visitor(**bearer) as far:
        batch = far.post("/api/v1/batches", json={"project_id": project, "run_count": 2})
        assert batch.status_code == 202, batch.text
        items = f"/api/v1/batches/{batch.json()['id']}/items"
        ndjson = {"Content-Type": "application/x-ndjson"}
        line = b'{"index": 0, "depth_level": "quick", "task": "please wait in vain"}\n'
        padded = line + b" " * (8 * 1024 * 1024) + b"\n"
        taken = far.post(items, content=padded, headers=ndjson)
        assert taken.status_code == 200, taken.text
        refused = far.post(items, content=b"x" * (65 * 1024 * 1024), headers=ndjson)
        assert refused.status_code == 413


def test_a_web_socket_without_a_session_is_refused(served: Served) -> None:
    address = f"wss://{HOST}:{served.proxy.port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    line = socket.create_connection(("127.0.0.1", served.proxy.port), timeout=30)
    with (
        pytest.raises(InvalidStatus, match=r"40[13]"),
        connect(address, sock=line, ssl=served.proxy.trust, server_hostname=HOST, proxy=None),
    ):
        pass
