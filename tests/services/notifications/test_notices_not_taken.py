"""No notification is lost: refusals, unreachable receivers, servers that end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.api.schemas import AlertOut
from app.pages.shell.rail import alerts_html
from app.records.feed import PersonNeeded
from app.records.people.notification_ledger import NoticeLedger
from app.services.notifications.sender import STRANGERS_KEPT
from app.services.projects.alerts import NOTIFICATIONS
from app.services.system.doctor import Look
from tests.builders.databases import shared_database
from tests.builders.notifications import DESK, NOON, PHONE, telling
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.fakes.receivers import SECRET


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
        run = plane.services.afk.start(project.id, number, plane.requester(), plane.clock()).run
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
        yard.plane.clock.advance(7200 + STRANGERS_KEPT.total_seconds())
        yard.go_round()
        states = {row.state: row.because for row in yard.rows()}
        assert states == {
            "sent": None,
            "dropped": "This receiver is no longer in RUNYARD_NOTIFY_URLS.",
        }
        assert (len(yard.taken(DESK)), yard.taken(PHONE)) == (1, [])
    with telling(tmp_path, PHONE, DESK) as yard:
        yard.plane.clock.advance(9000 + STRANGERS_KEPT.total_seconds())
        yard.go_round()
        assert yard.taken(PHONE) == []


def test_a_receiver_that_was_left_out_by_mistake_loses_nothing(tmp_path: Path) -> None:
    with telling(tmp_path, PHONE) as yard:
        yard.notifier.refuses = {PHONE: "It answered 500."}
        yard.run(yard.project())
    with telling(tmp_path, DESK) as yard:
        yard.plane.clock.advance(3600)
        yard.go_round()
    with telling(tmp_path, PHONE) as yard:
        yard.plane.clock.advance(7200)
        yard.go_round()
        assert len(yard.taken(PHONE)) == 1


def test_no_row_holds_an_address(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        yard.notifier.refuses[PHONE] = "It answered 500."
        yard.run(yard.project())
        assert SECRET not in repr([row.model_dump() for row in yard.rows()])
        assert SECRET not in repr(yard.plane.services.settings)
        assert SECRET not in repr(yard.plane.settings)


@pytest.mark.expects_error_log
def test_a_server_that_ends_after_sending_sends_again(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project = yard.project()
        fail_at("after_notice_sent")
        with yard.plane.database.transaction() as tx:
            tx.record_event(PersonNeeded("k", project.id, "needs you", "", "/"))
        yard.plane.rest()
        clear_failpoints()
        assert [row.state for row in yard.rows()] == ["pending"]
        yard.go_round()
        assert len(yard.taken()) == 1, "it is claimed for as long as its sender may still live"
        yard.plane.clock.advance(61)
        yard.go_round()
        first, again = yard.taken()
        assert first == again
        assert [row.state for row in yard.rows()] == ["sent"]


def test_what_one_server_sends_no_other_claims_until_its_time_is_over(tmp_path: Path) -> None:
    with telling(tmp_path, at=NOON) as yard:
        yard.notifier.refuses[PHONE] = "It answered 500."
        yard.run(yard.project())
        (row,) = yard.rows()
        ledger, due = NoticeLedger(yard.plane.ledgers.runs.stores), row.due_at
        over = due + timedelta(seconds=60)
        late = ledger.claim(row.receiver, by="late", now=due, until=over)
        assert late is not None
        assert ledger.claim(row.receiver, by="other", now=due, until=over) is None
        assert ledger.next_due([row.receiver], due) == over
        other = ledger.claim(row.receiver, by="other", now=over, until=over + timedelta(hours=1))
        assert other is not None
        # a late server does not delay a notification that another has claimed since
        ledger.put_off(late, "It was slow.", now=over, until=over + timedelta(days=1))
        assert (yard.rows()[0].claimed_by, yard.rows()[0].due_at) == ("other", due)
        assert ledger.mark_sent(other, over)
        assert not ledger.mark_sent(late, over)


def test_only_the_server_that_sweeps_sends(tmp_path: Path) -> None:
    shared = shared_database(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        telling(tmp_path / "a", database_url=shared) as first,
        telling(tmp_path / "b", database_url=shared) as second,
    ):
        project = first.project()
        # both servers' clocks agree
        second.plane.clock.now = first.plane.clock.now
        with second.plane.database.transaction() as tx:
            tx.record_event(PersonNeeded("k", project.id, "needs you", "", "/"))
        second.go_round()
        assert second.taken() == []
        first.go_round()
        assert (len(first.taken()), len(second.taken())) == (1, 0)


def test_messages_that_wait_are_warned_of_in_doctor_and_in_the_rail(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        services = yard.plane.services
        yard.notifier.refuses[PHONE] = "It answered 500."
        yard.run(yard.project())
        yard.set_clock(yard.rows()[0].due_at)
        [alert] = [one for one in services.alerts.all() if one.part == NOTIFICATIONS]
        assert alert.what.startswith("1 message waits for mem://")
        assert alert.what.endswith(" UTC. It answered 500.")
        shown = alerts_html([AlertOut.model_validate(alert)])
        assert "Notifications do not get through" in shown
        assert "It answered 500." in shown
        found = services.doctor.examine(Look.ANEW).items
        assert any(
            one.level == "look" and "1 message waits" in one.found + one.advice for one in found
        )
        del yard.notifier.refuses[PHONE]
        yard.set_clock(yard.rows()[0].due_at)
        assert [one for one in services.alerts.all() if one.part == NOTIFICATIONS] == []
