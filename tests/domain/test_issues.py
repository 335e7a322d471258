"""`Blocked by`: which headings count, which references, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.issues import blocked_by, blockers_of, branch_of_issue


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("", []),
        ("Blocked by #3", []),
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
        # references elsewhere do not block
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
        # a fenced heading is an example of one
        ("```\n## Blocked by\n#3\n```", []),
        ("## Blocked by\n```\n# comment\n```\n#3", [3]),
    ],
)
def test_references_under_the_heading_block(body: str, numbers: list[int]) -> None:
    assert blockers_of(body) == numbers


@pytest.mark.parametrize(
    ("open_issues", "blocker"),
    [({3, 4, 9}, 3), ({4}, 4), ({9}, None), (set(), None)],
)
def test_only_open_issues_block_and_the_lowest_is_named(
    open_issues: set[int], blocker: int | None
) -> None:
    assert blocked_by("## Blocked by\n#4 #3", open_issues) == blocker


@given(st.text(max_size=400))
def test_every_body_can_be_read(body: str) -> None:
    assert len(set(blockers_of(body))) == len(blockers_of(body))


@pytest.mark.parametrize(
    ("pattern", "branch"), [("afk/<N>", "afk/12"), ("issues/<N>/work", "issues/12/work")]
)
def test_an_issue_has_one_branch(pattern: str, branch: str) -> None:
    assert branch_of_issue(pattern, 12) == branch
