"""The issue list: filters in the address, counts, and optimistic changes."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.schemas import IssueOut
from app.state.tracker.issue_list import IssueFilter, IssueList, labelled, toggled_ready, turned


def an_issue(number: int = 1, **given: Any) -> IssueOut:
    """Return an open issue that is ready and claimable."""
    known = {"title": "t", "body": "", "labels": ["ready-for-agent"], "state": "open"}
    return IssueOut.model_validate(
        {"number": number, "ready": True, "claimable": True, **known, **given}
    )


WAITS = an_issue(2, claimable=False, hold="blocked by #1")
PLAIN = an_issue(3, labels=["bug"], ready=False, claimable=False)
CLOSED = an_issue(4, state="closed", ready=False, claimable=False)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [1, 2, 3]),
        ({"ready": "yes"}, [1, 2]),
        ({"state": "closed"}, [4]),
        ({"state": "closed", "ready": "yes"}, [4]),
        ({"state": "x", "ready": "1"}, [1, 2, 3]),
    ],
)
def test_an_address_says_what_is_shown(query: dict[str, str], numbers: list[int]) -> None:
    issues = IssueList(IssueFilter.from_query(query))
    issues.load([CLOSED, PLAIN, WAITS, an_issue()])
    assert [one.number for one in issues.shown()] == numbers
    assert issues.counts == {"open": 3, "closed": 1, "ready": 2, "claimable": 1}


def test_a_filter_leaves_the_rest_of_the_address_alone() -> None:
    query = {"tab": "issues", "state": "closed", "ready": "yes"}
    assert IssueFilter().address(query) == "?tab=issues"
    assert IssueFilter(ready=True).address(query) == "?tab=issues&ready=yes"
    assert IssueFilter(closed=True).address({"tab": "a&b=c"}) == "?tab=a%26b%3Dc&state=closed"


def test_each_press_is_one_change_that_loses_nobodys_labels() -> None:
    assert toggled_ready(PLAIN) == labelled(PLAIN, ["bug", "ready-for-agent"])
    assert toggled_ready(an_issue()) == {"labels": [], "was": {"labels": ["ready-for-agent"]}}
    assert (turned(PLAIN), turned(CLOSED)) == ({"state": "closed"}, {"state": "open"})


async def test_a_change_says_so_while_it_is_made_and_is_taken_back_where_it_fails() -> None:
    issues, seen = IssueList(IssueFilter()), list[str]()
    issues.load([PLAIN])

    async def send(change: dict[str, Any]) -> IssueOut:
        if change == {}:
            raise RuntimeError("no")
        return PLAIN.model_copy(update={"title": "new"})

    def show() -> None:
        seen.append(issues.word_of(PLAIN))

    await issues.change(PLAIN, {"title": "new"}, send, show)
    assert seen == ["Saving…", ""]
    assert [one.title for one in issues.shown()] == ["new"]
    with pytest.raises(RuntimeError):
        await issues.change(issues.shown()[0], {}, send, show)
    assert (seen[2:], issues.shown()[0].title) == (["Saving…", ""], "new")
