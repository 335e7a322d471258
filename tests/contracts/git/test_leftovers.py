"""Leftovers of calls killed halfway: they are found and deleted, and nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.adapters.git.temp_folders import aside, in_use
from app.services.ports import CannotRead
from tests.builders.repositories import Place, commit_file, set_up_place

ROOT = Path(__file__).parents[3]
# the same place in a process that is killed in the middle of a call, as by a power cut
KILLED = """
import os, signal, sys
from pathlib import Path
from app.adapters.git import import_commits, layout, mirrors, working_copies
from app.adapters.git.command import Git, Identity
from app.services.ports import Repository

folder, what = Path(sys.argv[1]), sys.argv[2]
git = Git(Identity())
ours = mirrors.GitMirrors(folder / "mirrors", git=git)
copies = working_copies.GitWorkingCopies(folder / "copies", folder / "mirrors", git=git)
repo = Repository("proj_1", str(folder / "origin"))

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

if what == "clone":
    mirrors.bring = die
    ours.clone(Repository("proj_2", repo.origin), progress=lambda *_: None)
elif what == "prepare":
    working_copies.shutil.copy2 = die
    copies.prepare(repo, "run_2", branch="afk/2", sha=ours.origin_tip(repo, "main"))
elif what == "remove":
    rmtree = layout.shutil.rmtree
    layout.shutil.rmtree = lambda name, dir_fd: die(
        rmtree(os.path.join(name, "run_1", ".git"), dir_fd=dir_fd)
    )
    copies.remove("run_1")
elif what == "take":
    import_commits._move_packs = die
    copies.import_work(repo, "run_1", "afk/1")
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with one run's working copy."""
    place = set_up_place(tmp_path)
    place.start()
    return place


def kill_in_the_middle_of(place: Place, what: str) -> None:
    folder = place.origin.parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), what],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr.decode()


def entries(place: Place) -> set[str]:
    """Return the path of every entry in the folders of copies, looks and mirrors."""
    folders = [place.origin.parent / name for name in ("copies", "looks", "mirrors")]
    names = [str(path) for folder in (*folders, place.mirror) for path in folder.iterdir()]
    # lock files are kept on purpose
    return {name for name in names if not name.endswith(".lock")}


def clear(place: Place, *over: str) -> int:
    return place.mirrors.clear_leftovers() + place.copies.clear_leftovers(over.__contains__)


@pytest.mark.parametrize("what", ["clone", "prepare", "take"])
def test_what_a_killed_call_made_is_deleted_and_nothing_else(place: Place, what: str) -> None:
    commit_file(place.copies.path("run_1"), "work.txt")
    before = entries(place)
    kill_in_the_middle_of(place, what)
    assert entries(place) > before
    assert clear(place, "run_2") > 0
    assert entries(place) == before
    assert clear(place, "run_2") == 0
    assert (place.copies.path("run_1") / "work.txt").exists()


def test_half_of_a_removed_copy_is_never_taken_for_a_copy_with_changes(place: Place) -> None:
    kill_in_the_middle_of(place, "remove")
    assert not place.copies.exists("run_1")
    # the undo or the teardown continues the removal
    place.copies.remove("run_1")
    assert list((place.origin.parent / "copies").iterdir()) == []
    assert list((place.origin.parent / "looks").iterdir()) == []


def test_a_prepare_after_a_killed_one_works(place: Place) -> None:
    kill_in_the_middle_of(place, "prepare")
    place.copies.prepare(place.repo, "run_2", branch="afk/2", sha=place.base_sha)
    place.copies.remove("run_2")
    assert [path.name for path in place.copies.path("run_1").parent.iterdir()] == ["run_1"]


def test_what_is_being_worked_at_and_what_is_not_ours_stays(place: Place) -> None:
    folder = place.origin.parent
    with aside(folder / "copies", "run_9") as new, in_use(place.mirror):
        incoming = place.mirror / ".incoming.0123456789ab"
        incoming.mkdir()
        for foreign in (".run_9.zz", ".run_9.0123456789AB", ".mine"):
            (folder / "copies" / foreign).mkdir()
        (folder / "copies" / ".run_8.0123456789ab").symlink_to(folder / "origin")
        (folder / "looks" / "run_7.git").mkdir()  # of a run that is unknown here
        before = entries(place)
        assert clear(place) == 0
        assert entries(place) == before
    assert not new.exists()
    assert clear(place) == 1
    assert not incoming.exists()


def test_a_copy_that_cannot_be_deleted_says_so_each_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("busy")

    with monkeypatch.context() as busy:
        busy.setattr(shutil, "rmtree", refuse)
        for _ in range(2):
            with pytest.raises(CannotRead):
                place.copies.remove("run_1")
    place.copies.remove("run_1")
    assert list((place.origin.parent / "copies").iterdir()) == []
