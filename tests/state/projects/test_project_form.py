"""The form that adds a project."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.client.client import ApiProblem
from app.state.projects.project_form import ProjectForm, name_from

GOOD = {"name": "shop", "origin": "/srv/shop"}


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("/home/me/shop", "shop"),
        ("/home/me/shop/", "shop"),
        ("https://example.org/me/shop.git", "shop"),
        ("git@example.org:shop.git", "shop"),
        ("", ""),
        ("/" + "n" * 100, "n" * 80),
    ],
)
def test_an_origin_suggests_its_last_part_as_name(origin: str, name: str) -> None:
    assert name_from(origin) == name


def test_what_was_left_empty_is_left_to_the_server() -> None:
    body = ProjectForm({**GOOD, "agent": " ", "prompt": "", "budget_minutes": ""}).body()
    assert body.model_dump(exclude_unset=True) == GOOD


def test_a_command_has_one_argument_a_line_and_minutes_become_seconds() -> None:
    typed = {
        **GOOD,
        "agent": "script",
        "agent_command": "python3\n\n  agent.py  \n{prompt}",
        "budget_minutes": "90",
    }
    body = ProjectForm(typed).body()
    assert body.agent_command == ["python3", "agent.py", "{prompt}"]
    assert body.budget_seconds == 5400


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({**GOOD, "origin": "ext::sh -c x"}, "origin"),
        ({**GOOD, "name": ""}, "name"),
        ({**GOOD, "agent": "script"}, "agent_command"),
        ({**GOOD, "budget_minutes": "soon"}, "budget_minutes"),
        ({**GOOD, "budget_minutes": "0"}, "budget_minutes"),
    ],
)
def test_what_cannot_be_right_is_said_at_its_field(typed: dict[str, str], field: str) -> None:
    assert list(ProjectForm(typed).problems()) == [field]


def test_a_good_form_has_no_problems() -> None:
    assert ProjectForm(GOOD).problems() == {}


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ({"error": "name_taken", "detail": "Name already in use"}, {"name": "Name already in use"}),
        (
            {"error": "invalid", "errors": [{"field": "budget_seconds", "message": "No."}]},
            {"budget_minutes": "No."},
        ),
        (
            {"error": "invalid", "errors": [{"field": "agent_command.0", "message": "No."}]},
            {"agent_command": "No."},
        ),
        ({"error": "invalid", "errors": [{"field": "elsewhere", "message": "No."}]}, {}),
        ({"error": "project_broken", "detail": "It did not answer."}, {}),
    ],
)
def test_a_refusal_is_blamed_on_the_field_it_names(
    answer: dict[str, Any], fields: dict[str, str]
) -> None:
    assert ProjectForm.blamed(ApiProblem(409, answer, "c1")) == fields


def test_an_empty_form_asks_for_what_is_missing_at_each_field() -> None:
    assert ProjectForm({}).problems() == {
        "origin": "Give the folder or the address of a git repository.",
        "name": "Give the project a name.",
    }
