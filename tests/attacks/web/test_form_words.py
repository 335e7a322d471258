"""A9, A14, A18, A48: hostile text on the no-script page, and oversized forms."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from app.errors import Invalid
from tests.drivers.servers.workshop import Workshop
from tests.drivers.web.form_doors import FORM, browser, secret_of, state
from tests.drivers.web.web_doors import raw_answer

MARKUP = (
    '";alert(1)//<img src=x onerror=alert(1)>',
    "'><script>alert(1)</script>",
    "</title></article><svg/onload=alert(1)>",
    "{{ 2 * 'runyard' }}{% for x in y %}",
    "<a href=javascript:alert(1)>x</a>",
    "&lt;script&gt; &#60;b&#62; %3Cb%3E",
)


class Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


TAGS = {
    *("html", "head", "meta", "title", "link", "body", "main", "header", "footer", "span", "i"),
    *("h1", "h2", "p", "a", "b", "br", "code", "time", "div", "ol", "li", "article", "details"),
    *("summary", "form", "input", "label", "button"),
}


@pytest.mark.parametrize("hostile", MARKUP, ids=ascii)
def test_a18_what_others_wrote_is_text(shop: Workshop, hostile: str) -> None:
    mark = MARKUP.index(hostile)
    origin = shop.origin(f"hostile {mark}")
    project = shop.add_project(f"{mark}{hostile}", origin=origin)
    shop.issue(project, hostile, body="please wait")
    run = shop.live(shop.api.post(f"/projects/{project}/afk/start").json()["id"])
    with browser(shop) as caller:
        page = caller.get("/plain").text
        secret = secret_of(caller)
        fragment = caller.post(
            f"/afk/auto/{project}",
            data={"csrf": secret, "enabled": "off"},
            headers={"X-Runyard-Fragment": "1"},
        ).text
        stopped = {"csrf": secret, "because": hostile}
        assert caller.post(f"/afk/stop/{run['id']}", data=stopped).status_code == 303
        shop.ended(run["id"])
        after = caller.get("/plain").text
    for text in (page, fragment, after):
        assert hostile not in text
        assert "runyardrunyard" not in text
        for tag, attributes in Elements(text).found:
            assert tag in TAGS
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            targets = [attributes.get(name) or "/" for name in ("href", "action")]
            assert all(re.match(r"/(?!/)", target) for target in targets), targets
    assert shop.api.get(f"/runs/{run['id']}").json()["because"] == hostile


def test_a14_the_page_runs_and_loads_nothing_foreign(shop: Workshop, project: str) -> None:
    with browser(shop) as caller:
        given = caller.get("/plain").headers
    policy = dict(
        part.strip().split(" ", 1) for part in given["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert given["x-frame-options"] == "DENY"
    assert given["cache-control"] == "no-store"
    assert given["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e", "a%2fb", "a%5cb", "%00", "a;b", "a//b", "x" * 5000, "%ff", "' OR 1=1--"],
)
def test_a09_odd_names_of_projects_reach_nothing(shop: Workshop, name: str) -> None:
    request = [
        f"POST /afk/reset/{name.replace(' ', '%20')} HTTP/1.1",
        f"Host: 127.0.0.1:{shop.server.port}",
        f"Authorization: Bearer {shop.server.token}",
        "Content-Length: 0",
        "Accept: application/json",
        "Connection: close",
    ]
    status, _ = raw_answer(shop.server.port, "\r\n".join([*request, "", ""]).encode())
    assert status in {400, 404}


def test_a48_a_large_or_crowded_form_is_refused_early(shop: Workshop, project: str) -> None:
    before = state(shop)
    with browser(shop) as caller:
        secret = secret_of(caller)
        headers = {"Content-Type": FORM}
        for size in (9_000, 900_000, 2_000_000):
            content = f"csrf={secret}&enabled=on&x={'y' * size}"
            answer = caller.post(f"/afk/auto/{project}", content=content, headers=headers)
            assert answer.status_code == 413
        crowd = "&".join(f"f{n}=" for n in range(1000))
        answer = caller.post(f"/afk/auto/{project}", content=crowd, headers=headers)
        assert answer.status_code == Invalid.status
    assert state(shop) == before
