"""Requests without a session, used links, and foreign pages that frame Runyard (A14)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import Consoles, OpenPage


def test_without_a_cookie_every_page_says_how_to_sign_in(
    open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401")
    page = open_page()
    for path in ("/", "/runs", "/projects/add", "/settings"):
        page.goto(server.url + path)
        expect(page.get_by_test_id("plain-title")).to_have_text("Sign in")
        expect(page.locator("body")).to_contain_text("runyard login-link")
        expect(page.locator(".shell")).to_have_count(0)


def test_a_link_signs_in_once(
    open_page: OpenPage, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401")
    link, first, second = server.new_link(), open_page(), open_page()
    first.goto(link)
    expect(first.get_by_test_id("live-badge")).to_have_text("Live")
    assert "token" not in first.url
    second.goto(link)
    expect(second.get_by_test_id("plain-title")).to_have_text("This link no longer works")
    second.goto(server.url)
    expect(second.get_by_test_id("plain-title")).to_have_text("Sign in")
    first.reload()
    expect(first.get_by_test_id("live-badge")).to_have_text("Live")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve another program on this machine; yield its port."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield listener.server_port
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def foreign_page(server: RunyardServer) -> Iterator[str]:
    """The address of a page of another origin that frames Runyard."""
    html = f"<h1>Win a prize</h1><iframe src='{server.page_url}/' width=900 height=600></iframe>"

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with serving(Foreign) as port:
        yield f"http://127.0.0.1:{port}/"


def test_a_foreign_page_cannot_frame_runyard(
    tab: Page, foreign_page: str, consoles: Consoles
) -> None:
    consoles.expect("frame-ancestors|X-Frame-Options|ERR_BLOCKED_BY_RESPONSE|40[134]")
    page = tab
    page.goto(foreign_page)
    expect(page.get_by_role("heading")).to_have_text("Win a prize")
    assert any("frame-ancestors" in said for said in consoles.heard)
    framed = page.frames[1]
    assert framed.locator(".shell, [data-testid]").count() == 0
    assert framed.evaluate("document.body?.innerText ?? ''").find("Projects") == -1


def test_another_program_of_this_machine_gets_no_cookie_of_ours(
    tab: Page, server: RunyardServer
) -> None:
    heard: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>A dev server</h1>")

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with serving(Listener) as port:
        for name in ("127.0.0.1", "localhost"):
            tab.goto(f"http://{name}:{port}/")
            expect(tab.get_by_role("heading")).to_have_text("A dev server")
    assert heard
    assert not "".join(heard)
    tab.goto(f"{server.url}/runs?status=died")
    expect(tab.get_by_test_id("live-badge")).to_have_text("Live")
    assert tab.url == f"{server.page_url}/runs?status=died"
