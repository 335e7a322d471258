"""Idempotency over HTTP: one run per key, however often the request is repeated."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

LATER = 3600


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    # release the keys of dead runs at once
    settings = {"RUNYARD_KEY_HOLD_SECONDS": "0"}
    with open_workshop(tmp_path_factory.mktemp("keys"), **settings) as shop:
        shop.add_project("shop")
        shop.add_project("other")
        yield shop


@pytest.fixture(scope="module")
def body(shop: Workshop) -> dict[str, Any]:
    return {"project_id": shop.projects["shop"]["id"], "task": "by key", "delay": LATER}


def runs_of(shop: Workshop, project: str) -> int:
    asked = {"project_id": shop.projects[project]["id"], "limit": 100}
    return len(shop.api.get("/runs", params=asked).json()["items"])


@pytest.mark.parametrize("header", ["x-idempotency-key", "Idempotency-Key", "IDEMPOTENCY-KEY"])
def test_a_replay_answers_the_run_that_the_key_has_made(
    shop: Workshop, body: dict[str, Any], header: str
) -> None:
    key = f"replay {header}".replace(" ", "-")
    first = shop.api.post("/runs", json=body, headers={header: key})
    again = shop.api.post("/runs", json={**body, "x_idempotency_key": key})
    assert (first.status_code, again.status_code) == (201, 200)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()


@pytest.mark.parametrize("length", [1, 255])
def test_a_key_has_1_to_255_visible_characters(
    shop: Workshop, body: dict[str, Any], length: int
) -> None:
    answer = shop.api.post("/runs", json=body, headers={"x-idempotency-key": "~" * length})
    assert answer.status_code == 201


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "schlüssel", "tab\there"])
@pytest.mark.parametrize("header", ["x-idempotency-key", "idempotency-key"])
def test_what_is_no_key_is_malformed(
    shop: Workshop, body: dict[str, Any], header: str, key: str
) -> None:
    before = runs_of(shop, "shop")
    given = {header.encode(): key.encode("latin-1")}
    told = problem(shop.api.post("/runs", json=body, headers=given))
    assert (told["status"], told["error"]) == (422, "invalid")
    assert told["errors"][0]["field"] == header
    assert runs_of(shop, "shop") == before


@pytest.mark.parametrize(
    ("headers", "in_body"),
    [
        ({"x-idempotency-key": "a"}, "b"),
        ({"idempotency-key": "a"}, "b"),
        ({"x-idempotency-key": "a", "idempotency-key": "b"}, None),
        ({"x-idempotency-key": "a", "idempotency-key": "a"}, "b"),
    ],
)
def test_two_different_keys_are_refused(
    shop: Workshop, body: dict[str, Any], headers: dict[str, str], in_body: str | None
) -> None:
    before = runs_of(shop, "shop")
    order = {**body, "x_idempotency_key": in_body} if in_body else body
    told = problem(shop.api.post("/runs", json=order, headers=headers))
    assert (told["status"], told["error"]) == (400, "key_mismatch")
    assert runs_of(shop, "shop") == before


def test_the_same_key_three_times_is_one_key(shop: Workshop, body: dict[str, Any]) -> None:
    headers = {"x-idempotency-key": "same", "idempotency-key": "same"}
    answer = shop.api.post("/runs", json={**body, "x_idempotency_key": "same"}, headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "other",
    [
        *({"task": "another"}, {"depth_level": "deep"}, {"target_framework": "jest"}),
        *({"model": "large"}, {"tags": ["x"]}, {"ttl": 5}, {"delay": 7}, {"delivers": "report"}),
    ],
    ids=str,
)
def test_a_key_with_another_body_is_refused_and_names_the_first_run(
    shop: Workshop, body: dict[str, Any], other: dict[str, Any]
) -> None:
    given = {"x-idempotency-key": "reused"}
    first = shop.api.post("/runs", json=body, headers=given).json()
    before = runs_of(shop, "shop")
    told = problem(shop.api.post("/runs", json={**body, **other}, headers=given))
    assert (told["status"], told["error"], told["run_id"]) == (422, "key_reused", first["id"])
    assert told["detail"] == "This form has already started a run."
    assert runs_of(shop, "shop") == before


def test_a_key_is_one_projects_own(shop: Workshop, body: dict[str, Any]) -> None:
    given = {"x-idempotency-key": "everywhere"}
    first = shop.api.post("/runs", json=body, headers=given)
    order = {**body, "project_id": shop.projects["other"]["id"]}
    second = shop.api.post("/runs", json=order, headers=given)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


def test_an_equal_order_without_a_key_is_already_running(
    shop: Workshop, body: dict[str, Any]
) -> None:
    order = {**body, "task": "only once"}
    first = shop.api.post("/runs", json=order).json()
    before = runs_of(shop, "shop")
    told = problem(shop.api.post("/runs", json={**order, "model": "another"}))
    assert (told["status"], told["error"], told["run_id"]) == (409, "already_running", first["id"])
    for fact in ("project shop", "agent script", "no issue", "no request"):
        assert fact in told["detail"]
    assert runs_of(shop, "shop") == before
    keyed = shop.api.post("/runs", json=order, headers={"x-idempotency-key": "meant"})
    assert keyed.status_code == 201


def test_a_stopped_run_keeps_its_key_and_a_dead_one_gives_it_back(
    shop: Workshop, body: dict[str, Any]
) -> None:
    given = {"x-idempotency-key": "kept"}
    run_id = shop.api.post("/runs", json=body, headers=given).json()["id"]
    assert shop.stop(run_id)["status"] == "stopped"
    again = shop.api.post("/runs", json=body, headers=given)
    assert (again.status_code, again.json()["id"]) == (200, run_id)
    order, given = {**body, "task": "please fail", "delay": 0}, {"x-idempotency-key": "back"}
    dead = shop.ended(shop.api.post("/runs", json=order, headers=given).json()["id"])
    assert dead["status"] == "died"
    fresh = shop.api.post("/runs", json=order, headers=given)
    assert fresh.status_code == 201
    assert fresh.json()["id"] != dead["id"]


def test_a_refusal_is_not_kept_under_its_key(shop: Workshop, body: dict[str, Any]) -> None:
    given = {"x-idempotency-key": "refused-first"}
    refused = shop.api.post("/runs", json={**body, "branch": "none"}, headers=given)
    assert refused.status_code == 422
    assert shop.api.post("/runs", json=body, headers=given).status_code == 201


def test_f02_a_submit_whose_answer_was_lost_is_answered_the_second_time(
    shop: Workshop, body: dict[str, Any]
) -> None:
    order, key = {**body, "task": "lost"}, {"x-idempotency-key": "lost"}
    request = shop.api.build_request("POST", "/runs", json=order, headers=key)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", shop.server.port), timeout=10) as line:
        line.sendall(f"POST /api/v1/runs HTTP/1.1\r\n{head}\r\n".encode() + request.content)
        found = shop.wait("/runs?q=lost", lambda page: page["items"])["items"]
    again = shop.api.post("/runs", json=order, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, found[0]["id"])
    assert len(shop.api.get("/runs?q=lost").json()["items"]) == 1


@pytest.mark.parametrize("name", ["x-idempotency-key", "x_idempotency_key"])
def test_a_key_stands_in_the_body_by_either_name(
    shop: Workshop, body: dict[str, Any], name: str
) -> None:
    order = {**body, "task": f"by {name}"}
    first = shop.api.post("/runs", json={**order, name: f"named-{name}"})
    again = shop.api.post("/runs", json=order, headers={"x-idempotency-key": f"named-{name}"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["idempotency_key"] == f"named-{name}"


def test_two_keys_in_a_body_that_differ_are_refused(shop: Workshop, body: dict[str, Any]) -> None:
    before = runs_of(shop, "shop")
    order = {**body, "x-idempotency-key": "a", "x_idempotency_key": "b"}
    told = problem(shop.api.post("/runs", json=order))
    assert (told["status"], told["error"]) == (400, "key_mismatch")
    by_header = {**body, "x-idempotency-key": "a"}
    told = problem(shop.api.post("/runs", json=by_header, headers={"idempotency-key": "b"}))
    assert (told["status"], told["error"]) == (400, "key_mismatch")
    assert runs_of(shop, "shop") == before


@pytest.mark.parametrize(
    "call", ["/runs", "/runs/{id}/retry", "/runs/{id}/resume", "/batches", "/bulk"]
)
def test_a_description_names_both_keys_of_a_body(shop: Workshop, call: str) -> None:
    told = shop.api.get("/openapi.json").json()
    path = call.replace("{id}", "{run_id}")
    body = told["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    [ref] = re.findall(r"#/components/schemas/(\w+)", json.dumps(body))
    known = told["components"]["schemas"][ref]["properties"]
    assert {"x_idempotency_key", "x-idempotency-key"} <= set(known)
