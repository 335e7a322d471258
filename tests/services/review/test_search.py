"""The search over everything: by words and numbers, bounded, open work first."""

from __future__ import annotations

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.records.tables import Project
from app.services.review.search import MOST_FOUND
from tests.fakes.planes import TwinPlane


@pytest.fixture
def ledger(twin: TwinPlane) -> Project:
    """A project with three issues, the second closed, the third delivered as a change."""
    project = twin.add_project(name="ledger")
    twin.add_issue(project, "Export the ledger as CSV")
    closed = twin.add_issue(project, "Round 50 % of the tax").number
    twin.services.issues.change(project.id, closed, {"state": "closed"}, twin.clock())
    twin.finish(project, issue=twin.add_issue(project, "Reverse a posting twice").number)
    return project


FOUND: list[tuple[str, list[tuple[str, int]]]] = [
    ("export", [("issue", 1)]),
    ("EXPORT ledger", [("issue", 1)]),
    ("ledger", [("change", 4), ("issue", 3), ("issue", 1)]),
    ("posting", [("change", 4), ("issue", 3)]),
    ("#2", [("issue", 2)]),
    ("2", [("issue", 2)]),
    ("Round", []),  # closed issues are found by their number
    ("%", []),
    ("e", []),
    ("", []),
    ("#99999999999999999999", []),
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_words_name_open_issues_and_changes_and_a_number_names_any(
    twin: TwinPlane, ledger: Project, text: str, expected: list[tuple[str, int]]
) -> None:
    found = twin.services.search.find(text)
    assert {(one.kind, one.number) for one in found.titles} == set(expected)


def test_a_project_is_found_with_its_newest_runs_and_not_once_it_is_archived(
    twin: TwinPlane, ledger: Project
) -> None:
    twin.add_project(name="shop")
    found = twin.services.search.find("ledg")
    assert [one.name for one in found.projects] == ["ledger"]
    assert [run.project_id for run in found.runs] == [ledger.id]
    twin.services.projects.archive(ledger.id, twin.clock())
    archived = twin.services.search.find("ledg")
    assert (archived.projects, archived.titles) == ([], [])


def test_at_most_eight_of_each_are_read_with_as_many_statements_for_any_history(
    twin: TwinPlane,
) -> None:
    project = twin.add_project(name="big")
    for number in range(MOST_FOUND + 4):
        twin.add_issue(project, f"Part {number}")
    said: list[str] = []

    def hear(*given: object) -> None:
        said.append(str(given[2]))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        found = twin.services.search.find("part")
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert len(found.titles) == MOST_FOUND
    assert len(said) < 10
    of_issues = [sql for sql in said if "issue.state = 'open'" in sql]
    assert of_issues
    assert all("LIMIT" in sql for sql in of_issues)
