"""Statistics of a project's runs over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

NOTHING_TOLD = {"input_tokens": None, "output_tokens": None, "cost_usd": None}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("figures")) as shop:
        shop.add_project("shop")
        yield shop


def test_runs_that_ended_are_in_the_figures_at_once(shop: Workshop) -> None:
    project_id = str(shop.projects["shop"]["id"])
    path = f"/projects/{project_id}/figures"
    none = shop.api.get(path, params={"days": 7}).json()
    assert [one["ended"] for one in none["items"]] == [0] * 7
    assert none["totals"]["mean_seconds"] is None
    shop.delivered(project_id, "please commit")
    found = shop.api.get(path).json()
    days = [one["day"] for one in found["items"]]
    assert len(days) == 30
    assert days == sorted(days)
    totals = found["totals"]
    assert (totals["ended"], totals["succeeded"], totals["began"]) == (1, 1, 1)
    assert totals["mean_seconds"] > 0
    assert totals["success_rate"] == 1.0
    assert {name: totals[name] for name in NOTHING_TOLD} == NOTHING_TOLD
    system = shop.api.get("/system").json()
    assert (system["success_rate"], system["ended_7d"]) == (1.0, 1)


def test_what_there_is_of_a_project_is_counted(shop: Workshop) -> None:
    project_id = shop.add_project("counted")
    path = f"/projects/{project_id}/counts"
    assert shop.api.get(path).json() == {"runs": 0, "open_issues": 0, "open_changes": 0}
    shop.issue(project_id)
    shop.delivered(project_id)
    waits = shop.start(project_id, "later", delay=3600)
    assert shop.api.get(path).json() == {"runs": 2, "open_issues": 1, "open_changes": 1}
    shop.stop(waits["id"])
    closed = {"state": "closed"}
    assert shop.api.patch(f"/projects/{project_id}/issues/1", json=closed).status_code == 200
    assert shop.api.get(path).json() == {"runs": 2, "open_issues": 0, "open_changes": 1}


@pytest.mark.parametrize("days", [0, 367, "x", ""])
def test_days_that_make_no_sense_are_refused(shop: Workshop, days: object) -> None:
    path = f"/projects/{shop.projects['shop']['id']}/figures"
    assert problem(shop.api.get(path, params={"days": str(days)}))["error"] == "invalid"


def test_an_unknown_project_has_no_figures(shop: Workshop) -> None:
    for path in ("figures", "counts"):
        answer = shop.api.get(f"/projects/proj_nothing/{path}")
        assert (answer.status_code, problem(answer)["error"]) == (404, "not_found")
