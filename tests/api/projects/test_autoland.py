"""The rules of autoland over HTTP: their defaults, their bounds, what a change of them keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop

USUAL = {
    "enabled": False,
    "max_files": 10,
    "max_lines": 300,
    "protected_paths": [".github/", "RUNYARD.md"],
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("autoland")) as shop:
        yield shop


@pytest.fixture(scope="module")
def place(shop: Workshop) -> str:
    body = {"name": "lands", "origin": str(shop.origin("lands")), "agent_command": ["/bin/true"]}
    project = shop.api.post("/projects", json=body).json()
    assert project["autoland"] == USUAL
    return f"/projects/{project['id']}"


def test_a_new_project_takes_rules_too(shop: Workshop) -> None:
    body = {"name": "other", "origin": str(shop.origin("other")), "agent_command": ["/bin/true"]}
    answer = shop.api.post("/projects", json=body | {"autoland": {"enabled": True}})
    assert answer.json()["autoland"] == USUAL | {"enabled": True}


def test_a_change_keeps_the_rules_that_it_does_not_name(shop: Workshop, place: str) -> None:
    for rules in ({"enabled": True, "max_files": 3}, {"protected_paths": []}):
        assert shop.api.patch(place, json={"autoland": rules}).status_code == 200
    now = shop.api.get(place).json()["autoland"]
    assert now == USUAL | {"enabled": True, "max_files": 3, "protected_paths": []}


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"max_files": 0}, "autoland.max_files"),
        ({"max_files": 1001}, "autoland.max_files"),
        ({"max_lines": 0}, "autoland.max_lines"),
        ({"max_lines": 100_001}, "autoland.max_lines"),
        ({"enabled": None}, "autoland.enabled"),
        ({"protected_paths": ["a"] * 101}, "autoland.protected_paths"),
        ({"protected_paths": ["a" * 401]}, "autoland.protected_paths.0"),
        ({"protected_paths": ["a\nb"]}, "autoland.protected_paths"),
        ({"protected_paths": ["a\0b"]}, "autoland.protected_paths"),
        ({"protected_paths": [" "]}, "autoland.protected_paths"),
        ({"protected_paths": ["# words"]}, "autoland.protected_paths"),
        ({"protected_paths": ["../up"]}, "autoland.protected_paths"),
        ({"protected_paths": ["!"]}, "autoland.protected_paths"),
        ({"protected_paths": ["[z-a]"]}, "autoland.protected_paths"),
        ({"other": 1}, "autoland.other"),
    ],
)
def test_what_is_wrong_is_refused_at_its_field(
    shop: Workshop, place: str, rules: dict[str, Any], field: str
) -> None:
    before = shop.api.get(place).json()["autoland"]
    answer = shop.api.patch(place, json={"autoland": rules})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["message"]
    assert shop.api.get(place).json()["autoland"] == before
