"""Checks of a project: what one may be, and what is said where it may not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.projects.checks import MOST_CHECKS, Check, checks_problem, read_checks

TESTS = Check("tests", ("make", "test"))


def test_a_check_takes_ten_minutes_and_is_required_unless_said_otherwise() -> None:
    assert TESTS.as_data() == {
        "name": "tests",
        "command": ["make", "test"],
        "timeout_seconds": 600,
        "required": True,
    }


def test_what_is_stored_is_read_back_in_order() -> None:
    checks = (replace(TESTS, name="lint", required=False, timeout_seconds=5), TESTS)
    assert read_checks([one.as_data() for one in checks]) == checks
    assert read_checks(None) == ()


@pytest.mark.parametrize(
    "check",
    [
        TESTS,
        replace(TESTS, name="Überprüfung, 2. Teil"),
        replace(TESTS, command=("sh", "-c", "true && exit 1\n", "")),
        replace(TESTS, timeout_seconds=1),
        replace(TESTS, timeout_seconds=86400),
    ],
)
def test_an_ordinary_check_is_fine(check: Check) -> None:
    assert checks_problem([check]) is None


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (replace(TESTS, name=" "), "Give each check a name."),
        (replace(TESTS, name="x" * 81), "The name of a check has at most 80 characters."),
        (
            replace(TESTS, name="a\x1b[31mb"),
            "The name of a check contains characters that cannot be printed.",
        ),
        (
            replace(TESTS, name="a\nb"),
            "The name of a check contains characters that cannot be printed.",
        ),
        (replace(TESTS, command=()), "The command of “tests” is missing."),
        (replace(TESTS, command=(" ", "x")), "The command of “tests” is missing."),
        (replace(TESTS, command=("a\0",)), "The command of “tests” must not contain NUL."),
        (replace(TESTS, command=("a",) * 101), "The command of “tests” has more than 100 words."),
        (
            replace(TESTS, command=("a" * 4001,)),
            "The command of “tests” has a word of more than 4,000 characters.",
        ),
        (
            replace(TESTS, timeout_seconds=0),
            "The timeout of “tests” must be 1 to 86,400 seconds.",
        ),
    ],
)
def test_what_is_wrong_with_a_check_is_said_in_one_sentence(check: Check, sentence: str) -> None:
    assert checks_problem([check]) == sentence


def test_each_check_has_a_name_of_its_own_and_there_are_at_most_ten() -> None:
    twice = [TESTS, replace(TESTS, name="TESTS")]
    assert checks_problem(twice) == "Two checks are called “tests”: give each its own name."
    many = [replace(TESTS, name=f"check {number}") for number in range(MOST_CHECKS + 1)]
    assert checks_problem(many[:-1]) is None
    assert checks_problem(many) == "A project has at most 10 checks."
