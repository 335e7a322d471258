"""Where a project is on the page of projects, its folder, and the next step of a new one."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.schemas import Finding, ProjectOut, UsageLimit
from app.state.projects.agent_setup import command_in, lacks_of
from app.state.projects.next_step import Step, step_of
from app.state.projects.sections import (
    Section,
    folders_of,
    held_accounts,
    in_order,
    section_of,
    tags_with_counts,
    with_tag,
)
from tests.builders.run_samples import NOON, project_of

LAST = {"id": "run_1", "status": "succeeded", "label": "Succeeded", "created_at": NOON}
LIMIT = UsageLimit(agent="claude", family="", until=NOON)


@pytest.mark.parametrize(
    ("changes", "section"),
    [
        ({}, Section.IDLE),
        ({"live_runs": 1}, Section.RUNNING),
        ({"paused": True, "live_runs": 1}, Section.ATTENTION),
        ({"unreachable": True}, Section.ATTENTION),
        ({"state": "broken"}, Section.ATTENTION),
        ({"checks_error": "It did not start."}, Section.ATTENTION),
        ({"agent_ready": False}, Section.ATTENTION),
        ({"sandbox_problem": "bubblewrap is not installed."}, Section.ATTENTION),
        # a limit passes without a person, and has its banner
        ({"usage_limit": LIMIT}, Section.IDLE),
        ({"state": "cloning"}, Section.IDLE),
        ({"archived_at": NOON, "paused": True}, Section.IDLE),
    ],
)
def test_who_needs_a_person_comes_first_then_what_runs_then_the_rest(
    changes: dict[str, Any], section: Section
) -> None:
    assert section_of(project_of(**changes)) == section


def test_within_its_section_each_project_keeps_its_place() -> None:
    changes: list[dict[str, Any]] = [{}, {"live_runs": 1}, {"paused": True}, {}, {"live_runs": 2}]
    projects = [project_of(id=str(n), **one) for n, one in enumerate(changes)]
    assert [one.id for one in in_order(projects)] == ["2", "1", "4", "0", "3"]


def tagged(*tags: list[str]) -> list[ProjectOut]:
    """Return a project for each list of tags, named by its place."""
    return [project_of(id=str(n), tags=one) for n, one in enumerate(tags)]


def test_a_project_is_in_the_folder_of_its_first_tag_and_found_by_each() -> None:
    projects = tagged(["web", "api"], [], ["Api"], ["api"], ["Web"])
    folders = [(one.name, [p.id for p in one.projects]) for one in folders_of(projects)]
    assert folders == [("Api", ["2", "3"]), ("web", ["0", "4"]), ("Without a tag", ["1"])]
    assert dict(tags_with_counts(projects)) == {"api": 3, "web": 2}
    assert [one.id for one in with_tag(projects, "API")] == ["0", "2", "3"]
    assert with_tag(projects, "") == projects
    assert with_tag(projects, "none") == []


def test_a_held_account_counts_the_projects_that_wait_for_it() -> None:
    projects = [
        project_of(id="1", usage_limit=LIMIT),
        project_of(id="2", usage_limit=LIMIT.model_copy(update={"family": "opus"})),
        project_of(id="3", usage_limit=LIMIT),
        project_of(id="4", usage_limit=LIMIT, archived_at=NOON),
        project_of(id="5"),
    ]
    assert dict(held_accounts(projects)) == {("claude", ""): 2, ("claude", "opus"): 1}


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"ready_count": 2}, Step.RUN),
        ({"ready_count": 0}, Step.ADD),
        ({"ready_count": None}, None),
        ({"ready_count": 2, "agent_ready": False}, Step.CONNECT),
        ({"ready_count": 2, "last_run": LAST}, None),
        ({"ready_count": 2, "state": "cloning"}, None),
        ({"ready_count": 2, "unreachable": True}, None),
        ({"ready_count": 2, "archived_at": NOON}, None),
    ],
)
def test_a_new_project_has_one_next_step(changes: dict[str, Any], step: Step | None) -> None:
    assert step_of(project_of(**changes)) == step


@pytest.mark.parametrize(
    ("advice", "command"),
    [
        ("npm install -g @openai/codex", "npm install -g @openai/codex"),
        ("Sign in with `codex login`.", "codex login"),
        ("Open it once and follow its own words.", ""),
        ("", ""),
    ],
)
def test_a_command_is_taken_from_an_advice_only_where_it_is_one(advice: str, command: str) -> None:
    assert command_in(advice) == command


def test_what_an_agent_lacks_is_what_doctor_found_of_it_and_not_of_others() -> None:
    findings = [
        Finding(level="ok", check="program", found="1.2", about="codex"),
        Finding(
            level="look", check="sign-in", found="no", advice="Run `codex login`.", about="codex"
        ),
        Finding(level="none", check="program", found="no", advice="npm i x", about="gemini"),
    ]
    [lack] = lacks_of("codex", findings)
    assert (lack.check, lack.command) == ("sign-in", "codex login")
