"""Unreadable run folders: a missing mount, or no file descriptors left (F20)."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from app.services.ports import LaunchFailed
from tests.drivers.planes import real_plane
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, shell


@contextmanager
def away(root: Path) -> Iterator[None]:
    aside = root.rename(root.with_name("away"))
    yield
    aside.rename(root)


@contextmanager
def out_of_numbers(_: Path) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def in_disguise(root: Path) -> Iterator[None]:
    with away(root):
        root.write_text("no folder")
        yield
        root.unlink()


@pytest.mark.parametrize("trouble", [away, out_of_numbers, in_disguise])
def test_records_that_cannot_be_read_prove_nothing(
    engine: KeepingEngine,
    ears: Ears,
    root: Path,
    tmp_path: Path,
    trouble: Callable[[Path], AbstractContextManager[None]],
) -> None:
    engine.start(order(RUN, tmp_path, shell("exit 0")))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    kept = engine.kept(RUN)
    with trouble(root):
        sight = engine.inspect(RUN, kept)
        is_proved = engine.kill(RUN, kept)
    assert (sight.alive, sight.exit, sight.tree_gone, is_proved) == (None, None, False, False)
    sight = engine.see(RUN)
    assert (sight.alive, sight.exit is not None, sight.tree_gone) == (False, True, True)
    assert engine.end(RUN)


def test_nothing_is_launched_where_the_records_are_away(
    engine: KeepingEngine, root: Path, tmp_path: Path
) -> None:
    with away(root), pytest.raises(LaunchFailed, match="folder could not be written"):
        engine.start(order(RUN, tmp_path, shell("exit 0")))
    assert not (root / RUN).exists()


def test_what_an_agent_made_of_its_folder_is_no_trouble_of_the_machine(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, shell("exit 0")))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    shutil.rmtree(root / RUN)
    for spoil in (lambda: None, lambda: (root / RUN).mkdir(), lambda: os.mkfifo(root / RUN)):
        spoil()
        sight = engine.see(RUN)
        assert (sight.alive, sight.exit, sight.tree_gone) == (False, None, False)
        if (root / RUN).is_dir():
            (root / RUN).rmdir()


def test_a_run_whose_records_are_away_waits_for_them(tmp_path: Path) -> None:
    with real_plane(tmp_path) as plane:
        run = plane.start_running_issue(plane.add_project())
        plane.ears.wait_for(run.id, "gone")
        with away(plane.settings.runs_root / "records"):
            assert plane.reap(run).status == "running"
        assert plane.reap(run).status == "succeeded"
