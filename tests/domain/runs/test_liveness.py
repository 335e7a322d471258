"""Silent agents: the warning, the end of the run, and the time of the next check."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.agents.final_output import (
    Failure,
    Finished,
    LastWord,
    LimitReached,
    Progressed,
    Retrying,
    Troubled,
    after,
)
from app.domain.agents.liveness import (
    LINGER,
    Pulse,
    Vitals,
    is_lingering,
    is_stalled,
    next_look,
    quiet_words,
    stall_words,
)

NOW = datetime(2026, 11, 21, 9, 43, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def vitals(progress: float, output: float | None = None, **other: object) -> Vitals:
    """Return vitals with progress and output so many seconds ago."""
    at = Vitals(ago(progress if output is None else output), ago(progress))
    return replace(at, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "stall_seconds", "words"),
    [
        (vitals(599), None, None),
        (vitals(600), None, "No output for 10 min"),
        (vitals(12 * 60 + 59), None, "No output for 12 min"),
        (vitals(3 * 3600 + 59), None, "No output for 3 h"),
        # half of the project's limit
        (vitals(239), 480, None),
        (vitals(240), 480, "No output for 4 min"),
        (vitals(30), 60, "No output for 30 s"),
        (vitals(1900), 7200, None),
        # output without progress
        (vitals(240, 5, is_retrying=True), 480, "Reconnecting for 4 min"),
        (vitals(240, 5), 480, "No progress for 4 min"),
        (vitals(600, 240, is_retrying=True), 480, "No output for 4 min"),
    ],
)
def test_a_person_is_warned_of_silence(
    found: Vitals, stall_seconds: int | None, words: str | None
) -> None:
    assert quiet_words(found, stall_seconds, NOW) == words


@pytest.mark.parametrize(
    ("found", "stall_seconds", "expected"),
    [
        (vitals(1e6), None, False),
        (vitals(59), 60, False),
        (vitals(60), 60, True),
        (vitals(60, 0, is_retrying=True), 60, True),
        (vitals(-3600), 60, False),
    ],
)
def test_an_agent_stalls_where_its_project_allows_no_longer_silence(
    found: Vitals, stall_seconds: int | None, *, expected: bool
) -> None:
    assert is_stalled(found, stall_seconds, NOW) is expected


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (vitals(720), "the agent made no progress for 12 min, since 09:31 UTC"),
        (
            vitals(720, 1, is_retrying=True),
            "the agent only retried reaching its model for 12 min, since 09:31 UTC",
        ),
        (
            vitals(720, tool="Bash"),
            "the agent made no progress for 12 min, since 09:31 UTC;"
            " its tool Bash was still at work",
        ),
    ],
)
def test_a_stall_is_told_with_its_begin_and_the_tool_at_work(found: Vitals, sentence: str) -> None:
    assert stall_words(found, NOW) == sentence


@pytest.mark.parametrize(
    ("word", "said", "expected"),
    [
        (LastWord(), 3600, False),
        (LastWord(failure=Failure.NETWORK), 3600, False),
        (LastWord(is_ok=True), 44, False),
        (LastWord(is_ok=True), 45, True),
        (LastWord(is_ok=False), 45, True),
        (LastWord(limit=LimitReached("no more")), 3600, False),
        (LastWord(is_ok=False, limit=LimitReached("no more")), 45, True),
    ],
)
def test_who_has_said_the_last_word_has_a_grace_to_exit(
    word: LastWord, said: float, *, expected: bool
) -> None:
    found = vitals(said, word=word, word_at=ago(said))
    assert is_lingering(found, NOW) is expected


@pytest.mark.parametrize(
    ("found", "stall_seconds", "seconds"),
    [
        (vitals(0), None, 600),
        (vitals(0), 480, 240),
        (vitals(300), 480, 60),
        (vitals(470), 480, 10),
        # the text changes every minute, later every hour
        (vitals(12 * 60 + 20), None, 40),
        (vitals(2 * 3600 + 600), None, 3000),
        (vitals(1, word=LastWord(is_ok=True), word_at=ago(1)), None, 44),
        (vitals(60, word=LastWord(is_ok=True), word_at=ago(60)), None, 540),
    ],
)
def test_the_next_look_is_when_something_is_due(
    found: Vitals, stall_seconds: int | None, seconds: float
) -> None:
    assert next_look(found, stall_seconds, NOW) == NOW + timedelta(seconds=seconds)


def test_every_look_is_later_than_now() -> None:
    for progress in (0, 59, 60, 600, 3599, 3600, 7200, 90_000):
        for stall_seconds in (None, 1, 60, 3600):
            assert next_look(vitals(progress), stall_seconds, NOW) > NOW


# --- parsed events -------------------------------------------------------------------------------


def test_further_attempts_are_output_and_no_progress() -> None:
    pulse = Pulse(ago(100))
    pulse.note_output(ago(90))
    pulse.take(Progressed("Bash"), LastWord(), ago(90))
    pulse.note_output(ago(10))
    pulse.take(Retrying(), LastWord(), ago(10))
    assert pulse.vitals == Vitals(ago(10), ago(90), is_retrying=True, tool="Bash")
    pulse.take(Progressed(), LastWord(), ago(1))
    assert pulse.vitals == Vitals(ago(10), ago(1))


def test_the_moment_of_a_last_word_is_kept() -> None:
    pulse = Pulse(ago(100))
    pulse.take(Finished(True), LastWord(is_ok=True), ago(50))
    pulse.note_output(ago(5))
    assert pulse.vitals.word_at == ago(50)
    assert is_lingering(pulse.vitals, ago(50) + LINGER)
    pulse.take(Progressed(), LastWord(), ago(4))
    assert not is_lingering(pulse.vitals, NOW + LINGER)


AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = AT + timedelta(days=2)
AUTH = Troubled(Failure.AUTH, "Not logged in")


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([], LastWord()),
        ([Finished(True)], LastWord(is_ok=True)),
        ([Finished(False, "No")], LastWord(False, Failure.OTHER, "No")),
        ([AUTH, Finished(False, "No")], LastWord(False, Failure.AUTH, "Not logged in")),
        (
            [LimitReached("L"), Finished(False, "No")],
            LastWord(False, None, "No", LimitReached("L")),
        ),
        # a finished turn clears earlier trouble
        ([AUTH, Finished(True)], LastWord(is_ok=True)),
        ([LimitReached("L"), Finished(True)], LastWord(is_ok=True)),
        ([LimitReached("L"), Progressed()], LastWord()),
        ([AUTH, Finished(False), Progressed("Bash")], LastWord()),
        # nothing after a good end counts
        ([Finished(True), AUTH, LimitReached("L")], LastWord(is_ok=True)),
        # an agent that retries has not ended
        ([AUTH, Finished(False), Retrying()], LastWord(None, Failure.AUTH, "Not logged in")),
        ([LimitReached("L"), Retrying()], LastWord(limit=LimitReached("L"))),
        # a message without a reset time keeps the known one; of two windows the later one counts
        (
            [LimitReached("event", AT, "seven_day"), LimitReached("You've hit it", None, "weekly")],
            LastWord(limit=LimitReached("You've hit it", AT, "seven_day")),
        ),
        (
            [LimitReached("a", LATER, "seven_day"), LimitReached("b", AT, "five_hour")],
            LastWord(limit=LimitReached("b", LATER, "seven_day")),
        ),
        (
            [LimitReached("a", needs_person=True), LimitReached("b", AT)],
            LastWord(limit=LimitReached("b", AT, needs_person=True)),
        ),
    ],
)
def test_the_last_word_is_what_was_said_since_the_last_progress(
    events: list[Progressed | Retrying | LimitReached | Troubled | Finished], word: LastWord
) -> None:
    said = LastWord()
    for event in events:
        said = after(said, event)
    assert said == word
