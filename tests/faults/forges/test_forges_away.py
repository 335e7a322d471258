"""A forge that is away, lies or loses answers around a delivery: nothing doubled, nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from app.domain.tracker.forges import mark_of
from app.errors import ForgeUnavailable
from app.records.stores.leases import LeaseLedger
from app.records.tables import Lease, Project, Run
from app.services.concurrency import Locks
from app.services.lifecycle.deliver import BESIDE, Deliverer, NotDelivered
from app.services.ports import Delivery
from app.services.system.ownership import Leases
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents.runs import until
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.twin import ForgeTwin

Made = tuple[int, Any]
BAD_GATEWAY = 502, b"<html>bad gateway</html>"
# an outage that the pauses of a client outlast, and one of a minute
SHORT, MINUTE = 2.0, 60.0


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[ForgeTwin]:
    """A forge with the repository acme/shop."""
    with ForgeTwin(tmp_path / "forge") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        yield twin


@pytest.fixture
def shop(twin: ForgeTwin) -> Hosted:
    """The repository."""
    return twin.hosted["acme/shop"]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with real repositories and processes."""
    with real_plane(tmp_path / "plane") as plane:
        yield plane


@pytest.fixture
def project(plane: RealPlane, twin: ForgeTwin, shop: Hosted) -> Project:
    """The project of that repository."""
    plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
    choice = plane.services.forges.choose(None, shop.clone_url, None)
    return plane.register(shop.clone_url, COMMIT, "shop", choice.columns)


# --- killed while the forge is away --------------------------------------------------------------


@pytest.fixture
def doomed(tmp_path: Path, twin: ForgeTwin, shop: Hosted) -> Iterator[Doomed]:
    """A server with a project at the forge."""
    one = Doomed(tmp_path, RunyardServer(tmp_path / "data"))
    one.settings |= {"RUNYARD_SWEEP_SECONDS": "0.5"}
    with ExitStack() as after:
        one.arm("")
        after.callback(one.server.stop)
        with one.server.client() as client:
            body = {"url": twin.url, "token": "TOKEN_BOT"}
            assert client.post("/forges", json=body).status_code == 201
            command = ["/bin/sh", "-c", COMMIT]
            body = {"name": "shop", "origin": shop.clone_url, "agent_command": command}
            made = client.post("/projects", json=body)
            assert made.status_code == 201, made.text
            one.project = made.json()["id"]
            path = f"/projects/{one.project}"
            wait_for(client, path, lambda project: project["state"] == "ready")
        yield one


@pytest.mark.parametrize(
    ("point", "seconds"),
    [
        ("forge.after_open", SHORT),
        pytest.param("delivery.after_push", SHORT, marks=pytest.mark.soak),
        pytest.param("claim.after_telling", SHORT, marks=pytest.mark.soak),
        pytest.param("forge.after_open", MINUTE, marks=pytest.mark.soak),
    ],
)
def test_a_kill_in_an_outage_of_the_forge_leads_to_one_request_and_one_comment(
    doomed: Doomed, twin: ForgeTwin, shop: Hosted, point: str, seconds: float
) -> None:
    issue = shop.write("Mend it", "", "ready-for-agent")
    doomed.arm(point)
    with doomed.server.client() as client:
        made = client.post("/runs", json={"project_id": doomed.project, "issue": issue})
        assert made.status_code == 201, made.text
        run_id = made.json()["id"]
    doomed.see_death()
    twin.before = lambda _, __: BAD_GATEWAY
    asked = len(twin.asked)
    doomed.arm("")
    back = threading.Event()
    back.wait(seconds)
    calls = len(twin.asked) - asked
    assert calls <= 90 * max(1.0, seconds / MINUTE), "the forge was asked too often"
    twin.before = None
    run = doomed.released(run_id)
    assert (run["status"], run["cause"]) == ("succeeded", "delivered"), run["because"]
    assert len(shop.pulls) == 1
    until(lambda: "succeeded" in said(shop, issue)[-1:][0], "the issue is told", 90)
    assert len(said(shop, issue)) == 1
    assert {one["name"] for one in shop.issues[issue]["labels"]} == {"ready-for-agent"}
    with doomed.server.client() as client:
        shown = client.get(f"/projects/{doomed.project}").json()
        assert (shown["strikes"], shown["review_count"]) == (0, 1)


def said(shop: Hosted, number: int) -> list[str]:
    """Return the comments on an issue."""
    return [one["body"] for one in shop.comments.get(number, [])] or [""]


# --- answers that prove nothing ------------------------------------------------------------------


def in_place_of(answer: Made, times: int) -> Callable[[ForgeTwin, Hosted, Run], None]:
    """Return what answers so to the first calls, whatever is asked."""

    def arrange(twin: ForgeTwin, _: Hosted, __: Run) -> None:
        left = [answer] * times
        twin.before = lambda _, __: left.pop() if left else None

    return arrange


