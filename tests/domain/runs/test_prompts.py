"""The agent's prompt: its contents, and no value treated as a template."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.agents.prompts import DEPTHS, Brief, compose, title_of
from app.domain.words import Delivers, Depth

PLAIN = Brief(
    branch="run/x", depth=Depth.STANDARD, framework="auto", delivers=Delivers.CHANGE, task="Do it."
)
ISSUE = replace(PLAIN, task=None, issue=7, issue_title="Mend it", issue_body="It is broken.")


@pytest.mark.parametrize(
    ("brief", "title"),
    [
        (PLAIN, "Do it."),
        (replace(PLAIN, task="\n  First \nSecond"), "First"),
        (replace(PLAIN, task="x" * 500), "x" * 120),
        (replace(PLAIN, task=None), "Standard run, auto"),
        (replace(PLAIN, task=" \n", depth=Depth.DEEP, framework="pytest"), "Deep run, pytest"),
        (ISSUE, "Mend it"),
        (replace(ISSUE, task="Do it."), "Mend it"),
        (replace(ISSUE, issue_title="x" * 500), "x" * 200),
    ],
)
def test_a_run_is_called_by_its_issue_or_its_task(brief: Brief, title: str) -> None:
    assert title_of(brief) == title


def test_an_agent_that_goes_on_is_told_what_is_there() -> None:
    assert "An earlier run" in compose(replace(ISSUE, continues=True), None)
    assert "An earlier run" not in compose(ISSUE, None)


def test_the_issue_its_text_and_the_task_are_in_the_prompt() -> None:
    text = compose(replace(ISSUE, task="Mind the tests."), None)
    assert text.startswith("Resolve issue #7: Mend it\n\nIt is broken.\n\nMind the tests.\n")
    assert text.endswith("\n")
    assert compose(replace(PLAIN, task=None), None).startswith("Run the tests")


@pytest.mark.parametrize("depth", Depth)
def test_every_depth_says_something_of_its_own(depth: Depth) -> None:
    text = compose(replace(PLAIN, depth=depth), None)
    assert [one for one in Depth if DEPTHS[one] in text] == [depth]


@pytest.mark.parametrize(("framework", "told"), [("auto", False), ("pytest", True)])
def test_a_framework_is_named_where_one_is_chosen(framework: str, told: bool) -> None:
    assert ("framework" in compose(PLAIN, None)) is False
    assert ("for pytest." in compose(replace(PLAIN, framework=framework), None)) is told


def test_an_agent_is_told_to_commit_and_not_to_push_unless_it_reports() -> None:
    assert "branch run/x" in compose(PLAIN, None)
    assert "do not push" in compose(PLAIN, None)
    report = compose(replace(PLAIN, delivers=Delivers.REPORT), None)
    assert "Report what you find" in report
    assert "push" not in report


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{issue}: {title}\n{body}", "7: Mend it\nIt is broken."),
        ("{task}|{branch}|{depth}|{framework}", "|run/x|standard|auto"),
        ("{unknown} {} {{issue}} {issue", "{unknown} {} {7} {issue"),
        ("{task}{task}", ""),
        ("no words", "no words"),
    ],
)
def test_a_template_s_words_are_replaced(template: str, text: str) -> None:
    assert compose(ISSUE, template) == text


def test_a_plain_run_has_no_issue_in_its_template() -> None:
    assert compose(PLAIN, "[{issue}] {task}") == "[] Do it."


@given(st.text(max_size=80), st.text(max_size=80))
def test_what_a_value_holds_is_never_replaced_again(title: str, body: str) -> None:
    brief = replace(ISSUE, issue_title=title, issue_body=body)
    assert compose(brief, "<{title}|{body}>") == f"<{title}|{body}>"


@pytest.mark.parametrize("value", ["{task}", "{body}{issue}", "{title}"])
def test_a_hostile_title_cannot_pull_in_another_value(value: str) -> None:
    brief = replace(ISSUE, issue_title=value, task="secret")
    assert compose(brief, "{title} {branch}") == f"{value} run/x"
