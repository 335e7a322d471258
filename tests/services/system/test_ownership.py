"""A run whose server is gone passes to the next server, which sees its agent's end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.records.tables import Run
from app.services.system.ownership import Ownership
from tests.builders.databases import shared_database
from tests.drivers.gates import Gate
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.planes import TwinPlane


def test_whoever_takes_a_run_over_hears_of_its_end(tmp_path: Path) -> None:
    settings = {
        "database_url": shared_database(tmp_path),
        "runs_dir": tmp_path / "runs",
    }
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    gate = Gate(tmp_path)
    with real_plane(tmp_path / "one", **settings) as one:
        run = one.start_running(one.add_project(f"{gate.wait}; exit 3"))
        gate.await_arrival()
        with real_plane(tmp_path / "two", **settings) as two:
            assert see(two, run.id).server == run.server
            two.reap(run)
            # the second server does not touch it while the first lives
            assert see(two, run.id).server == run.server
            two.clock.now = one.clock.now = one.clock.advance(60)
            two.leases.renew_once(two.clock())
            two.reap(run)
            assert see(two, run.id).server == two.services.ownership.here.server
            gate.open()
            two.ears.wait_for(run.id, "gone")
            assert two.reap(run).status == "died"


def see(plane: RealPlane, run_id: str) -> Run:
    return plane.run(run_id)


def test_a_run_that_another_machine_holds_is_never_judged(twin: TwinPlane) -> None:
    run = twin.start_running(twin.add_project("exit 1"))
    heard: list[str] = []
    away = replace(twin.services.ownership.here, host="elsewhere", server="another")
    ownership = Ownership(
        twin.ledgers.runs, away, twin.leases, lambda run_id, _: heard.append(run_id)
    )
    assert not ownership.may_judge(run, twin.clock())
    assert heard == []
    twin.see_end(run)
