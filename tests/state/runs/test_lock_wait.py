"""A form whose branch is locked by another run: the error clears with the lock; Wait resends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.client.client import ApiClient, NoAnswer
from app.api.schemas import RunOut
from app.domain.words import Depth, Status
from app.state.runs.lock_wait import LockWait
from app.state.runs.run_form import RunForm, Trouble, TroubleKind
from tests.builders.run_samples import NOON, project_of, run_of

HOLDER = run_of(5).id


def locked(holder: str = HOLDER) -> Trouble:
    return Trouble(TroubleKind.PR_LOCK, "pr_lock contention", "corr-1", None, holder)


def released(number: int = 5) -> RunOut:
    return run_of(number, Status.STOPPED, released_at=NOON)


def refused_form() -> tuple[RunForm, LockWait]:
    """Return a form that was refused because of run number 5."""
    form = RunForm.open(project_of(), {"issue": "1", "task": "kept"})
    form.ordered, form.trouble = form.order(), locked()
    return form, LockWait(form)


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> ApiClient:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://x")
    return ApiClient(http)


def test_the_message_goes_when_the_run_that_has_the_branch_is_gone() -> None:
    form, lock = refused_form()
    assert not lock.on_change(run_of(5, Status.STOPPED)), "its processes may still write"
    assert not lock.on_change(released(6)), "another run"
    assert form.trouble == locked()
    assert lock.on_change(released())
    assert (form.trouble, lock.is_due) == (None, False), "nobody asked to wait"


def test_a_form_that_waits_goes_once_when_the_branch_is_free() -> None:
    _, lock = refused_form()
    lock.begin()
    assert lock.on_change(released())
    assert lock.is_due
    lock.sent()
    assert not lock.is_due
    assert not lock.on_change(released()), "told twice, sent once"


def test_a_second_refusal_waits_again_for_whoever_has_the_branch_then() -> None:
    form, lock = refused_form()
    lock.begin()
    lock.on_change(released())
    form.trouble = locked(run_of(6).id)
    lock.sent()
    assert (lock.is_on, lock.is_due) == (True, False)
    lock.on_change(released(6))
    assert lock.is_due


def test_a_refusal_for_a_run_that_is_gone_is_not_sent_again_for_ever() -> None:
    form, lock = refused_form()
    lock.begin()
    lock.on_change(released())
    form.trouble = locked()
    lock.sent()
    assert not lock.is_on


@pytest.mark.parametrize("kind", [TroubleKind.REFUSED, TroubleKind.NO_ANSWER])
def test_another_refusal_ends_the_wait(kind: TroubleKind) -> None:
    form, lock = refused_form()
    lock.begin()
    lock.on_change(released())
    form.trouble = Trouble(kind, "No.")
    lock.sent()
    assert not lock.is_on


@pytest.mark.parametrize(
    "change", [{"task": "other"}, {"depth": Depth.DEEP}, {"issue": None}, {"branch": "dev"}]
)
def test_a_form_that_was_changed_waits_for_nothing(change: dict[str, Any]) -> None:
    form, lock = refused_form()
    lock.begin()
    form.__dict__.update(change)
    lock.on_change(released())
    assert (form.trouble, lock.is_on, lock.is_due) == (None, False, False)


def test_what_was_cancelled_is_not_sent() -> None:
    _, lock = refused_form()
    lock.begin()
    lock.cancel()
    assert lock.on_change(released())
    assert not lock.is_due


def test_without_a_run_to_wait_for_nothing_waits() -> None:
    form, lock = refused_form()
    form.trouble = locked("")
    lock.begin()
    assert not lock.is_on


async def test_a_lock_that_went_while_the_refusal_was_on_its_way_is_asked_for_once() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, content=released().model_dump_json())

    form, lock = refused_form()
    lock.begin()
    assert await lock.refetch(answering(answer))
    assert not await lock.refetch(answering(answer)), "there is no lock any more"
    assert (form.trouble, lock.is_due, len(asked)) == (None, True, 1)


async def test_a_server_that_does_not_answer_leaves_the_form_waiting() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("gone", request=request)

    form, lock = refused_form()
    lock.begin()
    with pytest.raises(NoAnswer):
        await lock.refetch(answering(silent))
    assert (form.trouble, lock.is_on) == (locked(), True)


STEPS = ("wait", "cancel", "freed", "freed", "changed", "noise")


@example([("wait", 5), *(("freed", number) for number in (5, 6, 7)), ("wait", 5), ("freed", 5)])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(5, 7)), max_size=30))
def test_however_the_feed_comes_each_refusal_is_sent_again_at_most_once(
    steps: list[tuple[str, int]],
) -> None:
    form, lock = refused_form()
    refusals = [HOLDER]
    for step, number in steps:
        holder, waits = lock.holder, lock.is_on
        if step == "wait":
            lock.begin()
        elif step == "cancel":
            lock.cancel()
        elif step == "changed":
            form.task += "!"
            lock.check()
        elif step == "noise":
            assert not lock.on_change(run_of(number, Status.RUNNING))
        elif lock.on_change(released(number)):
            assert holder == run_of(number).id
            assert lock.is_due is (waits and form.is_as_sent())
            if lock.is_due:
                form.ordered = form.order()
                refusals.append(run_of(5 + len(refusals) % 3).id)
                form.trouble = locked(refusals[-1])
                lock.sent()
    assert len(refusals) <= 4, "a run that is gone was waited for"
