"""The ratchet of strict types covers all of app/ and only goes down; `make lint` runs it."""

from __future__ import annotations

from tests.types.ratchet import allowed, other_folders, problems, strict_folders


def test_each_folder_of_the_program_is_strict_or_has_a_number_in_the_ratchet() -> None:
    assert set(allowed()) == other_folders()
    assert strict_folders() == {
        *("app/domain", "app/records", "app/services", "app/state", "app/api"),
    }


def test_the_ratchet_refuses_a_number_that_rises() -> None:
    (problem,) = problems({"app/cli": 4, "app/pages": 7}, {"app/cli": 3, "app/pages": 7})
    assert problem.startswith("app/cli: 4 strict type errors, 3 are allowed.")


def test_the_ratchet_asks_to_lower_a_number_that_fell() -> None:
    (problem,) = problems({"app/cli": 2}, {"app/cli": 3})
    assert "Lower the number in tests/types/strict_ratchet.json" in problem


def test_a_new_folder_may_have_no_strict_error() -> None:
    assert problems({"app/newer": 0}, {}) == []
    assert problems({"app/newer": 1}, {}) != []
