"""One upload of batch items: its external lookups, stored items and responses."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.words import Depth
from app.errors import AlreadyEnded, ForgeUnavailable
from app.records.tables import Batch, Project
from app.services.batches.filling import Filling, Item
from app.services.ports import ForgeSilent, OriginProblem, Remote
from app.services.runs.requests import RunRequest
from tests.builders.batches import a_batch
from tests.fakes.planes import FakePlane
from tests.fakes.world import FakeMirrors, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def plane(tmp_path: Path, world: World) -> Iterator[FakePlane]:
    plane = FakePlane(tmp_path, world, max_live_runs=1)
    yield plane
    plane.rest()
    plane.stop()


@pytest.fixture
def project(plane: FakePlane, world: World) -> Project:
    return plane.add_project(world)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """An origin that counts its calls and may be silent."""
    asked, real = Asked(), FakeMirrors.inspect_origin

    def look(self: FakeMirrors, origin: str, *, timeout_seconds: float) -> Remote:
        asked.times += 1
        if asked.is_silent:
            raise OriginProblem("The repository did not answer.", for_good=False)
        return real(self, origin, timeout_seconds=timeout_seconds)

    monkeypatch.setattr(FakeMirrors, "inspect_origin", look)
    return asked


class Asked:
    """Number of calls, and a switch for silence."""

    times = 0
    is_silent = False


class SilentForge:
    """A tracker that counts its calls and never answers."""

    def __init__(self) -> None:
        self.times = 0

    def issue(self, *_: object) -> None:
        self.times += 1
        raise ForgeSilent


def filling(plane: FakePlane, batch: Batch) -> Filling:
    return plane.services.batches.fill(batch.id, plane.requester())


def item(project: Project, index: int, branch: str | None = None, issue: int | None = None) -> Item:
    order = RunRequest(
        project.id, Depth.QUICK, "auto", task=f"part {index}", branch=branch, issue=issue
    )
    return Item(index, order)


def test_an_origin_is_asked_once_for_all_branches_that_nobody_knows(
    plane: FakePlane, project: Project, asked: Asked, world: World
) -> None:
    world.origins[project.origin]["pushed-just-now"] = "b" * 40
    batch = a_batch(plane, project, 40, sent=0)
    one = filling(plane, batch)
    for index in range(40):
        branch = ("nowhere", f"no-{index}", "pushed-just-now", None)[index % 4]
        one.take(item(project, index, branch), plane.clock())
    assert asked.times == 1
    told = [(taken.status, taken.because) for taken in one.taken]
    assert told[0] == ("not_started", "The repository has no branch nowhere.")
    assert [status for status, _ in told] == [
        *("not_started", "not_started", "accepted", "accepted")
    ] * 10
    filling(plane, batch).take(item(project, 0, "nowhere"), plane.clock())
    later = filling(plane, a_batch(plane, project, 1, sent=0))
    later.take(item(project, 0, "nowhere"), plane.clock())
    assert asked.times == 2, "each call asks for itself"


def test_a_line_that_a_silent_origin_leaves_open_keeps_no_other_out(
    plane: FakePlane, project: Project, asked: Asked
) -> None:
    batch, asked.is_silent = a_batch(plane, project, 12, sent=0), True
    one = filling(plane, batch)
    for index in range(12):
        one.take(item(project, index, "nowhere" if index % 3 == 0 else None), plane.clock())
    assert asked.times == 1
    assert [taken.status for taken in one.taken] == ["accepted"] * 8
    assert plane.services.batches.missing(batch) == [0, 3, 6, 9]
    with pytest.raises(ForgeUnavailable, match="4 are still missing") as told:
        one.append_undecided()
    assert told.value.members["indexes"] == [0, 3, 6, 9]
    asked.is_silent = False
    again = filling(plane, batch)
    for index in (0, 3, 6, 9):
        again.take(item(project, index, "nowhere"), plane.clock())
    again.append_undecided()
    assert plane.services.batches.seal(batch.id, plane.clock()).sealed


def test_of_a_line_that_cannot_be_decided_only_the_sentence_is_kept(
    plane: FakePlane, project: Project, asked: Asked
) -> None:
    one, asked.is_silent = filling(plane, a_batch(plane, project, 3, sent=0)), True
    there = []
    for index in range(3):
        line = item(project, index, "nowhere")
        there.append(weakref.ref(line))
        one.take(line, plane.clock())
        del line
    gc.collect()
    assert [ref() for ref in there] == [None] * 3
    with pytest.raises(ForgeUnavailable, match="; 3 are still missing"):
        one.append_undecided()


def test_a_tracker_that_is_silent_is_not_asked_for_each_of_many_issues(
    plane: FakePlane, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = SilentForge()
    checks = plane.services.accept._prechecks
    monkeypatch.setattr(checks, "_forge_of", lambda _: forge)
    one = filling(plane, a_batch(plane, project, 9, sent=0))
    for index in range(9):
        one.take(item(project, index, issue=index or None), plane.clock())
    assert forge.times == 1
    assert [taken.index for taken in one.taken] == [0]
    with pytest.raises(ForgeUnavailable) as told:
        one.append_undecided()
    assert told.value.members == {"indexes": list(range(1, 9))}


def test_a_line_that_is_repeated_without_end_does_not_fill_the_memory(
    plane: FakePlane, project: Project
) -> None:
    one = filling(plane, a_batch(plane, project, 2, sent=0))
    for _ in range(100):
        one.take(item(project, 0), plane.clock())
    one.take(item(project, 1), plane.clock())
    assert [(taken.index, taken.status) for taken in one.taken] == [
        (0, "accepted"),
        (0, "deduplicated"),
        (1, "accepted"),
    ]


def test_an_aborted_batch_that_is_complete_does_not_say_that_it_is_sealed(
    plane: FakePlane, project: Project
) -> None:
    desk = plane.services.batches
    batch = a_batch(plane, project, 1, sent=0)
    one = filling(plane, batch)
    one.take(item(project, 0), plane.clock())
    desk.stop(batch.id, "enough", plane.clock())
    receipt = desk.seal(batch.id, plane.clock())
    assert (receipt.sealed, receipt.received) == (False, 1)
    with pytest.raises(AlreadyEnded, match="aborted: enough"):
        filling(plane, batch)


def test_a_batch_that_was_sealed_and_stopped_takes_its_lines_for_known(
    plane: FakePlane, project: Project
) -> None:
    batch = a_batch(plane, project, 1)
    plane.services.batches.stop(batch.id, "enough", plane.clock())
    one = filling(plane, batch)
    one.take(item(project, 0), plane.clock())
    assert [taken.status for taken in one.taken] == ["deduplicated"]
    assert plane.services.batches.seal(batch.id, plane.clock()).sealed