def opens_and_says_nothing(twin: ForgeTwin, shop: Hosted, run: Run) -> None:
    """Open the request and lose the answer."""

    def before(method: str, path: str) -> Made | None:
        if method == "POST" and path.endswith("/pulls"):
            twin.before = None
            shop.open(run.work_branch, "main", "Mend it", mark_of(run.id))
            return 0, None
        return None

    twin.before = before


@pytest.mark.parametrize(
    "arrange",
    [
        in_place_of((200, b"<html>a proxy</html>"), 2),
        in_place_of((429, {"message": "slow down"}), 1),
        in_place_of(BAD_GATEWAY, 3),
        opens_and_says_nothing,
    ],
    ids=["html", "429", "502", "lost"],
)
def test_an_answer_that_proves_nothing_delays_a_delivery_and_no_more(
    plane: RealPlane,
    twin: ForgeTwin,
    shop: Hosted,
    project: Project,
    arrange: Callable[[ForgeTwin, Hosted, Run], None],
) -> None:
    issue = shop.write("Mend it", "", "ready-for-agent")
    run = plane.start_running(project, issue=issue)
    arrange(twin, shop, run)
    plane.see_end(run)
    if plane.run(run.id).ended_at is None:
        # a limit without a time is obeyed for a minute: a check makes another client
        plane.clock.advance(60)
        (forge,) = plane.services.forges.all()
        with suppress(ForgeUnavailable):  # it is still away
            plane.services.forges.check(forge.id, plane.clock())
    plane.wait(lambda: is_delivered(plane, run), "the delivery")
    assert len(shop.pulls) == 1
    assert plane.project(project.id).strikes == 0
    plane.services.claims.tell_once(plane.clock())
    assert len(said(shop, issue)) == 1


def test_a_token_refused_in_the_middle_waits_for_a_person_and_then_delivers_once(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    run = plane.start_running(project, issue=shop.write("Mend it", "", "ready-for-agent"))
    known = twin.tokens.pop("TOKEN_BOT")
    plane.see_end(run)
    asked = len(twin.asked)
    for _ in range(3):
        assert not is_delivered(plane, run)
    assert len(twin.asked) == asked, "a refused token was tried again"
    assert plane.project(project.id).strikes == 0
    twin.tokens["TOKEN_NEW"] = known
    (forge,) = plane.services.forges.all()
    plane.services.forges.change(forge.id, plane.clock(), token="TOKEN_NEW")
    plane.wait(lambda: is_delivered(plane, run), "the delivery")
    assert len(shop.pulls) == 1


def is_delivered(plane: RealPlane, run: Run) -> bool:
    """Inspect the run again after its pause; return True once it has succeeded."""
    plane.clock.advance(60)
    plane.inspect_run(run.id)
    plane.rest()
    return plane.run(run.id).status == "succeeded"


# --- two servers ---------------------------------------------------------------------------------


def test_two_servers_that_deliver_one_run_at_once_open_one_request(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    run = plane.start_running(project, issue=shop.write("Mend it", "", "ready-for-agent"))
    twin.before = lambda method, path: BAD_GATEWAY if path.endswith("/pulls") else None
    plane.see_end(run)
    twin.before = None
    (forge,) = plane.services.forges.all()
    plane.clock.advance(60)
    plane.services.forges.check(forge.id, plane.clock())
    is_looking, may_go = threading.Event(), threading.Event()

    def slow(method: str, path: str) -> Made | None:
        if path.endswith("/acme/shop/pulls") and not is_looking.is_set():
            is_looking.set()
            assert may_go.wait(60)
        return None

    def deliver(server: str) -> Delivery | NotDelivered:
        leases = Leases(LeaseLedger(plane.stores), server, is_alone=False)
        checks, runs = plane.services.push_checks, plane.ledgers.runs
        one = Deliverer(runs, plane.adapters, checks, plane.clock, Locks(), leases)
        return one.deliver_now(plane.run(run.id), plane.project(project.id))

    twin.before = slow
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(deliver, "one")
        assert is_looking.wait(60)
        refused = deliver("other")
        may_go.set()
        opened = first.result(60)
    assert isinstance(refused, NotDelivered)
    assert (refused.because, refused.for_good) == (BESIDE, False)
    assert isinstance(opened, Delivery)
    again = deliver("other")
    assert isinstance(again, Delivery)
    assert again.number == opened.number
    assert twin.calls("POST", "/acme/shop/pulls") == 1
    # nothing is held for good
    assert not [one for one in plane.ask(select(Lease)) if one.name.startswith("hold ")]
