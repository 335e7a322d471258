"""Validation errors: one response lists all faults, of the body's shape and of server checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("at_once")) as shop:
        shop.add_project("shop")
        yield shop


def errors_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    told = problem(answer)
    assert told["error"] == "invalid"
    return {one["field"]: one["message"] for one in told["errors"]}


def test_a_settings_form_hears_of_all_its_faults_in_one_round(shop: Workshop) -> None:
    path = f"/projects/{shop.projects['shop']['id']}"
    body: dict[str, Any] = {"max_concurrency": 0, "base_branch": "nonsuch", "branch_pattern": "x y"}
    assert errors_of(shop.api.patch(path, json=body)) == {
        "max_concurrency": "Must be 1 or more.",
        "base_branch": "The repository has no branch nonsuch.",
        "branch_pattern": "The pattern needs <N> exactly once.",
    }
    del body["max_concurrency"]
    assert set(errors_of(shop.api.patch(path, json=body))) == {"base_branch", "branch_pattern"}


def test_an_order_hears_of_all_its_faults_in_one_round(shop: Workshop) -> None:
    body = {
        "project_id": shop.projects["shop"]["id"],
        "branch": "nonsuch",
        "agent": "nobody",
        "target_framework": "cobol-unit",
    }
    shape = {"issue": "abc", "depth_level": "bottomless", "colour": 1, "tags": ["x" * 129]}
    known = {
        "branch": "The repository has no branch nonsuch.",
        "agent": "No agent is called 'nobody'.",
        "target_framework": "This framework is not one of the project's.",
    }
    assert errors_of(shop.api.post("/runs", json={**body, **shape})) == known | {
        "issue": "Must be a whole number.",
        "depth_level": "Must be one of: quick, standard, deep.",
        "colour": "There is no such field.",
        "tags.0": "Must have at most 128 characters.",
    }
    assert errors_of(shop.api.post("/runs", json=body)) == known
    assert shop.api.get("/runs").json()["items"] == []


def test_a_new_project_hears_of_all_its_faults_in_one_round(shop: Workshop) -> None:
    body = {"name": " ", "origin": "ftp://x", "agent": "nobody", "branch_pattern": "afk"}
    assert set(errors_of(shop.api.post("/projects", json=body))) == set(body)
    wrong = errors_of(shop.api.post("/projects", json={**body, "budget_seconds": "long"}))
    assert set(wrong) == {*body, "budget_seconds"}


@pytest.mark.parametrize("project_id", ["proj_0", 7, None])
def test_of_a_project_that_there_is_not_the_shape_alone_is_told(
    shop: Workshop, project_id: object
) -> None:
    body = {"project_id": project_id, "branch": "nonsuch", "issue": "abc"}
    assert "branch" not in errors_of(shop.api.post("/runs", json=body))


@pytest.mark.parametrize("limit", ["1000", "abc", "0"])
def test_a_wrong_query_word_is_told_in_our_words(shop: Workshop, limit: str) -> None:
    told = errors_of(shop.api.get("/runs", params={"limit": limit}))
    assert told["limit"].startswith("Must be ")
