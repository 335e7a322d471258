"""Edits of the blockers that an issue's text names."""

from __future__ import annotations

import time

import pytest

from app.domain.issues import blockers_of
from app.domain.tracker.blockers import (
    circle_objection,
    with_blocker_added,
    with_blocker_removed,
    with_blockers,
)


@pytest.mark.parametrize(
    ("body", "number", "found"),
    [
        ("", 3, "Blocked by #3"),
        ("Do it.\n", 3, "Do it.\n\nBlocked by #3"),
        ("Blocked by #1", 3, "Blocked by #1, #3"),
        ("Blocked by #3", 3, "Blocked by #3"),
        ("Depends on #1 and #2, since then\nmore", 3, "Depends on #1 and #2, #3, since then\nmore"),
        ("## Blocked by\n\n- #1\n", 3, "## Blocked by\n\n- #1\n\nBlocked by #3"),
        # what is no blocker for the queue is left alone
        ("```\nBlocked by #1", 3, "Blocked by #3\n\n```\nBlocked by #1"),
        ("> Blocked by #1", 3, "> Blocked by #1\n\nBlocked by #3"),
    ],
)
def test_a_blocker_is_added_to_the_text(body: str, number: int, found: str) -> None:
    assert with_blocker_added(body, number) == found
    assert set(blockers_of(found)) == {*blockers_of(body), number}


@pytest.mark.parametrize(
    ("body", "number", "found"),
    [
        ("Blocked by #3", 3, ""),
        ("Do it.\n\nBlocked by #3", 3, "Do it."),
        ("Blocked by #1, #3", 3, "Blocked by #1"),
        ("Blocked by #3, #1", 3, "Blocked by #1"),
        ("Blocked by #1, #3 and #5", 3, "Blocked by #1 and #5"),
        ("Depends on #03", 3, ""),
        ("## Blocked by\n\n- #1\n- #3\n- #5", 3, "## Blocked by\n\n- #1\n\n- #5"),
        ("Blocked by #3\n\nSee #3 and #33.", 3, "\n\nSee #3 and #33."),
        ("Blocked by #3\n\n## Depends on\n#3 #4", 3, "\n\n## Depends on\n #4"),
        ("Nothing", 3, "Nothing"),
    ],
)
def test_a_blocker_is_taken_out_of_the_text(body: str, number: int, found: str) -> None:
    assert with_blocker_removed(body, number) == found


@pytest.mark.parametrize(
    ("body", "wanted", "found"),
    [
        ("Do it.", [3, 5], "Do it.\n\nBlocked by #3, #5"),
        ("Do it.\n\nBlocked by #3", [5], "Do it.\n\nBlocked by #5"),
        ("Blocked by #3, #5", [], ""),
        ("## Blocked by\n- #3", [3], "## Blocked by\n- #3"),
    ],
)
def test_a_text_names_exactly_the_blockers_that_are_wanted(
    body: str, wanted: list[int], found: str
) -> None:
    text, by_hand = with_blockers(body, wanted)
    assert (text, by_hand) == (found, None)
    assert blockers_of(text) == wanted


NAMED = {5: [7], 7: [12], 8: [5, 9], 9: [9]}


@pytest.mark.parametrize(
    ("number", "blocker", "said"),
    [
        (12, 3, ""),
        (12, 9, ""),
        (5, 12, ""),
        (12, 12, "An issue cannot wait for itself."),
        (12, 7, "#7 waits for #12 already, so neither would ever start."),
        (12, 8, "#8 waits for #12 through #5, #7, so none of them would ever start."),
    ],
)
def test_issues_that_would_wait_for_each_other_are_told(
    number: int, blocker: int, said: str
) -> None:
    assert circle_objection(number, blocker, NAMED) == said


@pytest.mark.parametrize("between", ["\n- ", " "])
def test_a_text_that_names_thousands_of_blockers_is_edited_soon(between: str) -> None:
    numbers = list(range(1, 3001))
    body = f"## Blocked by\n{between}" + between.join(f"#{one}" for one in numbers)
    begun = time.process_time()
    assert with_blockers(body, numbers) == (body, None)
    shorter, by_hand = with_blockers(body, numbers[1:])
    assert (blockers_of(shorter), by_hand) == (numbers[1:], None)
    # so many are a new text, not an edit of this one
    assert with_blockers(body, []) == (body, 1)
    assert with_blockers("## Blocked by\n" + "- #1\n" * 3000, [])[1] == 1
    assert time.process_time() - begun < 2
