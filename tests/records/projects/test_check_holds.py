"""The loop's hold after a check that could not be started."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.projects.checks import Check
from app.records.projects.check_holds import hold_for_check, lift_check_hold
from app.records.projects.project_ledger import ProjectLedger
from app.records.stores.routing import Stores
from tests.builders.rows import draft_project

CHECKS = [Check("tests", ("make", "test")).as_data()]
TOLD: dict[str, Any] = {"name": "tests", "because": "make was not found.", "checks": CHECKS}
SENTENCE = "Check “tests” could not be started: make was not found."


@pytest.fixture
def projects(stores: Stores) -> ProjectLedger:
    """Project ledger with one project that has a check."""
    ledger = ProjectLedger(stores)
    ledger.insert(draft_project(checks=CHECKS))
    return ledger


def hold_of(projects: ProjectLedger) -> str | None:
    project = projects.find("proj_1")
    assert project is not None
    return project.checks_error


def hold(projects: ProjectLedger) -> None:
    with projects.stores.control.transaction() as tx:
        hold_for_check(tx, "proj_1", TOLD)


@pytest.mark.both_databases
def test_a_check_that_could_not_be_started_holds_until_it_is_lifted(
    projects: ProjectLedger,
) -> None:
    hold(projects)
    assert hold_of(projects) == SENTENCE
    with projects.stores.control.transaction() as tx:
        assert lift_check_hold(tx, "proj_1")
        assert not lift_check_hold(tx, "proj_1")
    assert hold_of(projects) is None


def test_a_check_that_was_changed_since_the_run_began_holds_nothing(
    projects: ProjectLedger,
) -> None:
    projects.change("proj_1", checks=[Check("tests", ("pytest",)).as_data()])
    hold(projects)
    assert hold_of(projects) is None
