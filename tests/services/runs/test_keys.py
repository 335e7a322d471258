"""Idempotency keys and the quota window: replays, late release, and rounded-up waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.lifecycle import DONE
from app.domain.words import Depth, Status
from app.errors import ConcurrencyLimit, KeyReused, KeyTaken, RateLimited, Refusal
from app.records.projects.project_reading import ProjectUnreadable
from app.records.tables import Project, Run
from tests.builders.poison import unreadable
from tests.fakes.planes import TwinPlane, twin_plane

HOLD, LIFETIME = 600, 30 * 86400


@pytest.fixture
def still(tmp_path: Path) -> Iterator[TwinPlane]:
    """A plane that accepts three runs an hour and starts none."""
    with twin_plane(tmp_path, run_quota=3, repo_concurrency=20) as plane:
        plane.add_project(name="one")
        plane.workers.close()
        yield plane


@pytest.fixture
def project(still: TwinPlane) -> Project:
    """The only project."""
    return still.ledgers.projects.all()[0]


def put(plane: TwinPlane, run: Run, **columns: Any) -> None:
    plane.ledgers.runs.update_fields(run.id, run.project_id, **columns)


def end(plane: TwinPlane, run: Run, status: Status) -> None:
    at = plane.clock() if status in DONE else None
    put(plane, run, status=status, ended_at=at, released_at=at)


def test_f2_a_key_answers_its_run_and_consumes_nothing(still: TwinPlane, project: Project) -> None:
    order = still.order(project, task="Do it")
    first = still.services.accept.accept(order, still.requester("k"), still.clock())
    again = still.services.accept.accept(order, still.requester("k"), still.clock())
    assert (first.replayed, again.replayed) == (False, True)
    assert again.run.id == first.run.id
    assert still.services.listing.window(still.person, still.clock()).used == 1


def archive(plane: TwinPlane, project: Project) -> None:
    plane.ledgers.projects.change(project.id, archived_at=plane.clock())


def use_up(plane: TwinPlane, project: Project) -> None:
    for number in range(2):
        plane.accept(plane.order(project, task=str(number)))


def crowd(plane: TwinPlane, project: Project) -> None:
    plane.ledgers.projects.change(project.id, max_concurrency=1)


def lose_branch(plane: TwinPlane, project: Project) -> None:
    plane.ledgers.projects.change(project.id, known_branches=[], base_branch="gone")


def lose_agent(plane: TwinPlane, project: Project) -> None:
    plane.ledgers.projects.change(project.id, agent_command=["/no/such"])


@pytest.mark.parametrize("worsen", [archive, use_up, crowd, lose_branch, lose_agent])
def test_a_replay_passes_whatever_has_changed_since(
    still: TwinPlane, project: Project, worsen: Any
) -> None:
    run = still.accept(still.order(project), "k")
    worsen(still, project)
    with pytest.raises(Refusal):
        still.accept(still.order(project, depth=Depth.DEEP), "other")
    assert still.accept(still.order(project), "k").id == run.id


def test_a_replay_passes_even_if_its_project_cannot_be_read(
    still: TwinPlane, project: Project
) -> None:
    run = still.accept(still.order(project), "k")
    with unreadable(still, project):
        with pytest.raises(ProjectUnreadable):
            still.accept(still.order(project, depth=Depth.DEEP), "other")
        assert still.accept(still.order(project), "k").id == run.id


@pytest.mark.parametrize(
    "wishes",
    [{"branch": "develop"}, {"depth": Depth.DEEP}, {"task": "x"}, {"model": "m"}, {"tags": ("a",)}],
)
def test_f3_a_key_with_another_body_is_refused_and_names_its_run(
    still: TwinPlane, project: Project, wishes: dict[str, Any]
) -> None:
    run = still.accept(still.order(project), "k")
    with pytest.raises(KeyReused) as refusal:
        still.accept(replace(still.order(project), **wishes), "k")
    assert refusal.value.members == {"run_id": run.id}
    assert still.rows() == [run.id]


def test_a_key_of_somebody_else_is_refused_without_saying_whose(
    still: TwinPlane, project: Project
) -> None:
    still.accept(still.order(project), "k")
    for order in (still.order(project), still.order(project, task="x")):
        with pytest.raises(KeyTaken) as refusal:
            still.accept(order, "k", person="person_2")
        assert refusal.value.members == {}


def test_a_key_is_a_project_s_own(still: TwinPlane, project: Project) -> None:
    other = still.project(project.id).model_copy(update={"id": "proj_2", "name": "two"})
    still.ledgers.projects.insert(type(other)(**other.model_dump()))
    first = still.accept(still.order(project), "k")
    assert still.accept(replace(still.order(project), project_id="proj_2"), "k").id != first.id


GIVES_BACK = {Status.DIED, Status.TIMED_OUT, Status.NOT_STARTED, Status.EXPIRED}


@pytest.mark.parametrize("status", Status)
def test_only_a_failure_gives_its_key_back_and_not_before_its_time(
    still: TwinPlane, project: Project, status: Status
) -> None:
    order = still.order(project)
    run = still.accept(order, "k")
    end(still, run, status)
    still.clock.advance(HOLD - 1)
    assert still.accept(order, "k").id == run.id
    still.clock.advance(1)
    after = still.accept(order, "k")
    assert (after.id == run.id) is (status not in GIVES_BACK)
    if after.id != run.id:
        assert still.run(run.id).idempotency_key is None
        assert still.accept(order, "k").id == after.id


def test_a_key_that_is_given_back_may_carry_another_body(
    still: TwinPlane, project: Project
) -> None:
    end(still, still.accept(still.order(project), "k"), Status.DIED)
    still.clock.advance(HOLD)
    assert still.accept(still.order(project, task="else"), "k").task == "else"


def test_a_key_is_not_given_back_before_the_end_of_its_run_is_proved(
    still: TwinPlane, project: Project
) -> None:
    run = still.accept(still.order(project), "k")
    put(still, run, status=Status.DIED, ended_at=still.clock())
    still.clock.advance(HOLD)
    assert still.accept(still.order(project), "k").id == run.id


def test_a_key_lives_thirty_days(still: TwinPlane, project: Project) -> None:
    run = still.accept(still.order(project), "k")
    end(still, run, Status.SUCCEEDED)
    still.clock.advance(LIFETIME - 1)
    assert still.accept(still.order(project), "k").id == run.id
    still.clock.advance(1)
    assert still.accept(still.order(project), "k").id != run.id


def race(duties: list[Any]) -> tuple[list[Any], list[Refusal]]:
    """Call all duties at once and return their results and refusals."""
    start, answers, refusals = threading.Barrier(len(duties)), [], []

    def call(duty: Any) -> None:
        start.wait()
        try:
            answers.append(duty())
        except Refusal as refusal:
            refusals.append(refusal)

    threads = [threading.Thread(target=call, args=(duty,)) for duty in duties]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers, refusals


def test_f1_twenty_submits_of_one_key_make_one_run(still: TwinPlane, project: Project) -> None:
    order = still.order(project)
    desk = still.services.accept
    answers, refusals = race([lambda: desk.accept(order, still.requester("k"), still.clock())] * 20)
    assert refusals == []
    assert len({answer.run.id for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert len(still.rows()) == 1


def test_f6_of_twenty_at_once_the_limit_accepts_its_number(tmp_path: Path) -> None:
    with twin_plane(tmp_path, repo_concurrency=2) as plane:
        project = plane.add_project()
        plane.workers.close()
        answers, refusals = race(
            [
                lambda task=str(number): plane.accept(plane.order(project, task=task))
                for number in range(20)
            ]
        )
        assert len(answers) == len(plane.rows()) == 2
        assert [type(refusal) for refusal in refusals] == [ConcurrencyLimit] * 18


def test_f7_of_nine_at_once_the_quota_accepts_its_number(
    still: TwinPlane, project: Project
) -> None:
    answers, refusals = race(
        [
            lambda task=str(number): still.accept(still.order(project, task=task))
            for number in range(9)
        ]
    )
    assert len(answers) == 3
    assert [type(refusal) for refusal in refusals] == [RateLimited] * 6
    assert all(refusal.members["retry_after"] >= 1 for refusal in refusals)


def test_the_window_slides(still: TwinPlane, project: Project) -> None:
    first = still.clock()
    for number in range(3):
        still.accept(still.order(project, task=str(number)))
        still.clock.advance(100)
    window = still.services.listing.window(still.person, still.clock())
    assert (window.limit, window.used, window.remaining) == (3, 3, 0)
    assert window.reset_at == first + timedelta(hours=1)
    with pytest.raises(RateLimited) as refusal:
        still.accept(still.order(project))
    assert refusal.value.members == {
        "limit": 3,
        "remaining": 0,
        "reset_at": first + timedelta(hours=1),
        "retry_after": 3300,
        "own_limit": "Runyard's own limit: 3 runs an hour (RUNYARD_RUN_QUOTA)",
    }
    assert refusal.value.detail == "Rate limit reached. Retry in 3300 s."
    still.clock.advance(3300)
    still.accept(still.order(project))
    with pytest.raises(RateLimited) as refusal:
        still.accept(still.order(project, task="x"))
    assert refusal.value.members["retry_after"] == 100


@pytest.mark.parametrize(("left", "told"), [(0.001, 1), (1, 1), (1.001, 2), (59.5, 60)])
def test_the_time_to_wait_is_rounded_up(
    still: TwinPlane, project: Project, left: float, told: int
) -> None:
    for number in range(3):
        still.accept(still.order(project, task=str(number)))
    still.clock.advance(3600 - left)
    with pytest.raises(RateLimited) as refusal:
        still.accept(still.order(project))
    assert refusal.value.members["retry_after"] == told
    # waiting exactly that long is enough
    still.clock.advance(told)
    still.accept(still.order(project))


def test_what_one_person_used_is_not_another_s(still: TwinPlane, project: Project) -> None:
    for number in range(3):
        still.accept(still.order(project, task=str(number)))
    still.accept(still.order(project), person="person_2")
    assert still.services.listing.window("person_2", still.clock()).used == 1


def test_a_run_that_never_started_was_accepted_all_the_same(
    still: TwinPlane, project: Project
) -> None:
    end(still, still.accept(still.order(project)), Status.NOT_STARTED)
    assert still.services.listing.window(still.person, still.clock()).used == 1
