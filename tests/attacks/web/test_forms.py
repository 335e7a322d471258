"""A3, A11, A14, A18, A24: attacks on the no-script forms and their page."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.plain.form_content import own_path
from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.servers.workshop import Workshop, problem
from tests.drivers.web.form_doors import browser, secret_of, state
from tests.drivers.web.web_doors import raw_answer

ASTRAY = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https://evil.example/plain",
    "http:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example/plain",
    "@evil.example",
    ".evil.example",
    "/%2f/evil.example",
    "/%2Fevil.example",
    "/%252fevil.example",
    "/%5cevil.example",
    "/%5c%5cevil.example",
    "/\tevil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/%09/evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/plain\r\nSet-Cookie: a=b",
    "/./%2f/evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/a/../..//evil.example",
    "/a/%2e%2e/%2fevil.example",
    "\u2044\u2044evil.example",
    "/\u2215evil.example",
    "\u3000//evil.example",
    " //evil.example",
    "/plain?x=\r\nSet-Cookie: a=b",
    "/plain?<script>",
]


def actions(project: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """Return every form action, with fields that are valid for it."""
    return (
        (f"/afk/reset/{project}", {}),
        (f"/afk/start/{project}", {}),
        (f"/afk/auto/{project}", {"enabled": "on"}),
        ("/afk/stop/run_none", {}),
    )


# --- other pages -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a03_a_form_of_another_page_does_nothing_though_it_knows_the_secret(
    shop: Workshop, project: str, headers: dict[str, str]
) -> None:
    before = state(shop)
    with browser(shop) as caller:
        secret = secret_of(caller)
        for path, fields in actions(project):
            answer = caller.post(path, data={"csrf": secret, **fields}, headers=headers)
            assert (answer.status_code, "Nothing was changed" in answer.text) == (403, True)
    assert state(shop) == before


def test_a03_the_cookie_and_the_secret_without_a_word_on_the_page_do_nothing(
    shop: Workshop, project: str
) -> None:
    before = state(shop)
    with browser(shop) as caller:
        secret = secret_of(caller)
        for name in ("Origin", "Sec-Fetch-Site"):
            del caller.headers[name]
        for path, fields in actions(project):
            assert caller.post(path, data={"csrf": secret, **fields}).status_code == 403
    assert state(shop) == before


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "", "text/html"])
def test_a03_only_a_plain_form_is_read(shop: Workshop, project: str, kind: str) -> None:
    before = state(shop)
    with browser(shop) as caller:
        secret = secret_of(caller)
        parts = f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{secret}\r\n--x--\r\n'
        content = parts if "boundary" in kind else f"csrf={secret}&enabled=on"
        for path, _ in actions(project):
            headers = {"Content-Type": kind} if kind else {}
            answer = caller.post(path, content=content, headers=headers)
            assert (answer.status_code, problem(answer)["error"]) == (415, "wrong_media_type")
        json = caller.post(f"/afk/reset/{project}", json={"csrf": secret})
        assert json.status_code == 415
    assert state(shop) == before


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
def test_a03_without_the_sessions_own_secret_nothing_happens(
    shop: Workshop, project: str, accept: str
) -> None:
    before = state(shop)
    with browser(shop) as caller, browser(shop) as other:
        own, others = secret_of(caller), secret_of(other)
        assert own != others
        wrong = ("", "x", own[:-1], own + "x", own.swapcase(), others, "\x00", "ü" * 43)
        tries: list[dict[str, Any]] = [{"csrf": secret} for secret in wrong]
        tries += [{}, {"csrf": [own, own]}, {"csrf": [others, own]}, {"CSRF": own}]
        for given in tries:
            for path, fields in actions(project):
                answer = caller.post(path, data={**given, **fields}, headers={"Accept": accept})
                assert answer.status_code == 403, (given, path)
                assert own not in answer.text
                assert others not in answer.text
    assert state(shop) == before


def test_a03_the_secret_in_the_address_or_a_header_is_none(shop: Workshop, project: str) -> None:
    before = state(shop)
    with browser(shop) as caller:
        secret = secret_of(caller)
        for path, fields in actions(project):
            answer = caller.post(f"{path}?csrf={secret}", data=fields, headers={"csrf": secret})
            assert answer.status_code == 403
    assert state(shop) == before


def test_a03_a_secret_ends_with_its_session(shop: Workshop, project: str) -> None:
    with browser(shop) as caller:
        secret, cookies = secret_of(caller), dict(caller.cookies)
        assert caller.post("/logout").status_code == 303
        caller.cookies.update(cookies)
        before = state(shop)
        for path, fields in actions(project):
            assert caller.post(path, data={"csrf": secret, **fields}).status_code == 401
    assert state(shop) == before


def test_a03_nothing_is_changed_by_looking(shop: Workshop, project: str) -> None:
    before = state(shop)
    with browser(shop) as caller:
        secret = secret_of(caller)
        for path, fields in actions(project):
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = caller.request(method, path, params={"csrf": secret, **fields})
                assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        caller.get("/plain", params={"csrf": secret, "enabled": "on", "project": project})
    assert state(shop) == before


def test_a05_without_signing_in_there_is_neither_page_nor_action(
    shop: Workshop, project: str
) -> None:
    with httpx.Client(base_url=shop.server.url, trust_env=False, timeout=WAIT_SECONDS) as stranger:
        assert stranger.get("/plain").status_code == 401
        for path, fields in actions(project):
            assert stranger.post(path, data=fields).status_code == 401


# --- redirects elsewhere -----------------------------------------------------------------------


@pytest.mark.parametrize("target", ASTRAY)
def test_a11_no_way_back_leads_elsewhere(target: str) -> None:
    assert own_path(target) is None


@given(st.text(alphabet="/\\\\.%2f5cehvil:?#@ \t\r\n", max_size=24))
def test_a11_whatever_is_taken_for_a_way_back_stays_here(target: str) -> None:
    taken = own_path(target)
    if taken is not None:
        place = urlsplit(urljoin("http://here.test/plain", taken))
        assert (place.scheme, place.netloc) == ("http", "here.test")
        assert re.fullmatch(r"/([!-.0-\[\]-~][!-~]*)?", taken)


def test_a11_no_form_and_no_referer_leads_elsewhere(shop: Workshop, project: str) -> None:
    own = shop.server.url
    referers = [f"{own}.evil.example/x", f"{own}@evil.example/x", "https://evil.example/plain"]
    referers += [f"{own}//evil.example", f"{own}/\\evil.example", "//evil.example", own]
    with browser(shop) as caller:
        secret = secret_of(caller)
        for target in ASTRAY:
            answer = caller.post(f"/afk/reset/{project}", data={"csrf": secret, "next": target})
            assert answer.headers["location"] == "/plain?notice=was_reset"
            assert "set-cookie" not in answer.headers
        for referer in referers:
            came = {"Referer": referer}
            answer = caller.post(f"/afk/reset/{project}", data={"csrf": secret}, headers=came)
            assert answer.headers["location"] == "/plain?notice=was_reset"


@pytest.mark.parametrize(
    "notice",
    [
        "%0d%0aSet-Cookie:%20a=b",
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "Your+session+ended.+Call+555",
        "__doc__",
        "errors",
        "x" * 4000,
    ],
)
def test_a24_a_notice_says_only_what_we_say(shop: Workshop, notice: str) -> None:
    request = [
        f"GET /plain?notice={notice} HTTP/1.1",
        f"Host: 127.0.0.1:{shop.server.port}",
        f"Authorization: Bearer {shop.server.token}",
        "Connection: close",
    ]
    status, answer = raw_answer(shop.server.port, "\r\n".join([*request, "", ""]).encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status == 200
    assert b"set-cookie" not in head.lower()
    assert b'data-testid="notice"' not in body
    assert b"<script" not in body
    # the full phrase: the digits alone may occur in a CSRF token or an id
    assert b"Call 555" not in body
    assert b"Call+555" not in body
