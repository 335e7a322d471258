"""Texts of notifications, with any names of projects, issues and agents."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.notifications import (
    DIGEST_LINES,
    Digest,
    Kind,
    Outcome,
    Told,
    compose,
    mask_receiver,
    outcome_of,
    tame,
    wait_after,
)
from app.domain.safe_text import blank
from app.domain.words import Cause, Status
from tests.fakes.receivers import SECRET

HERE, ID = "http://127.0.0.1:8080", "notice_1"
HOSTILE = [
    "<!channel> @everyone @here",
    "[click](https://evil.example/) <https://evil.example|bank>",
    "**bold** `code` ~gone~ |spoiler| <b>html</b>",
    "two\nlines\r\nand\ta\x00nul\x1b[31m red \u2028 more \u202eback\u2066wards\u200b",
    "\\n\\u0041 \\<escaped\\>",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_one_powerless_line(text: str) -> None:
    line = tame(text)
    assert len(line) <= 200
    assert not set("<>[]`*~|@\\\n\r\x1b\u202e\u2028") & set(line)
    assert "://" not in line


@given(st.text())
def test_no_text_gets_through_untamed(text: str) -> None:
    line = tame(text, 80)
    assert len(line) <= 80
    assert line == line.strip()
    assert blank(line) == line
    assert not set("<>[]`*~|@\\") & set(line)
    assert "://" not in line
    assert tame(line, 80) == line


def test_usual_titles_stay_as_they_are() -> None:
    title = "Fix test_login: don't redirect twice (see #12) — größer & schneller"
    assert tame(title) == title


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_has_its_lines_its_link_and_its_id_whatever_it_tells_of(text: str) -> None:
    told = Told(text, "delivered", text, text, "/runs/run_1")
    message = compose(Kind.DELIVERED, told.as_data(), address=HERE, id_=ID)
    assert "\n" not in message.title
    assert len(message.title) <= 140
    lines = message.body.splitlines()
    assert lines[-2:] == [f"{HERE}/runs/run_1", f"({ID})"]
    assert len(lines) == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_a_digest_has_a_line_for_each_and_stays_short(text: str) -> None:
    lines = tuple(Told(text, "failed", text, text, f"/runs/run_{n}") for n in range(12))
    digest = Digest({Outcome.FAILED: 40}, 3.14159, lines, more=28)
    message = compose(Kind.DIGEST, digest.as_data(), address=HERE, id_=ID)
    assert message.title == "Runyard: 40 failed"
    first, *rest = message.body.splitlines()
    assert first == f"40 failed · $3.14 · {HERE}/"
    assert len(message.body) <= DIGEST_LINES + 200
    shown = [line for line in rest if line.startswith("- ")]
    assert all(f"{HERE}/runs/run_" in line for line in shown)
    assert rest[-2] == f"and {40 - len(shown)} more: {HERE}/runs"


def test_a_digest_names_every_outcome_in_one_order() -> None:
    counts = {outcome: number for number, outcome in enumerate(reversed(Outcome), 1)}
    message = compose(Kind.DIGEST, Digest(counts, None, ()).as_data(), address=HERE, id_=ID)
    assert message.title == "Runyard: 5 delivered, 4 no change, 3 held, 2 failed, 1 stopped"
    assert "$" not in message.body


def test_a_digest_without_runs_says_so() -> None:
    digest = Digest({}, None, (Told("shop", "is paused", "", "", "/projects/p"),))
    message = compose(Kind.DIGEST, digest.as_data(), address=HERE, id_=ID)
    assert message.title == "Runyard: what needs you"
    assert Digest({Outcome.FAILED: 0}, None, ()).is_empty
    assert not digest.is_empty


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        (Status.SUCCEEDED, Cause.DELIVERED, Outcome.DELIVERED),
        (Status.SUCCEEDED, Cause.REPORTED, Outcome.DELIVERED),
        (Status.DIED, Cause.NO_DELIVERY, Outcome.NO_CHANGE),
        (Status.DIED, Cause.EXIT_CODE, Outcome.FAILED),
        (Status.DIED, None, Outcome.FAILED),
        (Status.TIMED_OUT, Cause.BUDGET, Outcome.FAILED),
        (Status.NOT_STARTED, Cause.AUTH, Outcome.FAILED),
        (Status.EXPIRED, Cause.TTL, Outcome.FAILED),
        (Status.LIMITED, Cause.USAGE_LIMIT, Outcome.HELD),
        (Status.STOPPED, Cause.STOPPED, Outcome.STOPPED),
    ],
)
def test_every_end_is_counted_as_something(
    status: Status, cause: Cause | None, outcome: Outcome
) -> None:
    assert outcome_of(status, cause) is outcome


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (
            f"json://user:{SECRET}@hooks.example:8443/{SECRET}?token={SECRET}",
            "json://hooks.example:8443/…",
        ),
        (f"jsons://hooks.example/{SECRET}", "jsons://hooks.example/…"),
        (f"mailtos://me:{SECRET}@mail.example?to=you", "mailtos://mail.example/…"),
        (f"slack://{SECRET}/B/C", "slack://…"),
        (f"ntfy://{SECRET}", "ntfy://…"),
        (f"discord://1/{SECRET}", "discord://…"),
        (f"json://{SECRET}:port/x", "json://…"),
        (f"json://[{SECRET}/x", "json://…"),
        (SECRET, "…"),
        (f"{SECRET} x://y", "…"),
        ("", "…"),
    ],
)
def test_an_address_is_shown_without_anything_that_may_be_a_secret(
    address: str, shown: str
) -> None:
    assert mask_receiver(address) == shown


@given(st.text())
def test_no_address_is_too_odd_to_be_masked(address: str) -> None:
    assert mask_receiver(address).endswith("…")


def test_waits_double_up_to_an_hour_and_differ() -> None:
    waits = [wait_after(attempt, 0.5) for attempt in range(1, 30)]
    assert waits[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert waits[-1] == timedelta(hours=1)
    assert wait_after(3, 0.0) < wait_after(3, 0.5) < wait_after(3, 1.0)
