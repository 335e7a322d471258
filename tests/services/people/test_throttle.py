"""Wrong passwords: guessing is slow, whatever is tried, and costs a bounded memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.services.people.throttle import MOST, Throttle

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TRIES = 10_000
SECOND = timedelta(seconds=1)


def passed(throttle: Throttle, account: str, address: str | None, every: timedelta) -> int:
    """Try 10,000 wrong passwords, one each `every`; return how many were looked at."""
    return sum(
        throttle.begin(account, address, START + number * every) == timedelta()
        for number in range(TRIES)
    )


@pytest.mark.parametrize("account", ["anna@example.com", "nobody@example.com"])
def test_of_ten_thousand_guesses_of_one_account_few_are_looked_at(account: str) -> None:
    # 10,000 seconds: 14 in the first 9 minutes, then one every 5 minutes
    assert passed(Throttle(), account, None, SECOND) <= 14 + TRIES // 300
    assert passed(Throttle(), account, None, SECOND / 100) <= 11


def test_one_address_guesses_as_slowly_at_ten_thousand_accounts() -> None:
    throttle = Throttle()
    looked_at = sum(
        throttle.begin(f"{number}@x.org", "192.0.2.1", START + number * SECOND) == timedelta()
        for number in range(TRIES)
    )
    assert looked_at <= 14 + TRIES // 300


def test_ten_thousand_addresses_guess_one_account_as_slowly() -> None:
    throttle = Throttle()
    looked_at = sum(
        throttle.begin("anna@x.org", f"10.0.{n // 250}.{n % 250}", START + n * SECOND)
        == timedelta()
        for n in range(TRIES)
    )
    assert looked_at <= 14 + TRIES // 300


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
def test_an_ipv6_household_is_one_address(first: str, second: str, is_one: bool) -> None:
    throttle = Throttle()
    for number in range(5):
        throttle.begin(f"{number}@x.org", first, START)
    assert bool(throttle.begin("other@x.org", second, START)) == is_one


def test_a_success_clears_the_accounts_failures() -> None:
    throttle = Throttle()
    for _ in range(4):
        throttle.begin("anna@x.org", None, START)
    throttle.begin("anna@x.org", None, START)
    throttle.succeed("anna@x.org", None)
    assert not throttle.begin("anna@x.org", None, START)


def test_a_success_takes_back_no_other_failure_of_its_address() -> None:
    throttle = Throttle()
    for number in range(5):
        throttle.begin(f"{number}@x.org", "192.0.2.1", START)
    later = START + SECOND
    assert not throttle.begin("anna@x.org", "192.0.2.1", later)
    throttle.succeed("anna@x.org", "192.0.2.1")
    assert throttle.begin("5@x.org", "192.0.2.1", later)


def test_failures_are_forgotten_after_an_hour_without_one() -> None:
    throttle = Throttle()
    for number in range(40):
        throttle.begin("anna@x.org", None, START + number * timedelta(seconds=300))
    last = START + timedelta(seconds=39 * 300)
    assert throttle.begin("anna@x.org", None, last + SECOND)
    assert not throttle.begin("anna@x.org", None, last + timedelta(hours=1))


def test_the_memory_of_failures_is_bounded() -> None:
    throttle = Throttle()
    for number in range(MOST + 100):
        throttle.begin(f"{number}@x.org", None, START)
    assert len(throttle._failed) == MOST
