"""Launches in a world changed since acceptance: missing mirrors, closed issues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.domain.words import Trigger
from app.services.ports import CannotRead, Repository
from tests.builders.databases import shared_database
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane, real_plane
from tests.fakes.planes import TwinPlane, twin_plane


@contextmanager
def mirrors_away(plane: RealPlane) -> Iterator[None]:
    """Move the mirrors folder away, as if its mount were missing."""
    mirrors, away = plane.settings.runs_root / "mirrors", plane.folder / "away"
    mirrors.rename(away)
    yield
    assert not list(mirrors.glob("*.git"))
    away.rename(mirrors)


@contextmanager
def world_without_mirrors(plane: TwinPlane) -> Iterator[None]:
    """Take the mirrors out of the in-memory world."""
    mirrors, plane.world.mirrors = plane.world.mirrors, {}
    yield
    assert plane.world.mirrors == {}
    plane.world.mirrors = mirrors


def expect_a_mirror_not_made_anew(
    plane: DrivenPlane, agent: str, away: AbstractContextManager[None]
) -> None:
    """Check that no launch makes a mirror whose claims are only away for a time."""
    project = plane.add_project(agent)
    issue = plane.add_issue(project).number
    if agent.startswith("exec"):
        plane.start_running(project, issue=issue)
    else:
        plane.finish(project, issue=issue)
    with away:
        run = plane.launch(project)
        assert (run.status, run.cause) == ("not_started", "launch_failed")
        assert "is not in its folder, and work is kept in it" in (run.because or "")
        assert plane.services.issues.claimable(project) is None
    assert plane.services.issues.claimable(project) == []
    assert plane.launch(project).status == "running"


def test_a_mirror_that_is_away_with_its_claims_is_not_made_anew(plane: RealPlane) -> None:
    expect_a_mirror_not_made_anew(plane, f"{COMMIT}; exit 3", mirrors_away(plane))


@pytest.mark.parametrize("agent", ["exit 3", COMMIT, "exec sleep 60"])
def test_any_claim_keeps_a_mirror_from_being_made_anew(twin: TwinPlane, agent: str) -> None:
    expect_a_mirror_not_made_anew(twin, agent, world_without_mirrors(twin))


def test_a_mirror_in_which_nothing_is_kept_is_made_anew(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery
    plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    plane.adapters.mirrors.remove(plane.repository(project))
    assert plane.start_running(project).base_sha != run.base_sha


def test_a_server_with_another_runs_folder_makes_a_mirror_of_its_own(tmp_path: Path) -> None:
    url = shared_database(tmp_path)
    with real_plane(tmp_path / "one", database_url=url) as one:
        project = one.add_project(f"{COMMIT}; exit 3")
        one.finish(project, issue=one.add_issue(project).number)
    with real_plane(tmp_path / "other", database_url=url) as other:
        other.leases.renew_once(other.clock.advance(60))
        assert other.launch(project).status == "running"


def test_a_claim_that_git_made_before_it_failed_is_taken_back(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project()
    issue, mirrors = plane.add_issue(project).number, plane.adapters.mirrors
    claim = mirrors.claim

    def claim_late(repo: Repository, branch: str, base_sha: str) -> None:
        claim(repo, branch, base_sha)
        raise CannotRead("git did not answer in time.")

    monkeypatch.setattr(mirrors, "claim", claim_late)
    run = plane.launch(project, issue=issue)
    monkeypatch.undo()
    assert (run.status, run.parked) == ("not_started", False)
    assert plane.is_gone(run)
    assert plane.services.issues.claimable(project) == [issue]


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.AUTO])
@pytest.mark.parametrize("change", [{"state": "closed"}, {"labels": []}])
def test_an_issue_that_is_not_wanted_any_more_is_not_worked_on(
    tmp_path: Path, trigger: Trigger, change: dict[str, Any]
) -> None:
    with twin_plane(tmp_path, max_live_runs=1) as twin:
        project = twin.add_project("exec sleep 60")
        first = twin.start_running(project)
        issue = twin.add_issue(project).number
        requester = replace(twin.requester(), trigger=trigger)
        order = twin.order(project, issue=issue)
        run = twin.services.accept.accept(order, requester, twin.clock()).run
        twin.rest()
        assert twin.run(run.id).status == "queued"
        twin.services.issues.change(project.id, issue, change, twin.clock())
        twin.stop_run(first)
        twin.see_end(first)
        twin.tick()
        run = twin.run(run.id)
        if trigger is Trigger.MANUAL and "labels" in change:
            assert run.status == "running"  # a person may start an unlabeled issue
            return
        why = "was closed before" if "state" in change else "is not labelled ready-for-agent any"
        assert run.status == "not_started"
        assert why in (run.because or "")
        assert twin.is_gone(run)


@pytest.mark.expects_error_log
def test_a_launch_whose_lock_cannot_be_had_is_no_promise_any_more(tmp_path: Path) -> None:
    url = shared_database(tmp_path)
    with real_plane(tmp_path, database_url=url) as plane:
        project = plane.add_project()
        locks, aside = plane.settings.runs_root / "locks", tmp_path / "locks"
        if locks.exists():
            locks.rename(aside)
        locks.write_text("no folder")
        run = plane.launch(project)
        assert run.status == "starting"
        locks.unlink()
        # no agent started, so the run is queued again; the second time it ends
        assert plane.reap(run).status == "queued"
