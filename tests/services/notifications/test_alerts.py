"""Alerts: agents that projects need, unsent messages, and disks low on space."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore

import pytest

from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.formatting import room_missing
from app.domain.rules import RunFacts, classify
from app.domain.words import Cause
from app.services.system import disk_room
from app.services.system.doctor import Look
from app.services.system.store_health import PartTrouble, StoreWatch
from tests.drivers.planes import DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane

MB = 1024**2


def told(plane: DrivenPlane, part: str) -> list[str]:
    """Return the alerts of a part."""
    return [one.what for one in plane.services.alerts.all() if one.part == part]


def leave(monkeypatch: pytest.MonkeyPatch, free: int, size: int = 100 * 1024 * MB) -> None:
    """Make every disk report this much free space, in bytes."""
    usage = type("Usage", (), {"free": free, "total": size})
    monkeypatch.setattr(disk_room.shutil, "disk_usage", lambda _: usage)


def test_an_agent_that_a_project_needs_and_that_is_missing_is_warned_of(twin: TwinPlane) -> None:
    project = twin.add_project(name="needs codex")
    assert told(twin, "agent") == []
    twin.services.projects.change(project.id, agent="codex")
    [what] = told(twin, "agent")
    assert "'codex' was not found on this machine" in what
    assert what.endswith("Needed by needs codex.")
    found = twin.services.doctor.examine(Look.ANEW).items
    assert [one.level for one in found if one.check == "agent"] == ["look"]


def test_a_disk_with_little_room_is_warned_of(
    twin: TwinPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(monkeypatch, 50 * 1024 * MB)
    assert told(twin, "disk") == []
    for free in (1024 * MB, 4 * 1024 * MB):  # below 2 GB, below 5 %
        leave(monkeypatch, free)
        assert told(twin, "disk")


def test_while_a_disk_is_full_runs_wait_and_the_reason_says_how_much_is_missing(
    twin: TwinPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = twin.add_project()
    with monkeypatch.context() as full:
        leave(full, 4 * MB)
        run = twin.launch(project)
        assert run.status == "queued"
        assert run.hold == "the disk of the data folder is full: 63 MB missing"
        trouble = twin.services.store_watch.parts()
        assert [(one.part, one.is_degraded) for one in trouble] == [("disk", True)]
    twin.tick()
    assert twin.run(run.id).status == "running"


@pytest.mark.parametrize(
    ("free", "size", "missing"),
    [
        (64 * MB, 1024 * MB, 0),
        (4 * MB, 1024 * MB, 60 * MB),
        (6 * MB, 12 * MB, 0),
        (0, 12 * MB, 6 * MB),
    ],
)
def test_a_small_disk_is_full_below_its_half(free: int, size: int, missing: int) -> None:
    assert room_missing(free, size) == missing


@pytest.mark.parametrize(("code", "reason"), [(1, "disk_full"), (0, "exited")])
def test_an_agent_that_ended_on_a_full_disk_is_not_to_blame(
    twin: TwinPlane, code: int, reason: str
) -> None:
    now = twin.clock()
    ended = ExitRecord(code, None, ExitReason(reason), now, "tmp")
    verdict = classify(RunFacts(False, ended, alive=False, now=now, deadline=None))
    assert verdict.cause is Cause.DISK_FULL
    assert verdict.because.startswith("the disk is full, no room for temporary files: agent")


def test_an_agent_that_fails_with_the_words_for_a_full_disk_is_not_to_blame(
    plane: RealPlane, tmp_path: Path
) -> None:
    project = plane.add_project("echo 'cp: No space left on device' >&2; exit 1")
    run = plane.see_end(plane.start_running_issue(project))
    assert (run.status, run.cause) == ("died", "disk_full")
    assert plane.project(project.id).strikes == 0


def test_whoever_asks_while_a_store_is_waited_for_shares_the_next_look(twin: TwinPlane) -> None:
    looks, may_end, asking = [], Event(), Semaphore(0)

    def no_room() -> str:
        looks.append(1)
        assert may_end.wait(60)
        return ""

    def ask() -> list[PartTrouble]:
        asking.release()
        return watch.parts()

    watch = StoreWatch(twin.stores, no_room, lambda _: None, twin.clock)
    with ThreadPoolExecutor(20) as people:
        asked = [people.submit(ask) for _ in range(20)]
        for _ in asked:
            assert asking.acquire(timeout=60)
        may_end.set()
    assert [one.result() for one in asked] == [[]] * 20
    # the one under way and one shared by all later callers; a few more for late threads
    assert len(looks) < 10
