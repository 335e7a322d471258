"""Resetting an idempotency key over HTTP: the key is free at once, and its run continues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

LATER = 3600


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("resets")) as shop:
        shop.add_project("shop")
        shop.add_project("other")
        yield shop


def submit(shop: Workshop, key: str, task: str = "by key") -> httpx.Response:
    body = {"project_id": shop.projects["shop"]["id"], "task": task, "delay": LATER}
    return shop.api.post("/runs", json=body, headers={"x-idempotency-key": key})


def reset(shop: Workshop, key: str, project: str = "shop", **body: Any) -> httpx.Response:
    given = {"project_id": shop.projects[project]["id"], **body}
    return shop.api.post(f"/idempotency-keys/{quote(key, safe='')}/reset", json=given)


def test_a_reset_key_starts_a_new_run_and_the_first_goes_on(shop: Workshop) -> None:
    first = submit(shop, "again").json()
    answer = reset(shop, "again")
    told = {"key": "again", "project_id": first["project_id"], "run_id": first["id"]}
    assert first["idempotency_key"] == "again"
    assert (answer.status_code, answer.json()) == (200, told)
    assert shop.api.get(f"/runs/{first['id']}").json()["idempotency_key"] is None
    second = submit(shop, "again", "with another body")
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]
    assert submit(shop, "again", "with another body").json()["id"] == second.json()["id"]
    assert shop.api.get(f"/runs/{first['id']}").json()["status"] == "delayed"
    lines = shop.api.get(f"/runs/{first['id']}/timeline").json()["items"]
    assert lines[-1]["sentence"] == "its idempotency key was reset"


def test_a_stopped_run_lets_its_key_go_only_by_a_reset(shop: Workshop) -> None:
    run_id = submit(shop, "stopped").json()["id"]
    shop.stop(run_id)
    assert submit(shop, "stopped").status_code == 200
    assert reset(shop, "stopped").json()["run_id"] == run_id
    assert submit(shop, "stopped").status_code == 201


def test_what_no_run_holds_is_not_found(shop: Workshop) -> None:
    submit(shop, "held")
    for answer in (
        reset(shop, "unknown"),
        reset(shop, "held", "other"),
        reset(shop, "held", project_id="proj_" + "0" * 24),
    ):
        assert (answer.status_code, problem(answer)["error"]) == (404, "not_found")
    assert reset(shop, "held").status_code == 200
    assert problem(reset(shop, "held"))["error"] == "not_found"


@pytest.mark.parametrize("key", ["two words", "x" * 256, "schlüssel"])
def test_what_is_no_key_is_malformed(shop: Workshop, key: str) -> None:
    assert problem(reset(shop, key))["status"] == 422


@pytest.mark.parametrize(
    "key", ["~" * 255, "a+b&c=d%e", "?#", "ci/nightly/7", "/reset", "a//b/", "x/../../y;\\z"]
)
def test_every_key_can_be_named(shop: Workshop, key: str) -> None:
    run_id = submit(shop, key).json()["id"]
    assert reset(shop, key).json() == {
        "key": key,
        "project_id": shop.projects["shop"]["id"],
        "run_id": run_id,
    }


def test_other_fields_and_other_methods_are_refused(shop: Workshop) -> None:
    assert problem(reset(shop, "k", force=True))["status"] == 422
    assert problem(shop.api.get("/idempotency-keys/k/reset"))["status"] == 405
