"""The rule of autoland: each condition turned off alone leaves a change to a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.projects.autoland import USUALLY_PROTECTED, Autoland, read_autoland
from app.domain.review.autoland import (
    ChangeFacts,
    ChangeSize,
    landed_words,
    left_words,
    timeline_words,
    why_left,
    why_too_much,
)
from app.domain.tracker.ci import CiState

RULES = Autoland(enabled=True, max_files=3, max_lines=40)
FINE = ChangeFacts(
    by_run=True,
    last_succeeded=True,
    required=("tests", "lint"),
    passed=("tests", "lint"),
    all_passed=True,
    conflicts=(),
)
SMALL = ChangeSize(files=3, lines=40)


def test_what_passes_all_rules_lands() -> None:
    assert why_left(RULES, FINE) is None
    assert why_too_much(RULES, SMALL) is None


@pytest.mark.parametrize(
    ("facts", "because"),
    [
        ({"by_run": False}, "no run of an agent opened it."),
        ({"is_draft": True}, "it is a draft."),
        ({"was_forced": True}, "a person had its commits pushed despite an objection."),
        ({"required": ()}, "this project has no required check."),
        ({"last_succeeded": False}, "the last run on it did not succeed."),
        ({"passed": ("tests",)}, "check “lint” has not passed for its last commit."),
        ({"all_passed": False}, "a required check has not passed for its last commit."),
        ({"are_checks_older": True}, "the checks have changed since they ran."),
        ({"unsent_comments": 1}, "it has comments that are not sent yet."),
        ({"reviews_waiting": 1}, "1 review comment waits for a person."),
        ({"reviews_waiting": 2}, "2 review comments wait for a person."),
        ({"conflicts": ("a\n.txt", "b")}, "it conflicts in a\\x0a.txt."),
        # only too early to say: nothing is told
        ({"conflicts": None}, ""),
        ({"ci": CiState.FAILED}, "its CI failed."),
        ({"ci_unread": "No access."}, "its CI cannot be read: No access."),
        ({"ci_unread": "a\n", "conflicts": None}, "its CI cannot be read: a\\x0a."),
        ({"ci": CiState.PENDING}, ""),
        ({"is_worked_on": True}, ""),
        ({"is_open": False}, ""),
    ],
)
def test_each_fact_alone_leaves_it_to_a_person(facts: dict[str, Any], because: str) -> None:
    assert why_left(RULES, replace(FINE, **facts)) == because


def test_where_it_is_off_nothing_lands() -> None:
    assert why_left(Autoland(), FINE) == ""
    assert read_autoland({}) == Autoland(False, protected_paths=USUALLY_PROTECTED)


@pytest.mark.parametrize(
    ("size", "because"),
    [
        ({"files": 4}, "4 files, more than 3."),
        ({"lines": 41}, "41 lines, more than 40."),
        ({"lines": None}, "it holds a file that is not counted in lines."),
        ({"files": 0, "lines": 0}, "it changes no file."),
        ({"unreadable": True}, "a file name in it is not UTF-8."),
        ({"protected": ".github/ci.yml"}, "touches .github/ci.yml, which is protected."),
        ({"protected": "a\u202eb"}, "touches a\\u202eb, which is protected."),
    ],
)
def test_each_file_alone_leaves_it_to_a_person(size: dict[str, Any], because: str) -> None:
    assert why_too_much(RULES, replace(SMALL, **size)) == because


def test_a_long_name_is_cut() -> None:
    assert len(why_too_much(RULES, replace(SMALL, protected="x" * 5000)) or "") < 300


def test_the_sentences_say_what_was_done() -> None:
    landed = landed_words(f"checks passed, {ChangeSize(1, 40).words}")
    assert landed == "Landed by itself: checks passed, 1 file, 40 lines."
    assert timeline_words(landed) == "landed by itself: checks passed, 1 file, 40 lines"
    assert left_words("it is a draft.") == "Not landed by itself: it is a draft."
