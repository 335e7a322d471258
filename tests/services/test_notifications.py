"""What people are told, when, and that it is never lost: over a world in memory."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.holds import MAX_RESUMES
from app.domain.rules import ExitReason
from app.domain.words import Cause
from app.errors import NoReceivers
from app.records.happenings import PersonNeeded, RunEnded
from tests.receivers import SECRET
from tests.services.tellings import DESK, PHONE, telling

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 3, 10, 23, 0, tzinfo=UTC)
MORNING = datetime(2026, 3, 11, 7, 0, tzinfo=UTC)
HOURS = {"quiet_hours": "22:00-07:00", "notify_zone": "UTC"}


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
            assert lines[2] == f"http://127.0.0.1:8080/runs/{run.id}"
        assert yard.states() == [("delivered", "sent")] * 2
        # the same thing may come twice where a server ends in between: its id says so
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
        assert lines[:3] == ["afk/1", "agent exited 3", "http://127.0.0.1:8080/parked"]


@pytest.mark.parametrize(
    ("resumes", "goes_on", "told"),
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
def test_a_usage_limit_needs_a_person_only_where_nothing_goes_on_by_itself(
    tmp_path: Path, resumes: int, goes_on: bool, told: list[str]
) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        yard.plane.ledgers.projects.change(project.id, resume_after_limit=goes_on)
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
                tx.happened(RunEnded(lost))
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
                tx.happened(needed)
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
            tx.happened(PersonNeeded("k", project.id, "needs you", "", "/"))
            raise RuntimeError
        yard.go_round()
        assert (yard.rows(), yard.taken()) == ([], [])


# --- what is not taken ---------------------------------------------------------------------------


def test_what_is_not_taken_stays_pending_and_is_tried_again_later_and_later(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        yard.notifier.refuses[PHONE] = "It answered 500."
        yard.run(yard.project())
        waits = []
        for attempt in range(1, 9):
            (row,) = yard.rows()
            assert (row.state, row.attempts, row.because) == (
                "pending",
                attempt,
                "It answered 500.",
            )
            waits.append(row.due_at - yard.plane.clock())
            yard.set_clock(row.due_at - timedelta(seconds=1))
            assert yard.rows()[0].attempts == attempt
            yard.set_clock(row.due_at)
        assert timedelta(seconds=20) < waits[0] < timedelta(seconds=40)
        assert waits[6] > 10 * waits[0]
        assert max(waits) <= timedelta(hours=1.25)
        del yard.notifier.refuses[PHONE]
        yard.set_clock(yard.rows()[0].due_at)
        assert yard.states() == [("delivered", "sent")]
        assert len(yard.taken()) == 1


def test_a_receiver_that_is_away_is_asked_once_a_round_however_much_waits(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        yard.notifier.refuses[PHONE] = "It could not be reached."
        project = yard.project()
        for _ in range(3):
            yard.run(project)
        before = sum(row.attempts for row in yard.rows())
        yard.set_clock(max(row.due_at for row in yard.rows()))
        assert sum(row.attempts for row in yard.rows()) == before + 1
        del yard.notifier.refuses[PHONE]
        yard.set_clock(max(row.due_at for row in yard.rows()))
        assert len(yard.taken()) == 3


def test_one_receiver_keeps_no_other_waiting(tmp_path: Path) -> None:
    with telling(tmp_path, PHONE, DESK) as yard:
        held = threading.Event()
        reached = threading.Event()

        def hold(address: str) -> None:
            if address == PHONE:
                reached.set()
                held.wait(20)

        yard.notifier.on_send = hold
        project = yard.project()
        number = yard.plane.add_issue(project)
        plane = yard.plane
        run = plane.services.afk.start(project.id, number, plane.asker(), plane.clock()).run
        plane.rest()
        yard.world.commit(run.id)
        yard.world.end(run.id)
        plane.reaper.reap_once(run.id)
        try:
            assert reached.wait(10)
            deadline = datetime.now(UTC) + timedelta(seconds=10)
            while not yard.taken(DESK) and datetime.now(UTC) < deadline:
                reached.wait(0.01)
            assert len(yard.taken(DESK)) == 1
            assert yard.taken(PHONE) == []
        finally:
            held.set()
        plane.rest()
        assert len(yard.taken(PHONE)) == 1


def test_an_address_that_cannot_be_used_is_shown_and_keeps_what_it_should_get(
    tmp_path: Path,
) -> None:
    with telling(tmp_path, f"nonsense://{SECRET}") as yard:
        yard.run(yard.project())
        (row,) = yard.rows()
        assert (row.state, row.because) == ("pending", "This address cannot be used.")
        (shown,) = yard.plane.services.notifications.receivers()
        assert (shown.receiver, shown.pending) == ("nonsense://…", 1)
        assert shown.problem == "This address cannot be used."
        assert yard.plane.services.notifications.problems() == [(shown.receiver, shown.problem)]


def test_what_waits_for_a_receiver_that_was_removed_is_dropped_and_says_why(tmp_path: Path) -> None:
    with telling(tmp_path, PHONE, DESK) as yard:
        yard.notifier.refuses = {PHONE: "It answered 500.", DESK: "It answered 500."}
        yard.run(yard.project())
    with telling(tmp_path, DESK) as yard:
        yard.plane.clock.advance(7200)
        yard.go_round()
        states = {row.state: row.because for row in yard.rows()}
        assert states == {
            "sent": None,
            "dropped": "This receiver is no longer in RUNYARD_NOTIFY_URLS.",
        }
        assert (len(yard.taken(DESK)), yard.taken(PHONE)) == (1, [])
    with telling(tmp_path, PHONE, DESK) as yard:
        yard.plane.clock.advance(9000)
        yard.go_round()
        assert yard.taken(PHONE) == []


def test_no_row_holds_an_address(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        yard.notifier.refuses[PHONE] = "It answered 500."
        yard.run(yard.project())
        assert SECRET not in repr([row.model_dump() for row in yard.rows()])
        assert SECRET not in repr(yard.plane.services.settings)
        assert SECRET not in repr(yard.plane.settings)


@pytest.mark.expects_error_log
def test_a_server_that_ends_after_sending_sends_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        monkeypatch.setenv("RUNYARD_TEST", "1")
        monkeypatch.setenv("RUNYARD_FAILPOINT", "after_notice_sent:raise")
        with yard.plane.database.transaction() as tx:
            tx.happened(PersonNeeded("k", project.id, "needs you", "", "/"))
        yard.plane.rest()
        monkeypatch.delenv("RUNYARD_FAILPOINT")
        assert [row.state for row in yard.rows()] == ["pending"]
        yard.go_round()
        assert len(yard.taken()) == 1, "it is claimed for as long as its sender may still live"
        yard.plane.clock.advance(61)
        yard.go_round()
        first, again = yard.taken()
        assert first == again
        assert [row.state for row in yard.rows()] == ["sent"]


# --- nights and digests --------------------------------------------------------------------------


def test_in_quiet_hours_everything_waits_for_one_digest_at_their_end(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, **HOURS) as yard:
        shop = yard.project()
        good = yard.run(shop, cost_usd=1.25)
        yard.plane.clock.advance(3600)
        yard.run(shop, code=0, commits=False, cost_usd=0.5)
        yard.run(shop, code=3)
        yard.go_round()
        assert yard.taken() == []
        yard.set_clock(MORNING - timedelta(seconds=1))
        assert yard.taken() == []
        yard.set_clock(MORNING)
        (digest,) = yard.taken()
        assert digest.title == "Runyard: 1 delivered, 1 no change, 1 failed"
        lines = digest.body.splitlines()
        assert lines[0] == "1 delivered, 1 no change, 1 failed · $1.75 · http://127.0.0.1:8080/"
        assert any(f"/runs/{good.id}" in line and "delivered" in line for line in lines)
        assert sum("needs you" in line for line in lines) == 2
        assert {state for _, state in yard.states()} == {"sent"}
        yard.go_round()
        yard.set_clock(MORNING + timedelta(hours=3))
        assert len(yard.taken()) == 1


def test_a_night_without_anything_to_tell_is_not_told(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, **HOURS) as yard:
        yard.project()
        yard.set_clock(MORNING)
        assert (yard.rows(), yard.taken()) == ([], [])


def test_a_digest_that_is_not_taken_keeps_all_that_it_tells(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, **HOURS) as yard:
        yard.run(yard.project(), code=3)
        yard.notifier.refuses[PHONE] = "It answered 503."
        yard.set_clock(MORNING)
        assert {state for _, state in yard.states()} == {"pending"}
        del yard.notifier.refuses[PHONE]
        yard.set_clock(MORNING + timedelta(minutes=2))
        assert yard.titles() == ["Runyard: 1 failed"]
        assert {state for _, state in yard.states()} == {"sent"}


def test_what_the_evening_could_not_deliver_is_in_the_digest_of_the_night(tmp_path: Path) -> None:
    evening = NIGHT - timedelta(hours=1, seconds=5)
    with telling(tmp_path, at=evening, **HOURS) as yard:
        yard.notifier.refuses[PHONE] = "It could not be reached."
        yard.run(yard.project(), code=3)
        assert yard.rows()[0].due_at == MORNING
        del yard.notifier.refuses[PHONE]
        yard.set_clock(MORNING)
        (digest,) = yard.taken()
        assert "needs you" in digest.body


def test_who_wants_no_digest_gets_what_waited_one_by_one(tmp_path: Path) -> None:
    kinds = "delivered paused needs_you"
    with telling(tmp_path, at=NIGHT, notify_kinds=kinds, **HOURS) as yard:
        shop = yard.project()
        yard.run(shop)
        yard.run(shop)
        yard.set_clock(MORNING)
        assert yard.titles() == ["Runyard: yard0 delivered"] * 2


def test_a_daily_digest_sums_up_what_was_told_one_by_one(tmp_path: Path) -> None:
    with telling(tmp_path, at=NOON, digest_at="18:00", notify_zone="UTC") as yard:
        yard.run(yard.project())
        assert yard.titles() == ["Runyard: yard0 delivered"]
        yard.set_clock(NOON.replace(hour=18))
        assert yard.titles()[1:] == ["Runyard: 1 delivered"]
        yard.set_clock(NOON.replace(hour=18) + timedelta(days=1))
        assert len(yard.taken()) == 2


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


def test_only_the_server_that_sweeps_sends(tmp_path: Path) -> None:
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        telling(tmp_path / "a", database_url=shared) as first,
        telling(tmp_path / "b", database_url=shared) as second,
    ):
        project = first.project()
        with second.plane.database.transaction() as tx:
            tx.happened(PersonNeeded("k", project.id, "needs you", "", "/"))
        second.go_round()
        assert second.taken() == []
        first.go_round()
        assert (len(first.taken()), len(second.taken())) == (1, 0)
