"""Unknown query parameters are refused by name, so that no script relies on an ignored one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("words")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def readings(shop: Workshop) -> dict[str, set[str]]:
    """Every GET path of the OpenAPI document, with its query parameters."""
    paths: dict[str, Any] = shop.api.get("/openapi.json").json()["paths"]
    return {
        path: {one["name"] for one in calls["get"].get("parameters", ()) if one["in"] == "query"}
        for path, calls in paths.items()
        if "get" in calls
    }


def refused_by(answer: httpx.Response) -> dict[str, Any]:
    told = problem(answer)
    assert (told["status"], told["error"]) == (422, "invalid")
    return told


def placed(path: str) -> str:
    return path.replace("{number}", "1").replace("{", "").replace("}", "")


def test_every_call_that_reads_refuses_a_word_it_does_not_know(
    shop: Workshop, readings: dict[str, set[str]]
) -> None:
    assert {"/runs", "/projects", "/events", "/runs/{run_id}/log", "/quota/runs"} <= set(readings)
    for path, words in readings.items():
        answer = shop.api.get(placed(path), params={"bogus": "1"})
        refused = refused_by(answer)
        assert refused["errors"][0]["field"] == "bogus", path
        assert "bogus" in refused["detail"], path
        assert all(word in refused["detail"] for word in words), path


@pytest.mark.parametrize(
    "word", ["sort", "order", "offset", "started_after", "Status", "project", "status[]", "größe"]
)
def test_a_list_of_runs_is_never_sorted_or_filtered_by_what_it_does_not_know(
    shop: Workshop, word: str
) -> None:
    refused = refused_by(shop.api.get("/runs", params={word: "x", "limit": 1}))
    assert [one["field"] for one in refused["errors"]] == [word]


def test_all_unknown_words_are_named_at_once_and_an_empty_one_is_unknown_too(
    shop: Workshop,
) -> None:
    refused = refused_by(shop.api.get("/runs?b=&a=1&a=2&limit=5"))
    assert [one["field"] for one in refused["errors"]] == ["a", "b"]
    flood = "&".join(f"w{number}{'x' * 300}=1" for number in range(60))
    refused = refused_by(shop.api.get(f"/runs?{flood}"))
    assert len(refused["errors"]) == 20
    assert all(len(one["field"]) == 100 for one in refused["errors"])


@pytest.mark.parametrize(
    ("path", "word"),
    [("/runs", "created_after"), ("/runs", "created_before"), ("/audit", "since")],
)
@pytest.mark.parametrize("moment", ["9999-12-31T23:59:00-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_moment_at_the_edge_of_the_calendar_is_refused_by_its_name(
    shop: Workshop, path: str, word: str, moment: str
) -> None:
    refused = refused_by(shop.api.get(path, params={word: moment}))
    assert refused["errors"] == [{"field": word, "message": "There is no such time."}]
