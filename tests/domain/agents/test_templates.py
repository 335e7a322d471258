"""Templates of prompts: names, variables, and how strictly they are checked."""

from __future__ import annotations

import pytest

from app.domain.agents.templates import (
    BUILT_IN,
    BUILT_IN_REPORT,
    VARIABLES,
    name_problem,
    read_label,
    setting_problem,
    template_problem,
)


@pytest.mark.parametrize("name", VARIABLES)
def test_every_known_variable_is_accepted(name: str) -> None:
    assert template_problem(f"Do it: {{{{{name}}}}} and {{{{ {name} }}}}.") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{issue.owner}}", "There is no variable {{issue.owner}}. The known ones: project.name,"),
        ("{{Task}}", "There is no variable {{Task}}"),
        ("{{}}", "There is no variable {{}}"),
        ("{{task", "Double braces stand around"),
        ("task}}", "Double braces stand around"),
        ("{{task}} {{", "Double braces stand around"),
        (" \n", "A template needs a text."),
    ],
)
def test_a_wrong_variable_is_named(text: str, words: str) -> None:
    assert (template_problem(text) or "").startswith(words)


@pytest.mark.parametrize("text", ["{task}", "{}", "{ {x} }", "{{{task}}}", "no variables"])
def test_single_braces_are_plain_text(text: str) -> None:
    assert template_problem(text) is None


@pytest.mark.parametrize("built_in", [BUILT_IN, BUILT_IN_REPORT])
def test_the_built_in_templates_would_be_accepted(built_in: object) -> None:
    assert template_problem(BUILT_IN.text) is None
    assert template_problem(BUILT_IN_REPORT.text) is None


@pytest.mark.parametrize(
    ("text", "is_wrong"),
    [
        ("", False),
        ("{task} {anything} {{", False),
        ("{{issue.title}}", False),
        ("{{issue.titel}}", True),
        ("{{issue.titel}} {{task}}", True),
        ("{{issue}} {{task}}", True),
        ("{{title}}", True),
        ("{{task}} {{", True),
    ],
)
def test_a_setting_with_a_name_in_double_braces_is_as_strict(text: str, is_wrong: bool) -> None:
    assert bool(setting_problem(text)) is is_wrong


@pytest.mark.parametrize(
    ("name", "is_wrong"),
    [
        ("nightly", False),
        ("Nightly_2.0-x", False),
        ("", True),
        ("-x", True),
        ("a b", True),
        ("a@1", True),
        ("a/b", True),
        ("é", True),
        ("a\n", True),
        ("x" * 61, True),
        ("fix-tests", True),
        ("prompt", True),
    ],
)
def test_a_name_can_stand_in_a_path_and_before_a_version(name: str, is_wrong: bool) -> None:
    assert bool(name_problem(name)) is is_wrong


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("nightly@3", ("nightly", 3)),
        ("nightly", None),
        ("@3", None),
        ("nightly@", None),
        ("nightly@x", None),
        ("nightly@1" + "0" * 12, None),
    ],
)
def test_a_label_is_read_back(label: str, parts: tuple[str, int] | None) -> None:
    assert read_label(label) == parts
