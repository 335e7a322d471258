"""The list of parked work: a discarded row disappears at once and returns if refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import ParkedOut
from app.domain.formatting import size_words
from app.state.system.boards import DELIVERING, ParkedBoard, key_of, loss_words
from tests.builders.run_samples import NOON, run_of


class Refused(Exception):
    """Refusal by the server."""


def row_of(number: int, **changes: Any) -> ParkedOut:
    values: dict[str, Any] = {
        "project_id": "proj_a",
        "branch": f"afk/{number}",
        "run_id": f"run_{number}",
        "issue": number,
        "holds": "1 commit, clean",
        "because": "agent exited 3",
        "kept_since": NOON + timedelta(minutes=number),
        "age_seconds": 60,
        "bytes": 1000,
        "can_deliver": True,
    }
    return ParkedOut(**values | changes)


def board_of(*rows: ParkedOut) -> ParkedBoard:
    board = ParkedBoard()
    board.load(rows)
    return board


def branches(board: ParkedBoard) -> list[str]:
    return [row.branch for row in board.rows()]


async def test_a_discarded_row_is_gone_before_the_server_has_answered() -> None:
    board = board_of(row_of(2), row_of(1))
    assert branches(board) == ["afk/1", "afk/2"]
    seen: list[list[str]] = []

    async def discard() -> None:
        seen.append(branches(board))

    await board.discard(row_of(1), discard, lambda: seen.append(branches(board)))
    assert seen == [["afk/2"], ["afk/2"], ["afk/2"]]


async def test_a_refused_discard_brings_the_row_back_beside_what_came_meanwhile() -> None:
    board = board_of(row_of(1))

    async def refuse() -> None:
        board.load([row_of(1), row_of(2)])
        raise Refused

    with pytest.raises(Refused):
        await board.discard(row_of(1), refuse, lambda: None)
    assert branches(board) == ["afk/1", "afk/2"]
    assert board.word_of(row_of(1)) == ""


async def test_a_delivery_is_told_on_its_row_while_it_goes_on() -> None:
    board, run = board_of(row_of(1)), run_of(1)
    words: list[str] = []

    async def deliver() -> Any:
        words.append(board.word_of(row_of(1)))
        # a double click delivers once
        assert await board.deliver(row_of(1), deliver, lambda: None) is None
        return run

    assert await board.deliver(row_of(1), deliver, lambda: None) == run
    assert words == [DELIVERING]
    assert branches(board) == ["afk/1"]


def test_the_summary_tells_what_is_not_measured() -> None:
    assert board_of().summary() == ""
    assert board_of(row_of(1, bytes=0)).summary() == ""
    some = board_of(row_of(1, bytes=1_600_000_000), row_of(2, bytes=214_000_000))
    assert some.summary() == "1.8 GB"
    assert board_of(row_of(1), row_of(2, bytes=None)).summary() == "1.0 KB · 1 of unknown size"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (999_600, "1.0 MB"),
        (214_000_000, "214 MB"),
        (1_600_000_000, "1.6 GB"),
        (10**18, "1000000 TB"),
    ],
)
def test_sizes_are_told_as_people_read_them(size: int | None, words: str) -> None:
    assert size_words(size) == words


def test_a_person_is_told_what_would_be_lost() -> None:
    row = row_of(7, holds="3 files not committed")
    assert loss_words(row) == (
        "afk/7 holds 3 files not committed. No safety checks apply and there is no undo."
        " Issue #7 becomes claimable again."
    )
    assert "claimable" not in loss_words(row_of(7, issue=None))


def test_one_branch_of_two_projects_is_two_rows() -> None:
    assert key_of(row_of(1)) != key_of(row_of(1, project_id="proj_b"))
