"""Hooks of a forge: signed hints that have its projects looked at, with no sign-in."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.fakes.agents.runs import until
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.twin import ForgeTwin

# no sweep comes in between
SELDOM = {"RUNYARD_SWEEP_SECONDS": "3600"}


@dataclass
class Hooked:
    """A server with a forge whose hooks it knows, and a project of its repository."""

    shop: Workshop
    twin: ForgeTwin
    hosted: Hosted
    forge: str
    project: str
    url: str
    secret: str

    def deliver(self, told: Any, *, secret: str = "", delivery: str = "") -> httpx.Response:
        """Send a signed delivery as a forge does, without a token; `told` may be the body."""
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        key = (secret or self.secret).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Gitea-Delivery": delivery or uuid4().hex,
            "X-Gitea-Signature": hmac.new(key, body, hashlib.sha256).hexdigest(),
        }
        return httpx.post(self.url, content=body, headers=headers)

    def changed(self, **more: Any) -> httpx.Response:
        """Say that the repository changed."""
        return self.deliver({"repository": {"full_name": "acme/Shop"}}, **more)


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooked]:
    twin = ForgeTwin(tmp_path_factory.mktemp("forge"))
    folder = tmp_path_factory.mktemp("hooked")
    with twin, open_workshop(folder, **SELDOM) as shop:
        twin.add_token("TOKEN_BOT")
        hosted = twin.add_repository("acme/shop")
        told = {"url": twin.url, "token": "TOKEN_BOT", "name": "work"}
        answer = shop.api.post("/forges", json=told)
        assert answer.status_code == 201, answer.text
        forge = answer.json()["id"]
        assert httpx.post(f"{shop.api.base_url}hooks/{forge}", json={}).status_code == 401
        project = shop.add_project("shop", origin=hosted.clone_url)
        told = shop.api.post("/forges/work/hook", json={}).json()
        assert told["url"].endswith(f"/api/v1/hooks/{forge}")
        yield Hooked(shop, twin, hosted, forge, project, told["url"], told["secret"])


def test_a_merge_at_the_forge_is_known_here_once_its_hook_has_come(hooked: Hooked) -> None:
    run = hooked.shop.delivered(hooked.project)
    number = run["delivery"]["number"]
    path = f"/projects/{hooked.project}/changes/{number}"
    assert hooked.shop.api.get(path).json()["state"] == "open"
    hooked.hosted.merge(number)
    answer = hooked.changed()
    assert (answer.status_code, answer.content) == (202, b"")
    hooked.shop.wait(path, lambda change: change["state"] == "merged")


def test_an_issue_that_was_labelled_is_started_by_the_loop_once_its_hook_has_come(
    hooked: Hooked,
) -> None:
    api = hooked.shop.api
    assert api.patch(f"/projects/{hooked.project}", json={"auto_enabled": True}).status_code == 200
    number = hooked.hosted.write("Add it", "please commit", "ready-for-agent", by="bot")
    assert hooked.changed().status_code == 202
    path = f"/runs?project_id={hooked.project}"
    runs = hooked.shop.wait(
        path, lambda runs: [one["issue"] for one in runs["items"]][:1] == [number]
    )
    hooked.shop.ended(runs["items"][0]["id"])
    assert api.patch(f"/projects/{hooked.project}", json={"auto_enabled": False}).status_code == 200


def test_a_delivery_that_comes_again_is_not_looked_at_again(hooked: Hooked) -> None:
    run = hooked.shop.delivered(hooked.project)
    number = run["delivery"]["number"]
    path = f"/projects/{hooked.project}/changes/{number}"
    asked = hooked.twin.calls("GET", "/pulls")
    assert hooked.changed(delivery="once").status_code == 202
    until(lambda: hooked.twin.calls("GET", "/pulls") > asked, "the request is looked at")
    hooked.hosted.close(number)
    assert hooked.changed(delivery="once").status_code == 202
    # what follows is looked at; the looks of one project take turns
    asked = hooked.twin.calls("GET", "/pulls")
    assert hooked.changed(delivery="twice").status_code == 202
    hooked.shop.wait(path, lambda change: change["state"] == "closed")
    until(lambda: hooked.twin.calls("GET", "/pulls") > asked, "it is looked at again")


def test_what_is_not_signed_by_the_forge_is_refused(hooked: Hooked) -> None:
    told = b'{"repository": {"full_name": "acme/shop"}}'
    for answer in (
        hooked.changed(secret="another"),
        httpx.post(hooked.url, content=told, headers={"Content-Type": "application/json"}),
        httpx.post(f"{hooked.url}x", content=told, headers={"Content-Type": "application/json"}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, "not_signed")
    # neither does a hook open the rest
    assert httpx.post(hooked.url.replace("/hooks/", "/forges/") + "/check").status_code == 401


@pytest.mark.parametrize("told", [b"", b"{", b"[]", b"null", b'{"repository": "acme/shop"}'])
def test_a_signed_delivery_that_says_nothing_is_taken(hooked: Hooked, told: bytes) -> None:
    assert hooked.deliver(told).status_code == 202
    assert hooked.deliver({"repository": {"full_name": "acme/another"}}).status_code == 202


def test_more_than_a_mebibyte_is_refused_whatever_its_signature(hooked: Hooked) -> None:
    told = {"repository": {"full_name": "acme/shop"}, "more": "x" * 1024**2}
    assert hooked.deliver(told).status_code == 413
    pieces = iter([b"x" * 1024] * 1025)
    headers = {"Content-Type": "application/json"}
    assert httpx.post(hooked.url, content=pieces, headers=headers).status_code == 413


def test_a_page_of_another_site_cannot_send_one(hooked: Hooked) -> None:
    headers = {"Content-Type": "application/json", "Origin": "https://example.org"}
    assert httpx.post(hooked.url, content=b"{}", headers=headers).status_code == 403


def test_a_delivery_under_another_host_name_is_refused(hooked: Hooked) -> None:
    told = b'{"repository": {"full_name": "acme/shop"}}'
    signature = hmac.new(hooked.secret.encode(), told, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Gitea-Signature": signature}
    assert httpx.post(hooked.url, content=told, headers=headers).status_code == 202
    elsewhere = headers | {"Host": "rebound.example.org"}
    assert httpx.post(hooked.url, content=told, headers=elsewhere).status_code in (400, 403, 421)


def test_a_hook_is_installed_once_where_the_token_may(hooked: Hooked) -> None:
    api = hooked.shop.api
    order = {"install": ["acme/shop"]}
    told = api.post("/forges/work/hook", json=order).json()
    assert (told["secret"], told["installed"]) == (hooked.secret, [])
    assert "admin" in told["refused"]["acme/shop"]
    hooked.hosted.admins += ("bot",)
    for _ in range(2):
        told = api.post("/forges/work/hook", json=order).json()
        assert (told["installed"], told["refused"]) == (["acme/shop"], {})
    [made] = hooked.hosted.hooks
    assert made["config"] == {
        "url": told["url"],
        "content_type": "json",
        "secret": hooked.secret,
    }
    assert {"issues", "pull_request"} <= set(made["events"])


def test_what_was_asked_of_a_forge_stands_with_it_and_in_the_metrics(hooked: Hooked) -> None:
    api = hooked.shop.api
    [forge] = api.get("/forges").json()["items"]
    spending = forge["spending"]
    assert 0 < spending["last_minute"] <= spending["requests"]
    assert (spending["remaining"], spending["reset_seconds"]) == (None, None)
    metrics = api.get(f"{hooked.shop.server.url}/metrics").text
    assert 'runyard_forge_requests_total{forge="work"}' in metrics
    assert "runyard_forge_remaining{" not in metrics


def test_a_merge_that_the_forge_makes_is_shown_canceled_and_known_once_its_hook_has_come(
    hooked: Hooked,
) -> None:
    api, hosted = hooked.shop.api, hooked.hosted
    run = hooked.shop.delivered(hooked.project)
    number = run["delivery"]["number"]
    path = f"/projects/{hooked.project}/changes/{number}"
    hosted.protection.required = ("ci/test",)
    try:
        waiting = api.post(f"{path}/merge", json={})
        assert waiting.status_code == 200, waiting.text
        assert (waiting.json()["state"], waiting.json()["merge_waits"]) == ("open", "checks")
        canceled = api.post(f"{path}/cancel-merge").json()
        assert (canceled["merge_waits"], canceled["merge_note"]) == (None, "It was canceled.")
        # with nothing to cancel it stays as it is
        assert api.post(f"{path}/cancel-merge").json() == canceled
        assert api.post(f"{path}/merge", json={}).json()["merge_waits"] == "checks"
        hosted.check(number)
        assert hooked.changed().status_code == 202
        hooked.shop.wait(path, lambda change: change["state"] == "merged")
    finally:
        hosted.protection.required = ()
    late = api.post(f"{path}/cancel-merge")
    assert (late.status_code, late.json()["error"]) == (409, "already_ended")
