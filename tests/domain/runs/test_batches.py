"""The order of waiting batches, and the outcome of a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.batches import BatchStatus, Line, in_turn, label_of_batch, tally
from app.domain.words import Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
lines = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 8), st.none() | st.integers(0, 50)), max_size=5
)


def made(told: list[tuple[int, int, int | None]]) -> list[Line[tuple[int, int]]]:
    return [
        Line(
            f"batch_{number}",
            live,
            None if taken is None else NOW + timedelta(seconds=taken),
            NOW - timedelta(seconds=number),
            [(number, place) for place in range(count)],
        )
        for number, (live, count, taken) in enumerate(told)
    ]


@given(lines)
def test_every_item_has_its_turn_once_in_the_order_of_its_batch(told: list[tuple]) -> None:
    turns = list(in_turn(made(told)))
    for number, (_, count, _) in enumerate(told):
        assert [place for of, place in turns if of == number] == list(range(count))


@given(lines)
def test_no_batch_gets_ahead_of_one_that_waits_with_fewer_live_runs(told: list[tuple]) -> None:
    live = {number: live for number, (live, _, _) in enumerate(told)}
    left = {number: count for number, (_, count, _) in enumerate(told)}
    for number, _ in in_turn(made(told)):
        assert live[number] == min(live[other] for other in left if left[other])
        live[number] += 1
        left[number] -= 1


def test_a_small_batch_beside_a_large_one_gets_every_second_turn() -> None:
    turns = [number for number, _ in in_turn(made([(0, 8, None), (0, 2, None)]))]
    assert turns == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_who_has_waited_longest_since_its_last_turn_comes_first() -> None:
    turns = [number for number, _ in in_turn(made([(1, 1, 40), (1, 1, 10), (1, 1, 20)]))]
    assert turns == [1, 2, 0]


@given(st.dictionaries(st.sampled_from([str(one) for one in Status]), st.integers(0, 99)))
def test_every_run_of_a_batch_is_counted_in_one_part_of_its_report(counts: dict[str, int]) -> None:
    told = tally(counts, no_change=min(counts.get("died", 0), 3))
    assert sum(told.__dict__.values()) == sum(counts.values())


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        ({"succeeded": 1, "died": 9}, "Partly failed"),
        ({"died": 2, "not_started": 1, "timed_out": 1}, "All failed"),
        ({"stopped": 3}, "All stopped"),
        ({"stopped": 1, "died": 1}, "None succeeded"),
        ({"limited": 2}, "None succeeded"),
    ],
)
def test_a_batch_without_a_success_is_not_called_partly_failed(
    counts: dict[str, int], label: str
) -> None:
    assert label_of_batch(BatchStatus.PARTLY_FAILED, counts) == label
    assert label_of_batch(BatchStatus.ABORTED, counts) == "Aborted"
