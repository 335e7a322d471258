"""F11, F20, F21, F34: the evidence for a run's end, and the server that may act on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.engine.processes import ProcessTable
from app.adapters.supervisor.kernel import read_stat
from app.control_plane.adapters import find_place
from app.records.tables import Run
from app.services.lifecycle.steps import UNPROVED
from tests.builders.databases import only_on_sqlite, shared_database
from tests.drivers.failpoints import clear_failpoints, hold_at
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.runs import is_living, until
from tests.faults.servers.test_sweep import spoil

ROOT = Path(__file__).parents[3]
# matches the search for ready issues, but is not valid JSON
NO_LIST = '["ready-for-agent"'


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


def rewrite(plane: RealPlane, run: Run, **fields: Any) -> None:
    """Overwrite fields of a run's process record, in its file and in its row."""
    record = plane.settings.runs_root / "records" / run.id / "started"
    record.write_text(json.dumps({**json.loads(record.read_text()), **fields}))
    kept = plane.run(run.id).supervisor or {}
    plane.ledgers.runs.update_fields(run.id, run.project_id, supervisor={**kept, **fields})


def end_by_force(pid: int | None) -> None:
    """Kill a supervisor, and with it its agent."""
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_living(pid), "the supervisor's end")


# --- F11 ----------------------------------------------------------------------------------------


def test_f11_two_servers_that_reap_one_run_write_one_end(tmp_path: Path) -> None:
    shared: dict[str, Any] = {
        "database_url": shared_database(tmp_path),
        "runs_dir": tmp_path / "runs",
    }
    with (
        real_plane(tmp_path / "one", **shared) as one,
        real_plane(tmp_path / "two", **shared) as two,
    ):
        run = one.start_running_issue(one.add_project("exit 3"))
        one.ears.wait_for(run.id, "gone")
        # the second server takes the first for dead just as that one is about to record the end
        two.clock.now = one.clock.now
        two.clock.advance(60)
        hold_at("before_reap_commit", tmp_path / "go")
        reapers = [
            threading.Thread(target=plane.reaper.reap_once, args=(run.id,)) for plane in (one, two)
        ]
        reapers[0].start()
        until((tmp_path / "go.reached.0").exists, "the first is about to write")
        reapers[1].start()
        (tmp_path / "go").touch()
        for reaper in reapers:
            reaper.join(30)
        clear_failpoints()
        for plane in (one, two):
            plane.rest()
            plane.tick()
        kinds = one.kinds(run)
        assert [kinds.count(kind) for kind in ("exited", "reaped", "kill_verified")] == [1, 1, 1]
        assert (one.run(run.id).status, one.project(run.project_id).strikes) == ("died", 1)


# --- F20 ----------------------------------------------------------------------------------------


def test_f20_a_run_whose_number_a_stranger_has_ends_and_the_stranger_lives(
    plane: RealPlane, stranger: subprocess.Popen[bytes]
) -> None:
    run = plane.start_running_issue(plane.add_project("sleep 600"))
    end_by_force(run.pid)
    stat = read_stat(stranger.pid)
    assert stat is not None
    rewrite(plane, run, pid=stranger.pid, started=stat.started - 1)
    plane.recover_once()
    plane.rest()
    run = plane.run(run.id)
    assert (run.status, run.cause) == ("died", "session_gone")
    assert (run.released_at, run.hold) == (None, UNPROVED)
    assert plane.project(run.project_id).strikes == 0
    assert stranger.poll() is None


REUSED = """
import os, signal, subprocess, sys, time
from pathlib import Path
from tests.fakes.agents.runs import KeepingEngine, RUN, order, shell, until

folder = Path(sys.argv[1])
engine = KeepingEngine(folder / "runs", instance="reused")
mark = engine.start(order(RUN, folder, shell("sleep 600")))
os.kill(mark.pid, signal.SIGKILL)
until(lambda: not Path(f"/proc/{mark.pid}").exists(), "its end")
# the next process gets the supervisor's number, as after a long while
Path("/proc/sys/kernel/ns_last_pid").write_text(str(mark.pid - 1))
stranger = subprocess.Popen(["/bin/sleep", "600"])
assert stranger.pid == mark.pid, (stranger.pid, mark.pid)
later = KeepingEngine(folder / "runs", instance="reused")
sight = later.see(RUN)
assert (sight.alive, sight.host_restarted) == (False, False), sight
assert not later.end(RUN)
assert not later.see(RUN).tree_gone
assert stranger.poll() is None
print("the stranger lives")
"""


@pytest.mark.soak
def test_f20_a_stranger_that_really_has_the_number_is_never_signalled(tmp_path: Path) -> None:
    # the first process of the namespace is a shell, which reaps orphans
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*inside, sys.executable, "-c", REUSED, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the stranger lives\n"), done.stderr


# --- F21 ----------------------------------------------------------------------------------------


def test_f21_after_a_reboot_every_live_run_has_died_of_it_and_no_number_is_believed(
    plane: RealPlane,
) -> None:
    # `exec`, because a shell that forks would leave a child when its supervisor is killed
    projects = [plane.add_project("exec sleep 600") for _ in range(2)]
    runs = [plane.start_running_issue(project) for project in projects]
    try:
        for run in runs:
            # on this boot their pids belong to other processes
            rewrite(plane, run, boot_id="another-boot")
        plane.recover_once()
        plane.rest()
        for run in map(plane.run, [run.id for run in runs]):
            assert (run.status, run.cause) == ("died", "host_restarted")
            assert run.because == "the machine was restarted"
            assert run.released_at is not None
            assert plane.project(run.project_id).strikes == 0
            assert is_living(run.pid or 0)
    finally:
        # the engine trusts the row, which says that they ended with the machine
        table = ProcessTable(find_place(plane.settings).instance)
        for run in runs:
            end_by_force(run.pid)
            table.end(run.id, None)


# --- F34 ----------------------------------------------------------------------------------------


@only_on_sqlite("PostgreSQL takes no labels that are no JSON")
@pytest.mark.expects_error_log
def test_f34_a_project_that_cannot_be_swept_says_so_and_is_swept_again_when_it_can(
    plane: RealPlane,
) -> None:
    broken, sound = plane.add_project("exit 1"), plane.add_project("exit 1")
    for project in (broken, sound):
        plane.add_issue(project)
        plane.ledgers.projects.change(project.id, auto_enabled=True)
    spoil(plane, broken.id, NO_LIST)
    plane.tick()
    assert [len(plane.ledgers.runs.newest_of(one.id, limit=9)) for one in (broken, sound)] == [0, 1]
    plan = plane.services.afk.plan(broken.id, plane.clock())
    assert (plan.would, plan.because) == (None, "its issues could not be read")
    assert len(plane.services.overview.all()) == 2
    spoil(plane, broken.id, '["ready-for-agent"]')
    plane.tick()
    assert len(plane.ledgers.runs.newest_of(broken.id, limit=9)) == 1
