"""Notifications: contents, timing, and guaranteed delivery, over a fake world."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from app.domain.end_causes import ExitReason
from app.domain.usage_limits import MAX_RESUMES
from app.domain.words import Cause
from app.errors import NoReceivers
from app.records.feed import PersonNeeded, RunEnded
from tests.builders.notifications import DESK, HOURS, NIGHT, NOON, PHONE, telling


def test_a_delivery_is_told_once_to_every_receiver(tmp_path: Path) -> None:
    with telling(tmp_path, PHONE, DESK) as yard:
        run = yard.run(yard.project())
        assert (run.status, run.cause) == ("succeeded", Cause.DELIVERED)
        yard.go_round()
        for receiver in (PHONE, DESK):
            (message,) = yard.taken(receiver)
            assert message.title == "Runyard: yard0 delivered"
            lines = message.body.splitlines()
            assert lines[0] == "#1 Mend it"
            # where its item of the inbox leads
            (item,) = yard.plane.services.inbox.all()
            assert item.run_id == run.id
            assert lines[2] == f"http://127.0.0.1:8080{item.url}"
        assert yard.states() == [("delivered", "sent")] * 2
        # a crash may repeat a message: its id shows the duplicate
        ids = {row.id for row in yard.rows()}
        assert {yard.taken(one)[0].body.splitlines()[-1][1:-1] for one in (PHONE, DESK)} == ids


def test_off_by_default_nothing_is_written(tmp_path: Path) -> None:
    with telling(tmp_path, " ") as yard:
        yard.run(yard.project())
        yard.go_round()
        assert yard.rows() == []
        with pytest.raises(NoReceivers):
            yard.plane.services.notifications.test()


def test_the_third_failure_tells_of_the_pause_and_a_fourth_does_not(tmp_path: Path) -> None:
    with telling(tmp_path, notify_kinds="paused") as yard:
        project = yard.project()
        for _ in range(4):
            yard.run(project, code=3)
        assert yard.titles() == ["Runyard: yard0 is paused after 3 failures in a row"]
        assert "agent exited 3" in yard.taken()[0].body
        with yard.plane.database.transaction() as tx:
            yard.plane.ledgers.projects.clear_strikes(tx, project.id)
        yard.plane.clock.advance(1)
        for _ in range(3):
            yard.run(project, code=3)
        assert len(yard.taken()) == 2


def test_work_that_is_kept_needs_a_person(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        run = yard.run(yard.project(), code=3)
        assert run.parked
        assert yard.titles() == ["Runyard: yard0 needs you: work is kept until you decide"]
        lines = yard.taken()[0].body.splitlines()
        assert lines[:3] == ["afk/1", "agent exited 3", f"http://127.0.0.1:8080/runs/{run.id}"]


@pytest.mark.parametrize(
    ("resumes", "continues", "told"),
    [
        (0, True, []),
        (0, False, ["Runyard: yard0 needs you: work is kept until you decide"]),
        (
            MAX_RESUMES,
            True,
            [
                "Runyard: yard0 needs you: its account met its usage limit again and again",
            ],
        ),
    ],
)
def test_a_usage_limit_needs_a_person_only_where_nothing_continues_by_itself(
    tmp_path: Path, resumes: int, continues: bool, told: list[str]
) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        yard.plane.ledgers.projects.change(project.id, resume_after_limit=continues)
        columns = {"resumes": resumes, "may_resume": resumes < MAX_RESUMES}
        run = yard.run(project, reason=ExitReason.USAGE_LIMIT, **columns)
        assert (run.status, run.parked) == ("limited", True)
        assert yard.titles() == told


def test_an_agent_that_is_signed_out_is_told_of_once_a_day(tmp_path: Path) -> None:
    with telling(tmp_path, at=NOON) as yard:
        project = yard.project()
        run = yard.run(project)
        for key in ("a", "b"):
            lost = run.model_copy(update={"id": key, "status": "died", "cause": "auth"})
            with yard.plane.database.transaction() as tx:
                tx.record_event(RunEnded(lost))
        yard.go_round()
        assert yard.titles()[1:] == ["Runyard: yard0 needs you: its agent is not signed in"]


def test_what_somebody_else_finds_is_told_once_for_its_key(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        for _ in range(2):
            with yard.plane.database.transaction() as tx:
                needed = PersonNeeded(
                    "limit:x", project.id, "needs you: stuck", "5 times", "/quota"
                )
                tx.record_event(needed)
        yard.go_round()
        assert yard.titles() == ["Runyard: yard0 needs you: stuck"]


def test_a_project_that_cannot_be_cloned_needs_a_person(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        yard.plane.ledgers.projects.change(project.id, state="broken", state_because="It is gone.")
        yard.plane.rest()
        assert yard.titles() == ["Runyard: yard0 needs you: it could not be cloned"]
        assert yard.taken()[0].body.startswith("It is gone.\n")


def test_an_end_that_is_rolled_back_is_not_told(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        with contextlib.suppress(RuntimeError), yard.plane.database.transaction() as tx:
            tx.record_event(PersonNeeded("k", project.id, "needs you", "", "/"))
            raise RuntimeError
        yard.go_round()
        assert (yard.rows(), yard.taken()) == ([], [])


def test_a_message_to_try_it_comes_at_night_too(tmp_path: Path) -> None:
    with telling(tmp_path, PHONE, DESK, at=NIGHT, **HOURS) as yard:
        yard.notifier.refuses[DESK] = "It answered 403."
        tried = yard.plane.services.notifications.test()
        assert [(one.receiver, one.taken, one.because) for one in tried] == [
            ("mem://…", True, None),
            ("mem://…", False, "It answered 403."),
        ]
        assert yard.titles() == ["Runyard: a test"]
        assert yard.rows() == []
