"""Checks that the files of a repository suggest."""

from __future__ import annotations

import pytest

from app.domain.projects.checks import checks_problem
from app.domain.projects.suggested_checks import FILES, suggest_checks


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"Makefile": "build:\n\ttrue\n\ntest: build\n\tpytest\n"}, "make test"),
        ({"GNUmakefile": "test::\n\ttrue\n"}, "make test"),
        ({"pytest.ini": "[pytest]\n"}, "pytest"),
        ({"conftest.py": ""}, "pytest"),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "pytest"),
        ({"pyproject.toml": '[project]\ndependencies = ["pytest>=8"]\n'}, "pytest"),
        ({"setup.cfg": "[tool:pytest]\n"}, "pytest"),
        ({"tox.ini": "[tox]\n\n[pytest]\n"}, "pytest"),
        ({"package.json": '{"scripts": {"test": "vitest run"}}'}, "npm test"),
        ({"Cargo.toml": "[package]\n"}, "cargo test"),
        ({"go.mod": "module x\n"}, "go test ./..."),
    ],
)
def test_what_tests_a_repository_is_recognized(files: dict[str, str], command: str) -> None:
    [check] = suggest_checks(files)
    assert list(check.command) == command.split()
    assert checks_problem([check]) is None


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"Makefile": "tests:\n\ttrue\ntest := x\n"},
        {"GNUmakefile": "all:\n", "Makefile": "test:\n"},
        {"pyproject.toml": "[tool.ruff]\n"},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": '{"scripts": {"test": 1}}'},
        {"package.json": '{"scripts": []}'},
        {"package.json": "[" * 100_000},
        {"package.json": "nothing"},
    ],
)
def test_what_tests_nothing_suggests_nothing(files: dict[str, str]) -> None:
    assert suggest_checks(files) == []


def test_a_repository_of_many_languages_suggests_each_once_under_names_of_their_own() -> None:
    files = dict.fromkeys(FILES, "test:\n") | {"package.json": '{"scripts": {"test": "jest"}}'}
    checks = suggest_checks(files)
    assert [one.name for one in checks] == [
        *("make test", "pytest", "npm test", "cargo test", "go test"),
    ]
    assert checks_problem(checks) is None
