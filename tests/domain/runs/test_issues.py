"""`Blocked by`: which headings and references count, and until when they block."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.issues import IssueFacts, blocker_among, blockers_of, branch_of_issue, issue_hold


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("", []),
        ("## Blocked by\n#3", [3]),
        ("# Blocked by\n#3", [3]),
        ("###### Blocked by\n#3", [3]),
        ("####### Blocked by\n#3", []),
        ("## BLOCKED BY\n#3", [3]),
        ("## blocked By:\n#3", [3]),
        ("  ##   Blocked by   ##\n#3", [3]),
        ("    ## Blocked by\n#3", []),
        ("##Blocked by\n#3", []),
        ("## Blocked by nobody\n#3", []),
        ("## Not blocked by\n#3", []),
        ("## Blocked by\n\n- #3\n- #4 and #3 again\n", [3, 4]),
        ("## Blocked by\n#4, #3", [4, 3]),
        ("## Blocked by\r\n#3\r\n", [3]),
        ("## Blocked by\n#3\n## Notes\n#4", [3]),
        ("## Blocked by\n#3\n### Sub\n#4", [3]),
        ("#3\n## Blocked by\nnothing", []),
        ("## Blocked by\n#3\n## Notes\n## Blocked by\n#4", [3, 4]),
        # references to other repositories do not block
        ("## Blocked by\nowner/repo#3", []),
        ("## Blocked by\nrepo#3, owner-x#4", []),
        ("## Blocked by\nhttps://h/x#3", []),
        ("## Blocked by\n&#39;", []),
        ("## Blocked by\n##3", []),
        ("## Blocked by\n#3a", []),
        ("## Blocked by\n# 3", []),
        ("## Blocked by\n#", []),
        ("## Blocked by\n(#3) [#4] **#5**, #6.", [3, 4, 5, 6]),
        ("## Blocked by\n#" + "9" * 30, []),
        # a heading in a code fence is an example
        ("```\n## Blocked by\n#3\n```", []),
        ("## Blocked by\n```\n# comment\n```\n#3", [3]),
        ("~~~\n```\n## Blocked by\n#3\n~~~", []),
        ("````\n```\n## Blocked by\n#3\n````\n## Blocked by\n#4", [4]),
        ("```sh\n```\n## Blocked by\n#3", [3]),
        ("```\n``` not the end\n## Blocked by\n#3", []),
        ("``` `code` ```\n## Blocked by\n#3", [3]),
        # setext headings (underlined with = or -) count too
        ("Blocked by\n----------\n#3", [3]),
        ("BLOCKED BY:\n===\n#3\n\nNotes\n---\n#4", [3]),
        ("## Blocked by\n- #3\n---\n- #4", [3, 4]),
        ("## Blocked by\n\n---\n#3", [3]),
        ("Blocked by\n\n---\n#3", []),
        ("## Blocked by\n#3\n##\n#4", [3]),
        # Unicode line separators do not end a line
        ("so\u2028## Blocked by\n#3", []),
    ],
)
def test_references_under_the_heading_block(body: str, numbers: list[int]) -> None:
    assert blockers_of(body) == numbers


@pytest.mark.parametrize(
    "line",
    [
        *("# a " + " " * 1000 + "#" * 1000 + "b", "# " + " \t" * 900 + "x", "#" * 2000),
        *("-" * 2000 + "x", "`" * 2000, "#1" * 1000, "~" * 1000 + "`" * 1000),
        *("#1, " * 900 + "x", "#1" + " ,;" * 900 + "and and"),
    ],
    ids=lambda line: line[:6].strip(),
)
def test_a_hostile_text_is_read_in_no_time(line: str) -> None:
    body = "## Blocked by\n" + "\n".join([line, "Blocked by " + line] * 100)
    begun = time.process_time()
    blockers_of(body)
    blockers_of("\n".join([line, "Blocked by " + line, "- " * 900 + "Blocked by"] * 100))
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("open_issues", "blocker"),
    [({3, 4, 9}, 3), ({4}, 4), ({9}, None), (set(), None)],
)
def test_only_open_issues_block_and_the_lowest_is_named(
    open_issues: set[int], blocker: int | None
) -> None:
    assert blocker_among(blockers_of("## Blocked by\n#4 #3"), open_issues) == blocker


def test_an_issue_does_not_block_itself() -> None:
    body = "## Blocked by\n#3 #4"
    assert blocker_among(blockers_of(body), {3, 4}, itself=3) == 4
    assert blocker_among(blockers_of(body), {3}, itself=3) is None
    assert blocker_among(blockers_of(body), {3}, itself=5) == 3


FREE = IssueFacts(
    number=7,
    body="## Blocked by\n#3, #7, #8, other/repo#9",
    labels=["bug", "ready-for-agent"],
    is_open=True,
    branch="afk/7",
    branch_exists=False,
    has_open_run=False,
    open_change=None,
)


@pytest.mark.parametrize(
    ("known", "open_issues", "hold"),
    [
        ({}, {7}, None),
        ({}, {7, 9, 12}, None),  # refers to itself, closed, missing or foreign issues
        ({}, {3, 7}, "blocked by #3"),
        ({"labels": ["Ready-For-Agent"]}, {7}, "not ready"),
        ({"is_open": False}, {7}, "closed"),
        ({"has_open_run": True}, {7}, "a run is under way"),
        ({"open_change": 9}, {7}, "delivered: change request #9 is open"),
        ({"branch_exists": True}, {7}, "parked: afk/7"),
        (
            {"in_the_way": "afk/7/work"},
            {7},
            "parked: afk/7/work, beside which afk/7 cannot be made",
        ),
        ({"branch_exists": None}, {7}, "its branch could not be read"),
    ],
)
def test_an_issue_waits_for_one_reason_in_one_sentence(
    known: dict[str, Any], open_issues: set[int], hold: str | None
) -> None:
    assert issue_hold(replace(FREE, **known), open_issues) == hold


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("Blocked by #60", [60]),
        ("Fix the export.\n\nBlocked by #60, #61 and #62.\n", [60, 61, 62]),
        ("BLOCKED BY: #3", [3]),
        ("Depends on #3", [3]),
        ("depends on issue #3 & #4", [3, 4]),
        ("- Blocked by #3\n* depends on #4", [3, 4]),
        ("1. Blocked by #3", [3]),
        ("- [ ] Blocked by #3", [3]),
        ("**Blocked by:** #3", [3]),
        ("**Blocked by** #3", [3]),
        ("- first\n    - Blocked by #3", [3]),
        ("Blocked by #3 (see also #4)", [3]),
        ("Blocked by #3, because of #4", [3]),
        ("## Depends on\n- #3\n## Notes\n#4", [3]),
        ("## Blocked by #3\n- #4\n## Notes\n#5", [3, 4]),
        ("Depends on\n===\n#3", [3]),
        # examples, quotes and prose block nothing
        ("```\nBlocked by #3\n```", []),
        ("    Blocked by #3", []),
        ("\tBlocked by #3", []),
        ("> Blocked by #3", []),
        ("- > Blocked by #3", []),
        ("`Blocked by #3`", []),
        ("It was blocked by #3 last year", []),
        ("Not blocked by #3", []),
        ("Blocked by other/repo#3", []),
        ("Blocked by nobody, see #3", []),
        ("Blocked by #3a", []),
    ],
)
def test_a_line_that_says_blocked_by_counts_like_the_heading(body: str, numbers: list[int]) -> None:
    assert blockers_of(body) == numbers


@given(st.text(max_size=400))
def test_every_body_can_be_read(body: str) -> None:
    assert len(set(blockers_of(body))) == len(blockers_of(body))


@pytest.mark.parametrize(
    ("pattern", "branch"), [("afk/<N>", "afk/12"), ("issues/<N>/work", "issues/12/work")]
)
def test_an_issue_has_one_branch(pattern: str, branch: str) -> None:
    assert branch_of_issue(pattern, 12) == branch
