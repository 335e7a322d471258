"""The checks of a run over HTTP: their results, the loop's hold, and the export."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

GREEN = {"name": "tests", "command": ["/bin/sh", "-c", "echo all is well; test -s shared.txt"]}
OPTIONAL = {"name": "lint", "command": ["/bin/false"], "required": False}
MISSING = {"name": "tests", "command": ["/no/such/program"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("checks")) as shop:
        yield shop


def test_each_check_of_a_delivered_run_is_told_with_its_part_of_the_log(shop: Workshop) -> None:
    project_id = shop.add_project("checked", checks=[GREEN, OPTIONAL])
    run = shop.delivered(project_id)
    items = shop.api.get(f"/runs/{run['id']}/checks").json()["items"]
    assert [(one["name"], one["round"], one["status"]) for one in items] == [
        *(("tests", 1, "passed"), ("lint", 1, "failed")),
    ]
    tests, lint = items
    assert (tests["required"], tests["exit_code"], tests["changed_files"]) == (True, 0, [])
    assert (lint["required"], lint["exit_code"]) == (False, 1)
    assert tests["commit"] == lint["commit"] == run["head_sha"]
    assert tests["seconds"] >= 0
    size = tests["log_to"] - tests["log_from"]
    part = {"offset": tests["log_from"], "limit": size}
    assert "all is well" in shop.api.get(f"/runs/{run['id']}/log", params=part).text
    answer = shop.api.get(f"/runs/{run['id']}/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert json.loads(archive.read(f"{run['id']}/checks.json")) == {"items": items}


def test_a_run_without_checks_has_none_and_an_unknown_one_is_not_found(shop: Workshop) -> None:
    run = shop.delivered(shop.add_project("unchecked"))
    assert shop.api.get(f"/runs/{run['id']}/checks").json() == {"items": []}
    assert problem(shop.api.get("/runs/run_c000000000000000000000000/checks"))["status"] == 404


def test_a_check_that_cannot_start_is_on_the_project_until_it_is_tried_again(
    shop: Workshop,
) -> None:
    project_id = shop.add_project("misconfigured", checks=[MISSING])
    run = shop.ended(shop.start(project_id, "please commit")["id"])
    assert (run["status"], run["cause"]) == ("died", "checks_error")
    [check] = shop.api.get(f"/runs/{run['id']}/checks").json()["items"]
    assert (check["status"], check["exit_code"]) == ("error", None)
    path = f"/projects/{project_id}"
    held = shop.api.get(path).json()
    assert held["checks_error"].startswith("Check “tests” could not be started: ")
    assert (held["hold"], held["strikes"]) == (held["checks_error"], 0)
    after = shop.api.post(f"{path}/checks/try-again")
    assert (after.status_code, after.json()["checks_error"]) == (200, None)
    [act] = shop.api.get("/audit", params={"deed": "try_checks_again"}).json()["items"]
    assert act["object"] == project_id
