"""Conditions that keep a window from opening, and addresses that leave it."""

from __future__ import annotations

import pytest

from app.domain.own_window import MARK, is_own_window
from app.native.page import is_own, may_open_outside
from app.native.window import NO_DISPLAY, NOT_INSTALLED, obstacle

HOME = "http://127.0.0.1:8080/login?token=abc"
ALL = {"webview", "PySide6"}


@pytest.mark.parametrize(
    ("installed", "environment", "platform", "sentence"),
    [
        (ALL, {"DISPLAY": ":0"}, "linux", None),
        (ALL, {"WAYLAND_DISPLAY": "wayland-0"}, "linux", None),
        (ALL, {}, "linux", NO_DISPLAY),
        (ALL, {"DISPLAY": ""}, "linux", NO_DISPLAY),
        (ALL, {}, "darwin", None),
        ({"webview"}, {"DISPLAY": ":0"}, "linux", NOT_INSTALLED),
        ({"PySide6"}, {"DISPLAY": ":0"}, "linux", NOT_INSTALLED),
        (set(), {}, "linux", NOT_INSTALLED),
    ],
)
def test_a_window_is_tried_where_it_can_be(
    installed: set[str], environment: dict[str, str], platform: str, sentence: str | None
) -> None:
    assert obstacle(environment, installed.__contains__, platform) == sentence


@pytest.mark.parametrize(
    ("address", "is_ours", "goes_out"),
    [
        ("http://127.0.0.1:8080/", True, True),
        ("http://127.0.0.1:8080/runs/1?a=b#c", True, True),
        ("http://127.0.0.1:8081/", False, True),
        ("http://127.0.0.1/", False, True),
        ("https://127.0.0.1:8080/", False, True),
        ("http://localhost:8080/", False, True),
        ("http://127.0.0.1:8080@evil.example/", False, True),
        ("http://me@127.0.0.1:8080/", False, True),
        ("http://127.0.0.1:8080.evil.example/", False, False),
        ("https://example.org/pull/7", False, True),
        ("file:///etc/passwd", False, False),
        ("javascript:alert(1)", False, False),
        ("data:text/html,hello", False, False),
        ("about:blank", False, False),
        ("ssh://example.org/", False, False),
        ("vscode://open?file=x", False, False),
        ("http://", False, False),
        ("http://[::1", False, False),
        ("http://127.0.0.1:99999/", False, False),
        ("", False, False),
    ],
)
def test_only_the_servers_own_pages_stay_in_the_window(
    address: str, is_ours: bool, goes_out: bool
) -> None:
    assert is_own(address, HOME) is is_ours
    assert may_open_outside(address) is goes_out


@pytest.mark.parametrize(
    ("browser", "is_window"),
    [(f"Mozilla/5.0 Chrome/140 {MARK}", True), ("Mozilla/5.0 Chrome/140", False), ("", False)],
)
def test_the_window_is_known_by_its_mark(browser: str, is_window: bool) -> None:
    assert is_own_window(browser) is is_window
