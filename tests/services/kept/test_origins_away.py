"""F30, F51: a delivery waits for a missing folder, host or mirror."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.pushes import DIES, hooked, pushed
from tests.drivers.planes import RealPlane


def leave_nothing(origin: Path) -> None:
    """Leave nothing: the disk is not mounted, or the folder was moved."""


def leave_an_empty_folder(origin: Path) -> None:
    """Leave an empty folder, as an unmounted disk does."""
    origin.mkdir()


def leave_a_dangling_link(origin: Path) -> None:
    """Leave a link to a disk that is not mounted."""
    origin.symlink_to(origin.with_name("nowhere"))


def leave_a_file(origin: Path) -> None:
    """Leave a file in the folder's place."""
    origin.touch()


@pytest.mark.parametrize(
    "leave", [leave_nothing, leave_an_empty_folder, leave_a_dangling_link, leave_a_file]
)
def test_f30_a_delivery_waits_for_a_folder_that_is_away(
    plane: RealPlane, leave: Callable[[Path], None]
) -> None:
    project = plane.add_project()
    run = plane.start_running_issue(project)
    plane.ears.wait_for(run.id, "gone")
    origin = Path(project.origin)
    away = origin.rename(origin.with_name("away"))
    leave(origin)
    run = plane.reap(run)
    assert (run.status, run.ended_at) == ("delivering", None)
    assert (run.hold or "").startswith("delivery waits: ")
    if origin.is_symlink() or origin.is_file():
        origin.unlink()
    away.rename(origin)
    plane.clock.advance(5)
    plane.tick()
    run = plane.run(run.id)
    assert (run.status, run.hold) == ("succeeded", None)
    assert pushed(project, run) == run.head_sha


def test_f51_a_delivery_waits_for_a_host_that_does_not_answer(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.start_running_issue(project)
    plane.ears.wait_for(run.id, "gone")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but not listening
        port = nobody.getsockname()[1]
        plane.ledgers.projects.change(project.id, origin=f"https://127.0.0.1:{port}/x.git")
        run = plane.reap(run)
    assert (run.status, run.hold) == (
        "delivering",
        "delivery waits: The host of this address did not answer.",
    )
    plane.ledgers.projects.change(project.id, origin=project.origin)
    plane.clock.advance(5)
    plane.tick()
    assert plane.run(run.id).status == "succeeded"


def test_a_delivery_waits_for_a_mirror_that_is_away(plane: RealPlane) -> None:
    project, hook = hooked(plane, DIES)
    run = plane.see_end(plane.start_running_issue(project))
    hook.unlink()
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    away = mirror.rename(mirror.with_suffix(".away"))
    plane.clock.advance(5)
    plane.tick()
    assert plane.run(run.id).status == "delivering"
    assert "the mirror could not be read" in (plane.run(run.id).hold or "")
    away.rename(mirror)
    plane.clock.advance(10)
    plane.tick()
    assert plane.run(run.id).status == "succeeded"


@pytest.mark.parametrize(
    "said",
    [
        "error: unable to create temporary object directory: No space left on device",
        "error: insufficient permission for adding an object to repository database",
        "Internal Server Error",
        "fatal error in commit_refs",
    ],
)
def test_an_origin_in_trouble_has_refused_nothing(plane: RealPlane, said: str) -> None:
    project, hook = hooked(plane, f"echo '{said}' >&2; exit 1")
    run = plane.see_end(plane.start_running_issue(project))
    assert run.status == "delivering"
    hook.unlink()
    plane.clock.advance(5)
    plane.tick()
    assert plane.run(run.id).status == "succeeded"
