"""Manual deliveries: immediate, without a retry pause, and with a result for every outcome."""

from __future__ import annotations

from pathlib import Path

from app.records.tables import Project, Run
from app.services.concurrency import Locks
from app.services.lifecycle.deliver import Deliverer, NotDelivered
from app.services.ports import Delivery
from tests.builders.pushes import write_trusted_hook
from tests.builders.repositories import tip_of
from tests.drivers.planes import COMMIT, RealPlane

DIES, REFUSES = "kill -9 $PPID", "echo 'protected here' >&2; exit 1"


def salvage(plane: RealPlane) -> tuple[Project, Run]:
    """Return a new project and its failed run with commits."""
    project = plane.add_project(f"{COMMIT} && exit 5")
    return project, plane.finish(project, issue=plane.add_issue(project).number)


def deliver(plane: RealPlane, project: Project, run: Run) -> Delivery | NotDelivered:
    checks = plane.services.push_checks
    deliverer = Deliverer(
        plane.ledgers.runs, plane.adapters, checks, plane.clock, Locks(), plane.leases
    )
    return deliverer.deliver_now(run, project)


def test_commits_of_a_failed_run_are_delivered_at_once_and_once(plane: RealPlane) -> None:
    project, run = salvage(plane)
    first, again = (deliver(plane, plane.project(project.id), run) for _ in range(2))
    assert isinstance(first, Delivery)
    assert first == again
    assert tip_of(Path(project.origin), "refs/heads/afk/1") == run.head_sha == first.head_sha
    # the caller stores the result
    assert plane.run(run.id) == run


def test_an_origin_that_is_silent_is_asked_again_at_the_next_click(plane: RealPlane) -> None:
    project, run = salvage(plane)
    hook = write_trusted_hook(plane, project, "pre-receive", DIES)
    silent = deliver(plane, plane.project(project.id), run)
    assert isinstance(silent, NotDelivered)
    assert not silent.for_good
    assert plane.run(run.id) == run
    hook.unlink()
    assert isinstance(deliver(plane, plane.project(project.id), run), Delivery)


def test_a_refused_push_is_refused_for_good(plane: RealPlane) -> None:
    project, run = salvage(plane)
    write_trusted_hook(plane, project, "pre-receive", REFUSES)
    refused = deliver(plane, plane.project(project.id), run)
    assert isinstance(refused, NotDelivered)
    assert refused.for_good
    assert "protected here" in refused.because


def test_a_mirror_that_is_away_is_no_refusal(plane: RealPlane) -> None:
    project, run = salvage(plane)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    mirror.rename(mirror.with_suffix(".away"))
    silent = deliver(plane, plane.project(project.id), run)
    assert isinstance(silent, NotDelivered)
    assert not silent.for_good
    mirror.with_suffix(".away").rename(mirror)
    assert isinstance(deliver(plane, plane.project(project.id), run), Delivery)
