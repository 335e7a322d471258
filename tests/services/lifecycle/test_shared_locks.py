"""Two servers that share runs: neither acts on a run while the other does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.machine.file_locks import FileLocks
from app.services.concurrency import Locks
from tests.builders.databases import shared_database
from tests.builders.pushes import write_trusted_hook
from tests.builders.repositories import tip_of
from tests.drivers.failpoints import hold_at
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.planes import twin_plane

HOLDER = """
import sys
from pathlib import Path
from app.adapters.machine.file_locks import FileLocks
with FileLocks(Path(sys.argv[1])).holding("run_1", wait=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def planes(tmp_path: Path) -> Iterator[tuple[RealPlane, RealPlane]]:
    """Two servers on one database and one runs folder."""
    shared = {
        "database_url": shared_database(tmp_path),
        "runs_dir": tmp_path / "runs",
    }
    with (
        real_plane(tmp_path / "one", **shared) as one,
        real_plane(tmp_path / "two", **shared) as two,
    ):
        yield one, two


def locks(root: Path) -> Locks:
    """Return the locks of one server."""
    return Locks(FileLocks(root))


def test_a_lock_is_held_by_one_server_and_leaves_no_file(tmp_path: Path) -> None:
    one, two = locks(tmp_path), locks(tmp_path)
    with one.holding("run/1"), two.holding("run/1", wait=False) as both:
        assert not both
        with two.holding("run_2", wait=False) as another:
            assert another
    with two.holding("run/1", wait=False) as after:
        assert after
    assert list(tmp_path.iterdir()) == []


def test_of_many_who_wait_one_after_the_other_goes_in(tmp_path: Path) -> None:
    inside, most, guard = 0, 0, threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        for _ in range(50):
            with locks(tmp_path).holding("run_1"):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (most, inside) == (1, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_killed_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with locks(tmp_path).holding("run_1", wait=False) as held:
            assert not held
        os.kill(holder.pid, signal.SIGKILL)
        with locks(tmp_path).holding("run_1") as held:
            assert held
    assert list(tmp_path.iterdir()) == []


def test_a_retried_check_leaves_the_next_planned_check_of_its_run_where_it_is(
    tmp_path: Path,
) -> None:
    with twin_plane(tmp_path, database_url=shared_database(tmp_path)) as plane:
        scheduler = vars(plane.scheduler)["_scheduler"]
        scheduler.start(paused=True)
        run = plane.start_running(plane.add_project(stall_seconds=3600))
        plane.reap(run)
        planned = {job.id: job.next_run_time for job in scheduler.get_jobs()}
        with locks(plane.settings.runs_root / "locks").holding(run.id) as held:
            assert held
            plane.inspect_run(run.id)
        jobs = {job.id: job.next_run_time for job in scheduler.get_jobs()}
        assert len(jobs) == len(planned) + 1
        assert jobs | planned == jobs


def test_two_servers_settle_a_run_one_after_the_other(
    planes: tuple[RealPlane, RealPlane], tmp_path: Path
) -> None:
    one, two = planes
    run = one.start_running_issue(one.add_project(f"{COMMIT}; exit 5"))
    one.ears.wait_for(run.id, "gone")
    hold_at("during_teardown", tmp_path / "go")
    settling = threading.Thread(target=one.reaper.reap_once, args=(run.id,))
    settling.start()
    one.wait((tmp_path / "go.reached.0").exists, "the first is in the teardown")
    # ended but not released: either server may settle it
    assert one.run(run.id).ended_at is not None
    assert two.services.ownership.may_judge(two.run(run.id), two.clock())
    assert not two.reaper.reap_once(run.id)
    assert two.run(run.id).released_at is None
    (tmp_path / "go").touch()
    settling.join(30)
    before = two.run(run.id)
    assert (before.released_at is not None, before.parked) == (True, True)
    assert two.reaper.reap_once(run.id)
    assert two.run(run.id) == before
    assert one.kinds(run).count("kill_verified") == one.kinds(run).count("parked") == 1
    assert not (tmp_path / "go.reached.1").exists()


def test_a_stop_at_one_server_waits_for_the_push_of_the_other(
    planes: tuple[RealPlane, RealPlane], tmp_path: Path
) -> None:
    one, two = planes
    project = one.add_project()
    began, go = tmp_path / "began", tmp_path / "go-on"
    os.mkfifo(go)
    script = f"touch '{began}'; read line < '{go}'"
    write_trusted_hook(one, project, "pre-receive", script)
    run = one.start_running_issue(project)
    one.ears.wait_for(run.id, "gone")
    assert one.reaper.reap_once(run.id)
    one.wait(began.exists, "the push is under way")
    answers: list[str] = []

    def stop() -> None:
        try:
            answers.append(two.services.stopper.stop(run.id, "by a test", two.clock()).status)
        except Exception as refusal:
            answers.append(type(refusal).__name__)

    stopping = threading.Thread(target=stop)
    stopping.start()
    stopping.join(0.3)
    assert answers == []
    go.write_text("go\n")
    stopping.join(30)
    one.rest()
    two.rest()
    assert answers == ["AlreadyEnded"]
    assert one.run(run.id).status == "succeeded"
    assert tip_of(Path(project.origin), "refs/heads/afk/1") == one.run(run.id).head_sha
