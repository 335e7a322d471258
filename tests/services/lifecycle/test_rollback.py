"""Launch rollback tries every step, ends the run with its reason, and deletes no work."""

from __future__ import annotations

from pathlib import Path

from app.adapters.engine.local import LocalEngine
from app.adapters.engine.processes import ProcessTable
from app.domain.lifecycle import Signal
from app.records.tables import Project, Run
from app.services.lifecycle.handover import Handover
from tests.builders.retries import kept, retry
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane

FAILED = "The project's setup command exited 1; its output is in the run's log."


def launch_with_setup(plane: RealPlane, script: str) -> Run:
    """Launch a run whose setup command runs `script`, then fails."""
    project = plane.add_project(setup_command=["/bin/sh", "-c", f"{script}; exit 1"])
    return plane.launch(project, issue=plane.add_issue(project).number)


def see_released(plane: RealPlane, run: Run) -> None:
    """Tick once and assert that leftovers are removed and the run released."""
    plane.clock.advance(30)
    plane.tick()
    ended = plane.run(run.id)
    assert (ended.released_at, ended.hold) == (plane.clock(), None)
    assert (ended.status, ended.because, ended.ended_at) == (run.status, run.because, run.ended_at)
    assert plane.is_gone(ended)


def test_a_copy_that_cannot_be_removed_is_removed_later(plane: RealPlane) -> None:
    looks = plane.settings.runs_root / "looks"
    run = launch_with_setup(plane, f"mv '{looks}'/$RUNYARD_RUN_ID.git '{looks}/aside'")
    assert (run.status, run.because, run.released_at) == ("not_started", FAILED, None)
    assert run.hold == "not removed yet: working copy; retrying"
    # the other rollback step was tried
    assert plane.tip(run) is None
    assert plane.copy(run).exists()
    plane.tick()
    assert plane.run(run.id) == run
    (looks / "aside").rename(looks / f"{run.id}.git")
    see_released(plane, run)


def test_a_mirror_that_cannot_be_read_keeps_the_run_open_until_it_can(plane: RealPlane) -> None:
    mirrors = plane.settings.runs_root / "mirrors"
    run = launch_with_setup(plane, f"mv '{mirrors}'/*.git/HEAD '{mirrors}/aside'")
    assert (run.status, run.because, run.released_at) == ("not_started", FAILED, None)
    assert run.hold == "not removed yet: afk/1; retrying"
    assert not plane.copy(run).exists()
    (mirrors / "aside").rename(mirrors / f"{run.project_id}.git" / "HEAD")
    see_released(plane, run)


def test_what_may_still_live_keeps_its_copy_and_its_claim(plane: RealPlane, tmp_path: Path) -> None:
    engine = plane.adapters.engine
    assert isinstance(engine, LocalEngine)
    seeing = engine._table
    engine._table = ProcessTable(engine._instance, str(tmp_path / "no-such-table"))
    run = launch_with_setup(plane, "true")
    assert (run.status, run.because, run.released_at) == ("not_started", FAILED, None)
    assert run.hold == "Couldn't confirm that its processes have exited"
    assert plane.copy(run).exists()
    assert plane.tip(run) == run.base_sha
    engine._table = seeing
    see_released(plane, run)


def launch_that_nobody_remembers(plane: DrivenPlane, run: Run) -> Run:
    """Take a queued run as a server does that is killed right after."""
    with plane.stores.owner_of(run.id).transaction() as tx:
        plane.ledgers.runs.move(
            tx,
            run,
            Signal.TAKEN,
            now=plane.clock(),
            kind="taken",
            sentence="taken",
            **plane.services.ownership.marks(),
        )
    return plane.run(run.id)


def waiting(plane: DrivenPlane, project: Project) -> Run:
    """Return a run that is still queued."""
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project)
    plane.ledgers.projects.change(project.id, state="ready")
    return run


def test_a_launch_that_was_cut_short_is_put_back_into_the_queue_once(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 60")
    run = launch_that_nobody_remembers(twin, waiting(twin, project))
    again = twin.reap(run)
    assert (again.status, again.taken_at, again.server, again.base_sha) == (
        *("queued", None, None, None),
    )
    assert twin.lines(run)[-1] == (
        "back in the queue: Runyard was restarted before the agent had started"
    )
    launch_that_nobody_remembers(twin, again)
    ended = twin.reap(run)
    assert (ended.status, ended.released_at) == ("not_started", twin.clock())


def test_a_trace_of_a_supervisor_is_no_proof_that_no_agent_began(plane: RealPlane) -> None:
    project = plane.add_project("sleep 60")
    run = launch_that_nobody_remembers(plane, waiting(plane, project))
    folder = plane.settings.runs_root / "records" / run.id
    folder.mkdir(parents=True)
    (folder / ".started").write_text("")  # the supervisor got no further, or its record was lost
    assert plane.reap(run).status == "not_started"


def test_a_retry_that_waits_again_and_is_stopped_keeps_what_it_took_over(plane: RealPlane) -> None:
    project = plane.add_project(f"if test -e new.txt; then sleep 60; fi; {COMMIT}; exit 3")
    first = plane.finish(project)
    plane.ledgers.projects.change(project.id, state="cloning")
    heir = retry(plane, first)
    plane.ledgers.projects.change(project.id, state="ready")
    heir = launch_that_nobody_remembers(plane, heir)
    handover = Handover(plane.ledgers.runs, plane.adapters, plane.clock)
    handover.take_over(plane.repository(project), heir)
    again = plane.reap(heir)
    assert (again.status, again.base_sha) == ("queued", first.base_sha)
    stopped = plane.reap(plane.stop_run(again))
    assert (stopped.status, stopped.parked) == ("stopped", True)
    assert kept(plane) == [(first.work_branch, heir.id)]


def test_work_in_the_copy_of_a_launch_that_nobody_remembers_is_parked(plane: RealPlane) -> None:
    project = plane.add_project()
    run = launch_that_nobody_remembers(plane, waiting(plane, project))
    repo, mirrors = plane.repository(project), plane.adapters.mirrors
    base = mirrors.origin_tip(repo, "main")
    assert base is not None
    plane.ledgers.runs.update_fields(run.id, project.id, base_sha=base)
    mirrors.claim(repo, run.work_branch, base)
    copy = plane.adapters.copies.prepare(repo, run.id, branch=run.work_branch, sha=base)
    (copy / "work.txt").write_text("hours of it")
    run = plane.reap(run)
    assert (run.status, run.parked, run.released_at) == ("not_started", True, plane.clock())
    assert (copy / "work.txt").read_text() == "hours of it"
    assert plane.tip(run) == base
