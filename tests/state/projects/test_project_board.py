"""The list of projects of one person."""

from __future__ import annotations

import pytest

from app.api.schemas import ProjectOut, StuckOut
from app.state.projects.project_board import ProjectBoard
from tests.builders.run_samples import NOON, project_of


def stuck_of(**changes: object) -> StuckOut:
    values = {"key": "look.x", "duty": "look", "tries": 5, "because": "x", "first_at": NOON}
    return StuckOut.model_validate({**values, **changes})


def test_projects_are_listed_by_name_so_that_no_card_jumps() -> None:
    board = ProjectBoard([project_of(id="1", name="zebra"), project_of(id="2", name="Ape")])
    board.apply(project_of(id="1", name="zebra", live_runs=2))
    assert [project.name for project in board.listing()] == ["Ape", "zebra"]


def test_an_archived_project_is_listed_only_when_asked_for_and_last() -> None:
    board = ProjectBoard(
        [project_of(id="1", name="a", archived_at=NOON), project_of(id="2", name="b")]
    )
    assert [project.name for project in board.listing()] == ["b"]
    assert [project.name for project in board.listing(archived=True)] == ["b", "a"]
    assert board.archived_count == 1


def test_a_change_is_told_with_its_id_and_an_equal_one_is_not() -> None:
    board = ProjectBoard([project_of(id="1")])
    heard: list[set[str]] = []
    board.on_change(heard.append)
    assert board.apply(project_of(id="1")) == set()
    assert board.apply(project_of(id="1", live_runs=1)) == {"1"}
    assert board.apply(project_of(id="2")) == {"2"}
    assert heard == [{"1"}, {"2"}]


def test_after_many_changes_a_board_adds_up_like_a_fresh_one() -> None:
    board = ProjectBoard([project_of(id=str(n), name=f"p{n}") for n in range(4)])
    changes = (
        {"id": "1", "name": "z", "live_runs": 2, "strikes": 3, "paused": True},
        {"id": "2", "name": "p2", "archived_at": NOON, "parked_count": 4},
        {"id": "9", "name": "b", "ready_count": 7, "agent_ready": False},
        {"id": "1", "name": "a", "live_runs": 1, "stuck": [stuck_of()]},
    )
    for change in changes:
        board.apply(project_of(**change))
        fresh = ProjectBoard(board.listing(archived=True))
        assert board.review_count == fresh.review_count
        assert board.listing() == fresh.listing()
        assert board.parked_count == fresh.parked_count


def test_a_fresh_snapshot_leaves_no_ghosts() -> None:
    board = ProjectBoard([project_of(id="1"), project_of(id="2"), project_of(id="3")])
    changed = board.replace([project_of(id="2"), project_of(id="3", live_runs=1)])
    assert changed == {"1", "3"}
    assert board.get("1") is None


async def test_an_archived_project_goes_at_once_and_comes_back_where_that_failed() -> None:
    board = ProjectBoard([project_of(id="1"), project_of(id="2")])
    seen: list[list[str]] = []
    board.on_change(lambda _: seen.append([project.id for project in board.listing()]))

    async def fail() -> ProjectOut:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await board.archive("1", fail, NOON)
    assert seen == [["2"], ["1", "2"]]

    async def archive() -> ProjectOut:
        return project_of(id="1", archived_at=NOON)

    await board.archive("1", archive, NOON)
    assert [project.id for project in board.listing()] == ["2"]


def test_the_totals_add_up_without_what_is_archived() -> None:
    board = ProjectBoard(
        [
            project_of(id="1", live_runs=2, ready_count=4, review_count=3),
            project_of(id="2", ready_count=0, review_count=1),
            project_of(id="3", archived_at=NOON, ready_count=9, review_count=9),
            project_of(id="4", parked_count=2, ready_count=None),
        ]
    )
    totals = (board.live_runs, board.ready_count, board.review_count, board.parked_count)
    assert totals == (2, 4, 4, 2)


def test_ready_issues_nobody_knows_are_not_shown_as_none() -> None:
    assert ProjectBoard([project_of(ready_count=None)]).ready_count is None
    assert ProjectBoard([project_of(ready_count=0)]).ready_count == 0
