"""Logs of ended runs are removed by age and size; rows and unmerged work stay."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.engine.records import LocalRunFolders
from app.domain.formatting import size_words
from app.records.tables import Run
from app.services.retention import logs, policy
from app.services.system.doctor import Look
from tests.drivers.planes import COMMIT, RealPlane, real_plane

HOUR, DAY = 3600, 86400
FAIL_WITH_FILES = f"{COMMIT}; echo mine > unsaved.txt; exit 3"


def folder_of(plane: RealPlane, run: Run) -> Path:
    """Return the folder of a run's log."""
    return plane.settings.runs_root / "records" / run.id


def age(plane: RealPlane, run: Run, days: float) -> None:
    """Set the age of a run's folder to match its row's, in days."""
    seconds = plane.clock.now.timestamp() - days * DAY
    os.utime(folder_of(plane, run), (seconds, seconds))


def quiet(plane: RealPlane) -> Run:
    """Return an ended run with a log and nothing else."""
    run = plane.finish(plane.add_project("echo hello"))
    assert run.released_at is not None
    return run


def clear(plane: RealPlane) -> int:
    """Run one retention round and return the number of removed logs."""
    return plane.services.retention.clear_once(plane.clock())


def clear_shown(plane: RealPlane) -> int:
    """Announce removals in one round, run another an hour later, and return its count."""
    assert clear(plane) == 0, "nothing goes that was not shown to go"
    plane.clock.advance(HOUR)
    return clear(plane)


def test_a_log_goes_after_its_days_and_the_row_says_so(tmp_path: Path) -> None:
    with real_plane(tmp_path) as plane:
        run = quiet(plane)
        assert clear_shown(plane) == 0
        plane.clock.advance(31 * DAY)
        assert clear(plane) == 0, "the first round after a start, or an upgrade, shows it"
        goes_at = plane.clock() + timedelta(hours=1)
        plane.clock.advance(HOUR - 1)
        assert clear(plane) == 0
        standing = plane.services.retention.usage(plane.clock())
        told = [(one.run_id, one.because, one.goes_at) for one in standing.leaving]
        assert told == [(run.id, "age", goes_at)]
        assert standing.leaving_bytes > 0
        size = size_words(standing.leaving_bytes)
        items = plane.services.doctor.examine(Look.ANEW).items
        [kept] = [one for one in items if one.check == "retention"]
        assert f"to go from {goes_at:%d %B %H:%M} UTC on: 1 log, {size}" in kept.found
        plane.clock.advance(1)
        assert clear(plane) == 1
        assert not folder_of(plane, run).exists()
        assert plane.lines(run)[-1] == "The log was removed after 30 days."
        assert plane.run(run.id).status == run.status
        assert clear(plane) == 0


def test_what_is_shown_no_more_is_shown_an_hour_again(tmp_path: Path) -> None:
    with real_plane(tmp_path) as plane:
        run = quiet(plane)
        plane.clock.advance(31 * DAY)
        assert clear(plane) == 0
        plane.ledgers.runs.update_fields(run.id, run.project_id, may_resume=True)
        plane.clock.advance(HOUR)
        assert clear(plane) == 0
        plane.ledgers.runs.update_fields(run.id, run.project_id, may_resume=False)
        assert clear_shown(plane) == 1


def test_work_that_is_not_merged_stays_however_old(tmp_path: Path) -> None:
    with real_plane(tmp_path, keep_gb=1e-9) as plane:
        run = plane.finish(plane.add_project(FAIL_WITH_FILES))
        assert run.parked
        plane.clock.advance(400 * DAY)
        assert clear_shown(plane) == 1
        assert not folder_of(plane, run).exists()
        assert plane.run(run.id).parked
        assert plane.tip(run) not in (None, run.base_sha)
        assert (plane.copy(run) / "unsaved.txt").read_text() == "mine\n"


def test_a_run_that_is_not_over_keeps_its_log(tmp_path: Path) -> None:
    with real_plane(tmp_path, keep_gb=1e-9) as plane:
        run = plane.start_running(plane.add_project("sleep 60"))
        plane.clock.advance(400 * DAY)
        assert clear_shown(plane) == 0
        assert folder_of(plane, run).is_dir()


