"""Between a run's end and its release: requests for its slot wait, without blocking the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.api.routes import releases
from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

MANY = 60  # more than the server has threads for calls
STUBBORN = [
    "/bin/sh",
    "-c",
    "trap '' TERM; echo begun; while ! test -e {workdir}/over; do sleep 0.1; done",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server whose agents ignore SIGTERM, so that a stopped run is released late."""
    folder = tmp_path_factory.mktemp("releases")
    with open_workshop(folder, RUNYARD_KILL_GRACE_SECONDS="3") as shop:
        shop.add_project("shop", agent_command=STUBBORN)
        yield shop


def ending(shop: Workshop, **order: Any) -> dict[str, Any]:
    """Return a run that is stopped but not yet released."""
    run = shop.start(str(shop.projects["shop"]["id"]), "Resist", **order)
    with shop.api.stream("GET", f"/runs/{run['id']}/events", timeout=60) as events:
        # by its first output the agent has set its SIGTERM trap
        assert any("begun" in line for line in events.iter_lines())
    stopped = shop.api.post(f"/runs/{run['id']}/stop").json()
    assert (stopped["status"], stopped["released_at"]) == ("stopped", None)
    return dict(stopped)


def in_background(act: Callable[[], httpx.Response]) -> Callable[[], httpx.Response]:
    """Start a request on a thread; return a function that waits for its response."""
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(act()))
    thread.start()

    def answer() -> httpx.Response:
        thread.join(60)
        return answers[0]

    return answer


def test_a_retry_right_after_a_stop_waits_until_the_run_is_gone(shop: Workshop) -> None:
    run = ending(shop)
    answer = shop.api.post(f"/runs/{run['id']}/retry", timeout=60)
    assert answer.status_code == 201, answer.text
    assert shop.api.get(f"/runs/{run['id']}").json()["released_at"] is not None
    shop.stop(answer.json()["id"])


def test_the_same_order_without_a_key_waits_for_the_run_that_has_just_ended(
    shop: Workshop,
) -> None:
    run = ending(shop)
    body = {"project_id": run["project_id"], "task": run["task"]}
    answer = shop.api.post("/runs", json=body, timeout=60)
    assert answer.status_code == 201, answer.text
    shop.stop(answer.json()["id"])


def test_an_issue_whose_run_has_just_ended_is_told_what_is_so_afterwards(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    number = shop.issue(project)
    ending(shop, issue=number)
    answer = shop.api.post(f"/projects/{project}/afk/start", json={"issue": number}, timeout=60)
    # not a lock conflict: no run writes to the branch any more
    assert problem(answer)["error"] == "parked"


def test_many_who_wait_hold_nobody_up_and_one_of_them_gets_the_run(shop: Workshop) -> None:
    run = ending(shop)
    path = f"/runs/{run['id']}/retry"

    def retry(number: int) -> httpx.Response:
        with shop.server.client() as client:
            return client.post(path, headers={"x-idempotency-key": f"k{number}"}, timeout=60)

    waiting = in_background(lambda: retry(0))
    others: list[httpx.Response] = []
    crowd = threading.Thread(target=lambda: others.extend(at_once(MANY, lambda n: retry(n + 1))))
    crowd.start()
    meanwhile = shop.api.get(f"/runs/{run['id']}", timeout=60)
    assert meanwhile.status_code == 200
    crowd.join(90)
    answers = [waiting(), *others]
    made = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert len(made) == 1, [answer.text for answer in answers]
    refusals = [problem(answer) for answer in answers if answer.status_code != 201]
    assert {told["error"] for told in refusals} == {"already_running"}
    assert {told["run_id"] for told in refusals} == set(made)
    assert shop.api.get(f"/runs/{run['id']}").json()["retried_by"] == made
    shop.stop(made[0])


def test_the_wait_is_no_longer_than_fifteen_seconds() -> None:
    assert releases.PATIENCE_SECONDS == 15
