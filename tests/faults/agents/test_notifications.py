"""A server that dies after sending a message and before recording it: it is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.repositories import make_origin
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer, wait_for
from tests.fakes.agents.runs import until
from tests.fakes.receivers import SECRET, LocalReceiver, local_receiver

CLAIM_SECONDS = "61"


@pytest.fixture
def receiver() -> Iterator[LocalReceiver]:
    # the first message is refused, so it is still pending while the server lives
    with local_receiver(503) as there:
        yield there


@pytest.fixture
def server(tmp_path: Path, receiver: LocalReceiver) -> Iterator[RunyardServer]:
    (tmp_path / "data").mkdir(mode=0o700)
    settings = {
        "RUNYARD_TEST": "1",
        "RUNYARD_TEST_CLOCK": str(tmp_path / "clock"),
        "RUNYARD_FAILPOINT": "after_notice_sent:kill9",
        "RUNYARD_NOTIFY_URLS": receiver.address,
        "RUNYARD_NOTIFY_KINDS": "delivered",
        "RUNYARD_SWEEP_SECONDS": "0.2",
        "RUNYARD_KILL_GRACE_SECONDS": "0.1",
    }
    server = RunyardServer(tmp_path / "data", settings=settings)
    yield server.start()
    server.kill()


def deliver(api: httpx.Client, origin: Path) -> None:
    """Add a project and let a run of it report."""
    body: dict[str, Any] = {
        "name": "shop",
        "origin": str(origin),
        "agent_command": ["/bin/true"],
    }
    project = api.post("/projects", json=body).json()["id"]
    wait_for(api, f"/projects/{project}", lambda one: one["state"] == "ready")
    order = {"project_id": project, "task": "look", "delivers": "report"}
    run = api.post("/runs", json=order).json()["id"]
    wait_for(api, f"/runs/{run}", lambda one: one["status"] == "succeeded")


def states(api: httpx.Client) -> dict[str, Any]:
    """Return the state of the only receiver."""
    return dict(api.get("/notifications").json()["items"][0])


def test_a_kill_between_sending_and_marking_sends_again_and_loses_nothing(
    server: RunyardServer, receiver: LocalReceiver, tmp_path: Path
) -> None:
    with server.client() as api:
        deliver(api, make_origin(tmp_path / "shop"))
        until(lambda: states(api)["last_because"], "the refusal")
        told = states(api)
        assert (told["pending"], told["last_because"]) == (1, "It answered 503.")
    # the next attempt is due, and the server dies right after it
    (tmp_path / "clock").write_text(CLAIM_SECONDS)
    assert server.process is not None
    assert server.process.wait(WAIT_SECONDS) == -9
    server.kill()
    assert len(receiver.taken) == 1
    server.settings.pop("RUNYARD_FAILPOINT")
    (tmp_path / "clock").write_text(str(3 * int(CLAIM_SECONDS)))
    server.start()
    with server.client() as api:
        until(lambda: states(api)["last_taken"], "the message")
        assert states(api)["pending"] == 0
    first, again = receiver.taken
    assert first == again
    assert first["title"] == "Runyard: shop delivered"
    assert first["message"].splitlines()[-1].startswith("(notice_")
    assert SECRET not in server.log