def test_folders_that_are_no_runs_of_ours_stay(tmp_path: Path) -> None:
    with real_plane(tmp_path) as plane:
        stranger = plane.settings.runs_root / "records" / "run_cstranger"
        stranger.mkdir()
        plane.clock.advance(400 * DAY)
        assert clear_shown(plane) == 0
        assert stranger.is_dir()


def test_the_oldest_go_until_what_is_kept_fits(tmp_path: Path) -> None:
    with real_plane(tmp_path) as plane:
        project = plane.add_project("head -c 100000 /dev/zero")
        runs = [plane.finish(project) for _ in range(3)]
        for run, days in zip(runs, (3, 2, 1), strict=True):
            age(plane, run, days)
        kept = plane.services.retention.usage(plane.clock()).kept_bytes
    with real_plane(tmp_path, keep_days=0, keep_gb=(kept - 1) / policy.GB) as plane:
        assert clear_shown(plane) == 1
        assert [folder_of(plane, run).exists() for run in runs] == [False, True, True]
        assert plane.lines(runs[0])[-1].startswith("The log was removed to stay within ")


def test_with_zero_everything_is_kept(tmp_path: Path) -> None:
    with real_plane(tmp_path, keep_days=0, keep_gb=0) as plane:
        quiet(plane)
        plane.clock.advance(4000 * DAY)
        standing = plane.services.retention.usage(plane.clock())
        assert (standing.leaving, standing.next_at) == ((), None)


def test_an_agent_that_dates_its_log_back_holds_up_no_other(tmp_path: Path) -> None:
    with real_plane(tmp_path) as plane:
        old = quiet(plane)
        age(plane, old, -1)
        plane.clock.advance(31 * DAY)
        young = quiet(plane)
        os.utime(folder_of(plane, young), (0, 0))
        standing = plane.services.retention.usage(plane.clock())
        assert [one.run_id for one in standing.leaving] == [old.id]


def test_links_that_an_agent_left_are_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    with real_plane(tmp_path) as plane:
        run = quiet(plane)
        (folder_of(plane, run) / "link").symlink_to(precious)
        plane.clock.advance(31 * DAY)
        assert clear_shown(plane) == 1
        assert (precious / "file").read_text() == "mine"


def test_a_round_removes_so_many_and_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "AT_ONCE", 1)
    with real_plane(tmp_path) as plane:
        project = plane.add_project("echo hello")
        for _ in range(2):
            plane.finish(project)
        plane.clock.advance(31 * DAY)
        rounds = [clear_shown(plane), *(clear(plane) for _ in range(2))]
        assert rounds == [1, 1, 0]


def test_a_look_at_what_goes_does_not_put_off_the_round_that_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with real_plane(tmp_path) as plane:
        project, desk = plane.add_project("echo hello"), plane.services.retention
        asked: list[float] = []
        monkeypatch.setattr(
            desk, "_again_at", lambda at, _: asked.append((at - plane.clock()).total_seconds())
        )
        plane.finish(project)
        plane.clock.advance(31 * DAY)
        desk.usage(plane.clock())
        assert asked.pop() == HOUR
        plane.clock.advance(HOUR - 1)
        plane.finish(project)
        plane.clock.advance(31 * DAY)
        # the first is overdue, the second is announced from now on
        desk.usage(plane.clock())
        assert asked == [logs.SOON.total_seconds()]


def test_a_folder_is_weighed_again_only_where_something_came_or_went(tmp_path: Path) -> None:
    folder = tmp_path / "run_1"
    folder.mkdir()
    (folder / "log").write_bytes(b"x" * 50_000)
    folders = LocalRunFolders(tmp_path)
    [first] = folders.all()
    with (folder / "log").open("ab") as log:
        log.write(b"x" * 500_000)
    assert folders.all() == [first]
    (folder / "exit").write_bytes(b"{}")
    [last] = folders.all()
    assert last.bytes >= first.bytes + 500_000
