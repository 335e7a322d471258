"""A server that is killed while a retry takes over: exactly one run keeps the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drivers.servers.killed import SHORT, Doomed
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer
from tests.fakes.agents.runs import until

# the first try leaves a commit and a file; the next one commits the file
TWO_TRIES = (
    "if test -e left.txt; then git add -A && git commit -qm 'The rest'; else echo new > new.txt && "
    "git add new.txt && git commit -qm 'Half of it'; echo left > left.txt; exit 3; fi"
)


# a launch that continues after the takeover passes these points again
SECOND_TIME = {"retry.after_adopt": "after_claim", "after_prepare": "after_prepare"}


class Retried(Doomed):
    """A server whose runs are retried."""

    def died(self) -> dict[str, Any]:
        """Return a run of a new issue that died and left work."""
        return self.released(self.run_an_issue())

    def retry_and_die(self, run_id: str, source: str) -> None:
        """Retry a run, and wait until the server dies of it."""
        # the server may die before it answers
        with self.server.client() as client, suppress(httpx.TransportError):
            client.post(f"/runs/{run_id}/retry", json={"from": source})
        self.see_death()

    def kept(self) -> dict[str, str]:
        """Return the run that holds each parked branch."""
        with self.server.client() as client:
            return {one["branch"]: one["run_id"] for one in client.get("/parked").json()["items"]}

    def discard_all(self) -> None:
        """Discard all parked work."""
        for branch in self.kept():
            body = {"project_id": self.project, "branch": branch, "confirm": branch}
            with self.server.client() as client:
                client.post("/parked/discard", json=body).raise_for_status()

    def copies(self) -> dict[str, Path]:
        """Return every working copy by its run's id."""
        folder = self.server.data_dir / "runs" / "copies"
        return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retried]:
    folder = tmp_path_factory.mktemp("doomed")
    plenty = SHORT | {"RUNYARD_RUN_QUOTA": "500"}
    one = Retried(folder, RunyardServer(folder / "data"), settings=plenty)
    with one.begun(TWO_TRIES):
        yield one


@pytest.mark.parametrize(
    ("point", "source"),
    [
        # test_resume_crashes.py shows it as well
        pytest.param("retry.after_take_over", "parked", marks=pytest.mark.soak),
        pytest.param("retry.after_adopt", "parked", marks=pytest.mark.soak),
        pytest.param("after_prepare", "parked", marks=pytest.mark.soak),
        ("retry.after_rename", "fresh"),
        pytest.param("after_prepare", "fresh", marks=pytest.mark.soak),
    ],
)
def test_a_crash_in_the_middle_of_a_retry_loses_nothing(
    doomed: Retried, point: str, source: str
) -> None:
    first = doomed.died()
    branch = first["work_branch"]
    doomed.arm(point)
    doomed.retry_and_die(first["id"], source)
    doomed.arm("")
    with doomed.server.client() as client:
        (second,) = client.get(f"/runs/{first['id']}").json()["retried_by"]
    # the retry is queued again, and continues as if nothing had happened
    ended = doomed.released(second)
    if source == "parked":
        assert (ended["status"], ended["delivery"]["commits"]) == ("succeeded", 2), ended
        assert doomed.kept() == {}
        return
    assert (ended["status"], ended["parked"]) == ("died", True), ended
    aside = f"parked/{branch}/{first['id']}"
    assert doomed.kept() == {branch: second, aside: first["id"]}
    for run_id in (first["id"], second):
        assert (doomed.copies()[run_id] / "left.txt").exists()
    doomed.discard_all()


@pytest.mark.parametrize(
    ("point", "source"),
    [
        pytest.param("retry.after_adopt", "parked", marks=pytest.mark.soak),
        pytest.param("after_prepare", "parked", marks=pytest.mark.soak),
        ("after_prepare", "fresh"),
    ],
)
def test_a_second_crash_in_the_middle_of_a_retry_loses_nothing(
    doomed: Retried, point: str, source: str
) -> None:
    first = doomed.died()
    branch = first["work_branch"]
    doomed.arm(point)
    doomed.retry_and_die(first["id"], source)
    doomed.arm(SECOND_TIME[point])
    doomed.see_death()
    doomed.arm("")
    with doomed.server.client() as client:
        (second,) = client.get(f"/runs/{first['id']}").json()["retried_by"]
    assert doomed.released(second)["status"] == "not_started"
    holder = first["id"] if source == "fresh" else second
    assert doomed.kept() == {branch: holder}
    assert list(doomed.copies()) == [holder]
    assert (doomed.copies()[holder] / "left.txt").exists()
    # and a further retry delivers both commits as one change
    with doomed.server.client() as client:
        third = client.post(f"/runs/{holder}/retry").json()
        ended = doomed.released(third["id"])
        assert (ended["status"], ended["delivery"]["commits"]) == ("succeeded", 2)
    assert doomed.kept() == {}


def test_a_retry_that_was_stopped_and_killed_while_it_set_work_aside_brings_it_back(
    doomed: Retried, tmp_path: Path
) -> None:
    first = doomed.died()
    held = tmp_path / "held"
    doomed.hold("retry.after_rename", held)
    with doomed.server.client() as client:
        second = client.post(f"/runs/{first['id']}/retry", json={"from": "fresh"}).json()["id"]
        until(held.with_name("held.reached.0").exists, "the work is set aside", WAIT_SECONDS)
        assert client.post(f"/runs/{second}/stop").json()["status"] == "stopped"
    doomed.server.kill()
    doomed.arm("")
    assert doomed.released(second)["status"] == "stopped"
    assert doomed.kept() == {first["work_branch"]: first["id"]}
    assert list(doomed.copies()) == [first["id"]]
    with doomed.server.client() as client:
        third = client.post(f"/runs/{first['id']}/retry").json()
    assert doomed.released(third["id"])["delivery"]["commits"] == 2
