"""Quarantine over HTTP: listed, retried once, and unknown keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from app import __version__
from app.records.database.database import Database
from app.records.runs.quarantine_ledger import MOST_TRIES, QuarantineLedger, Subject
from app.records.runs.run_ledger import RunLedger
from tests.builders.databases import own_database
from tests.builders.rows import stores_on
from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    # no sweep during a test
    with open_workshop(tmp_path_factory.mktemp("stuck"), RUNYARD_SWEEP_SECONDS="3600") as shop:
        yield shop


def fail(shop: Workshop, subject: Subject, times: int = MOST_TRIES) -> str:
    """Count failures of a subject as the sweep does; return its key."""
    data_dir = shop.server.data_dir
    addresses = {"database_url": f"sqlite:///{data_dir / 'runyard.db'}"} | own_database(data_dir)
    with closing(Database(addresses["database_url"], publish=lambda _: None)) as control:
        url = addresses.get("runs_database_url")
        runs = Database(url, publish=lambda _: None) if url else None
        ledger = QuarantineLedger(RunLedger(stores_on(control, runs)))
        for _ in range(times):
            ledger.count(subject, "KeyError: '<b>x'", __version__, datetime.now(UTC))
        if runs is not None:
            runs.close()
    return subject.key


def keys(shop: Workshop) -> list[str]:
    return [one["key"] for one in shop.api.get("/quarantine").json()["items"]]


def test_what_is_left_to_a_person_is_told_and_one_of_many_tries_it_again(
    shop: Workshop, project: str
) -> None:
    run = shop.ended(shop.start(project, "please fail")["id"])
    told = Subject("outbox", f"outgoing_{run['id']}", run["id"], project, run["id"])
    key = fail(shop, told)
    [item] = [one for one in shop.api.get("/quarantine").json()["items"] if one["key"] == key]
    assert (item.pop("held_at") >= item.pop("first_at"), item) == (
        True,
        {
            "key": key,
            "duty": "outbox",
            "project_id": project,
            "run_id": run["id"],
            "tries": MOST_TRIES,
            "because": "KeyError: '<b>x'",
        },
    )
    # the project lists it too, and is updated when it is retried
    path = f"/projects/{project}"
    shop.api.patch(path, json={"budget_seconds": 600})
    assert [one["key"] for one in shop.api.get(path).json()["stuck"]] == [key]
    lines = shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]
    assert lines[-1]["sentence"] == "not tried again after 5 times: KeyError: '<b>x'"
    answers = at_once(3, lambda _: shop.api.post(f"/quarantine/{key}/retry"))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    assert key not in keys(shop)
    assert shop.api.get(path).json()["stuck"] == []


def test_what_is_still_tried_is_neither_told_nor_let_go(shop: Workshop, project: str) -> None:
    key = fail(shop, Subject("issue", f"{project}.7", project, project), MOST_TRIES - 1)
    assert key not in keys(shop)
    assert shop.api.post(f"/quarantine/{key}/retry").status_code == 404


@pytest.mark.parametrize("key", ["look.run_c000", "x", "look.", "a" * 3000])
def test_what_is_not_there_is_not_found(shop: Workshop, key: str) -> None:
    told = problem(shop.api.post(f"/quarantine/{key}/retry"))
    assert (told["status"], told["error"]) == (404, "not_found")
