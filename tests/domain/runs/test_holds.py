"""Account holds: the models they cover, and their state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.usage_limits import HoldFacts, Stand, covers, family_of, sentence_of, stand_of

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("told", "family"),
    [
        ("", ""),
        ("five_hour", ""),
        ("seven_day", ""),
        ("overage", ""),
        ("session", ""),
        ("seven_day_opus", "opus"),
        ("Opus", "opus"),
        ("seven_day_sonnet", "sonnet"),
        ("gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_a_window_names_its_models(told: str, family: str) -> None:
    assert family_of(told) == family


@pytest.mark.parametrize(
    ("family", "model", "expected"),
    [
        ("", None, True),
        ("", "opus", True),
        ("opus", "claude-opus-4", True),
        ("opus", "Opus", True),
        ("opus", "sonnet", False),
        ("opus", None, True),
    ],
)
def test_a_hold_covers_the_models_of_its_family(
    family: str, model: str | None, expected: bool
) -> None:
    assert covers(family, model) is expected


@pytest.mark.parametrize(
    ("facts", "stand"),
    [
        (HoldFacts(LATER, None, None), Stand.HELD),
        (HoldFacts(None, None, None), Stand.HELD),
        (HoldFacts(NOW, None, None), Stand.DUE),
        (HoldFacts(EARLIER, "run_1", None), Stand.PROBING),
        (HoldFacts(LATER, "run_1", None), Stand.PROBING),
        (HoldFacts(EARLIER, None, EARLIER), Stand.EASING),
        (HoldFacts(LATER, None, LATER), Stand.EASING),
    ],
)
def test_a_hold_stands_where_its_facts_say(facts: HoldFacts, stand: Stand) -> None:
    assert stand_of(facts, NOW) is stand


def test_a_hold_says_until_when_and_what_to_do_where_no_time_ends_it() -> None:
    timed = sentence_of("claude", "", Stand.HELD, LATER)
    assert timed == "the usage limit of claude is reached, until 21 Nov 10:00 UTC"
    assert "lift the limit" in sentence_of("claude", "opus", Stand.HELD, None)
