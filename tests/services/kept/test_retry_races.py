"""Retries that race for the same parked work: one comes first, the other sees its result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.words import Trigger
from app.errors import AlreadyRunning, InReview, PrLock, Refusal
from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from tests.builders.retries import TWO_TRIES, accept, died, kept
from tests.drivers.failpoints import hold_at
from tests.drivers.planes import SECONDS, DrivenPlane, RealPlane
from tests.fakes.agents.runs import until
from tests.fakes.planes import TwinPlane


def deed(plane: DrivenPlane) -> Deed:
    return Deed(plane.person, "test", "by a test", "corr")


def discard(plane: RealPlane, run: Run) -> object:
    branch, now = run.work_branch, plane.clock()
    return plane.services.parked.discard(run.project_id, branch, branch, deed(plane), now)


def deliver(plane: RealPlane, run: Run) -> object:
    return plane.services.salvage.deliver(run.id, deed(plane), None, plane.clock())


def answer_of(deed: Callable[[], object], answers: list[object]) -> threading.Thread:
    """Run `deed` in a thread; append its result or refusal to `answers`."""

    def go() -> None:
        try:
            answers.append(deed())
        except Refusal as refusal:
            answers.append(refusal)

    thread = threading.Thread(target=go)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("other", "point"), [(discard, "discard.after_claim"), (deliver, "salvage.before_commit")]
)
def test_a_retry_waits_for_who_has_the_work_in_hand(
    plane: RealPlane,
    tmp_path: Path,
    other: Callable[[RealPlane, Run], object],
    point: str,
) -> None:
    first = died(plane, plane.add_project(TWO_TRIES))
    held, done, retried = tmp_path / "go-on", list[object](), list[object]()
    hold_at(point, held)
    threads = [answer_of(lambda: other(plane, first), done)]
    until(lambda: held.with_name("go-on.reached.0").exists(), "the other to be there", SECONDS)
    threads.append(answer_of(lambda: accept(plane, first).run, retried))
    held.touch()
    for thread in threads:
        thread.join(SECONDS)
    plane.rest()
    assert not isinstance(done[0], Refusal)
    if other is deliver:
        # a change request is open now, and no agent works on its branch
        assert isinstance(retried[0], InReview)
        assert plane.ledgers.runs.open_runs() == []
    else:
        # no work is left to continue: it began at the base
        assert isinstance(retried[0], Run)
        assert (plane.run(retried[0].id).status, kept(plane)) == ("running", [])
        assert retried[0].base_sha is None


@pytest.mark.parametrize("other", [discard, deliver])
def test_who_comes_after_a_retry_is_told_who_has_the_branch(
    plane: RealPlane, other: Callable[[RealPlane, Run], object]
) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    plane.ledgers.projects.change(project.id, state="cloning")
    second = accept(plane, first).run
    assert second.trigger == Trigger.RETRY
    with pytest.raises(PrLock) as answer:
        other(plane, first)
    assert answer.value.members["holder"] == second.id
    assert (plane.copy(first) / "left.txt").exists()


def test_of_many_retries_at_once_one_goes_on(twin: TwinPlane) -> None:
    first = died(twin, twin.add_project(TWO_TRIES))
    answers: list[object] = []
    threads = [answer_of(lambda: accept(twin, first).run, answers) for _ in range(5)]
    for thread in threads:
        thread.join(SECONDS)
    twin.rest()
    made = [one for one in answers if isinstance(one, Run)]
    assert len(made) == 1
    assert {type(one) for one in answers if not isinstance(one, Run)} == {AlreadyRunning}
    assert twin.see_end(twin.run(made[0].id)).status == "succeeded"
