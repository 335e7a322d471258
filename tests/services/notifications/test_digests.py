"""Digests: messages held back by quiet hours, and the summary of a night or day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.builders.notifications import HOURS, MORNING, NIGHT, NOON, PHONE, telling


def test_in_quiet_hours_everything_waits_for_one_digest_at_their_end(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, **HOURS) as yard:
        shop = yard.project()
        good = yard.run(shop, cost_usd=1.25)
        assert good.delivery is not None
        number = good.delivery["number"]
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
        assert any(f"/changes/{number}" in line and "delivered" in line for line in lines)
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


def test_what_waits_is_held_in_the_digest(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, max_live_runs=1, **HOURS) as yard:
        shop, plane = yard.project(), yard.plane
        for _ in range(2):
            plane.services.afk.start(
                shop.id, plane.add_issue(shop), plane.requester(), plane.clock()
            )
            plane.rest()
        plane.tick()
        yard.set_clock(MORNING)
        assert yard.titles() == ["Runyard: 1 held"]


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


def test_a_batch_is_told_once_with_what_its_runs_came_to(tmp_path: Path) -> None:
    with telling(tmp_path, at=NOON) as yard:
        batch = yard.batch(codes=(0, 7, 0))
        digests = [message for message in yard.taken() if "batch of" in message.title]
        (digest,) = digests
        assert digest.title == "Runyard: yard0 batch of 3: 2 delivered, 1 failed"
        lines = digest.body.splitlines()
        assert lines[0].endswith(f" · $0.75 · http://127.0.0.1:8080/batches/{batch.id}")
        assert sum(line.startswith("- yard0 delivered: part ") for line in lines) == 2
        assert sum(line.startswith("- yard0 failed: part 1") for line in lines) == 1
        yard.go_round()
        assert [one for one in yard.taken() if "batch of" in one.title] == digests


def test_a_batch_that_ends_at_night_is_a_line_of_the_nights_digest(tmp_path: Path) -> None:
    with telling(tmp_path, at=NIGHT, **HOURS) as yard:
        batch = yard.batch(codes=(0, 7))
        assert yard.taken() == []
        yard.set_clock(MORNING)
        (digest,) = yard.taken()
        assert digest.title == "Runyard: 1 delivered, 1 failed"
        line = f"- yard0 batch of 2: 1 delivered, 1 failed http://127.0.0.1:8080/batches/{batch.id}"
        assert line in digest.body.splitlines()


def test_who_wants_no_digest_is_told_of_no_batch(tmp_path: Path) -> None:
    with telling(tmp_path, at=NOON, notify_kinds="delivered paused needs_you") as yard:
        yard.batch(codes=(0,))
        assert yard.titles() == ["Runyard: yard0 delivered"]
