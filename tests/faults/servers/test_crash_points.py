"""F8, F9, F10: a server killed at a failpoint, and the next server on its data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.builders.repositories import run_git
from tests.drivers.gates import Gate
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents.runs import until


@dataclass
class Watched(Doomed):
    """A server whose agent records its start, may be held at a gate, and exits 3."""

    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.folder)

    @property
    def agent(self) -> str:
        """The agent's shell command."""
        begin = f'echo "$RUNYARD_RUN_ID" >> {self.folder}/begun'
        return f"{begin}; if test -e {self.folder}/hold; then {self.gate.wait}; fi; exit 3"

    def run_an_issue(self, *, is_held: bool = False) -> str:
        """Start a run of a new issue, held at the gate if asked; return its id."""
        hold = self.folder / "hold"
        hold.touch() if is_held else hold.unlink(missing_ok=True)
        return super().run_an_issue()

    def kinds(self, run_id: str) -> list[str]:
        """Return the kinds of a run's timeline events, once no process of it is left."""
        with self.server.client() as client:
            told = wait_for(client, f"/runs/{run_id}/timeline", _is_over)
            return [one["kind"] for one in told["items"]]

    def timeline(self, run_id: str) -> list[dict[str, Any]]:
        """Return a run's timeline."""
        with self.server.client() as client:
            return list(client.get(f"/runs/{run_id}/timeline").json()["items"])

    def strikes(self) -> int:
        """Return the project's strike count."""
        with self.server.client() as client:
            return int(client.get(f"/projects/{self.project}").json()["strikes"])

    def starts(self, run_id: str) -> int:
        """Return how many agents have started for a run."""
        begun = self.folder / "begun"
        return begun.read_text().split().count(run_id) if begun.exists() else 0

    def left_of(self, run_id: str, branch: str) -> list[str]:
        """Return the paths and refs that remain from a run's launch."""
        runs = self.server.data_dir / "runs"
        mirror = runs / "mirrors" / f"{self.project}.git"
        found = run_git(mirror, "for-each-ref", f"refs/heads/{branch}")
        kept = [path for name in ("copies", "looks") for path in (runs / name).glob(f"*{run_id}*")]
        return [*map(str, kept), *found.splitlines()]


def _is_over(timeline: dict[str, Any]) -> bool:
    last = timeline["items"][-1]
    return last["kind"] in {"kill_verified", "parked"} or "not started" in last["sentence"]


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("doomed")
    one = Watched(folder, RunyardServer(folder / "data"))
    with one.begun(one.agent):
        yield one


@pytest.mark.parametrize(
    "point", ["after_claim", pytest.param("after_prepare", marks=pytest.mark.soak), "before_spawn"]
)
def test_f8_a_crash_before_the_agent_puts_the_run_back_into_the_queue(
    doomed: Watched, point: str
) -> None:
    doomed.arm(point)
    strikes = doomed.strikes()
    run_id = doomed.run_an_issue()
    doomed.see_death()
    doomed.arm("")
    run = doomed.see(run_id, "died")
    assert (run["cause"], run["exit_code"]) == ("exit_code", 3)
    assert doomed.kinds(run_id)[:3] == ["accepted", "taken", "claimed"]
    told = [line["sentence"] for line in doomed.timeline(run_id)]
    assert sum("back in the queue" in sentence for sentence in told) == 1
    assert told.count("taken from the queue") == 2
    assert (doomed.starts(run_id), doomed.strikes()) == (1, strikes + 1)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("after_claim", marks=pytest.mark.soak),
        "after_prepare",
        pytest.param("before_spawn", marks=pytest.mark.soak),
    ],
)
def test_f8_a_second_crash_before_the_agent_is_undone_and_counts_nothing(
    doomed: Watched, point: str
) -> None:
    doomed.arm(point)
    strikes = doomed.strikes()
    run_id = doomed.run_an_issue()
    doomed.see_death()
    doomed.arm(point)
    doomed.see_death()
    doomed.arm("")
    run = doomed.see(run_id, "not_started")
    assert (run["cause"], run["parked"]) == ("launch_failed", False)
    assert run["because"] == "Runyard was restarted before the agent had started"
    assert doomed.kinds(run_id)[-1] == "reaped"
    assert doomed.left_of(run_id, run["work_branch"]) == []
    assert (doomed.starts(run_id), doomed.strikes()) == (0, strikes)


def test_f9_a_crash_between_what_is_known_of_a_supervisor_and_its_agent_starts_none(
    doomed: Watched,
) -> None:
    doomed.arm("after_keep")
    strikes = doomed.strikes()
    run_id = doomed.run_an_issue()
    doomed.see_death()
    doomed.arm("")
    run = doomed.see(run_id, "not_started")
    assert run["because"] == "Runyard was restarted before the agent had started"
    assert doomed.left_of(run_id, run["work_branch"]) == []
    assert (doomed.starts(run_id), doomed.strikes()) == (0, strikes)


def test_f9_an_agent_whose_start_was_not_recorded_is_adopted_and_started_once(
    doomed: Watched,
) -> None:
    doomed.arm("after_spawn")
    strikes = doomed.strikes()
    run_id = doomed.run_an_issue(is_held=True)
    doomed.gate.await_arrival()
    doomed.see_death()
    doomed.arm("")
    run = doomed.see(run_id, "running")
    assert run["started_at"]
    assert run["pid"]
    doomed.gate.open()
    assert doomed.see(run_id, "died")["exit_code"] == 3
    kinds = doomed.kinds(run_id)
    assert [kinds.count(kind) for kind in ("spawned", "exited", "reaped")] == [1, 1, 1]
    assert (doomed.starts(run_id), doomed.strikes()) == (1, strikes + 1)


@pytest.mark.parametrize(
    "point",
    [
        *("before_reap_commit", "after_reap_commit"),
        pytest.param("during_teardown", marks=pytest.mark.soak),
    ],
)
def test_f10_a_crash_around_the_end_writes_the_outcome_and_the_strike_once(
    doomed: Watched, point: str
) -> None:
    doomed.arm(point)
    strikes = doomed.strikes()
    run_id = doomed.run_an_issue()
    doomed.see_death()
    doomed.arm("")
    run = doomed.see(run_id, "died")
    assert (run["exit_code"], run["cause"]) == (3, "exit_code")
    kinds = doomed.kinds(run_id)
    wanted = ("spawned", "exited", "reaped", "kill_verified")
    assert [kinds.count(kind) for kind in wanted] == [1, 1, 1, 1]
    assert (doomed.starts(run_id), doomed.strikes()) == (1, strikes + 1)
    until(lambda: not (doomed.server.data_dir / "runs" / "copies" / run_id).exists(), "the copy")
