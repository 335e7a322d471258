"""The agents that a run form offers: order, readiness and words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.api.schemas import Finding, UsageLimit
from app.state.runs.agent_options import Readiness, agent_options
from tests.builders.run_samples import NOON, project_of


def found(agent: str, level: str = "ok", sign_in: str = "ok") -> list[Finding]:
    """Findings of an agent: its program and, if it is installed, its sign-in."""
    if level == "none":
        how = f"npm install {agent}"
        return [
            Finding(level="none", check="program", found="not installed", advice=how, about=agent)
        ]
    return [
        Finding(level="ok", check="program", found="2.4.1 · /bin/x", about=agent),
        Finding.model_validate(
            {
                "level": sign_in,
                "check": "sign-in",
                "found": "?",
                "advice": f"Run {agent} login",
                "about": agent,
            }
        ),
    ]


def test_the_projects_agent_comes_first_and_what_is_not_installed_last() -> None:
    project = project_of(agent="codex", agent_command=None)
    findings = [*found("amp", "none"), *found("gemini", sign_in="look"), *found("codex")]
    findings += [*found("claude"), *found("aider", sign_in="unknown")]
    options = agent_options(project, findings, NOON)
    told = [(one.value, one.name, one.readiness, one.note, one.is_here) for one in options]
    assert told == [
        ("", "codex", Readiness.READY, "ready", True),
        ("claude", "claude", Readiness.READY, "ready", True),
        ("gemini", "gemini", Readiness.NOT_READY, "signed out", True),
        ("aider", "aider", Readiness.UNKNOWN, "sign-in not known", True),
        ("amp", "amp", Readiness.NOT_READY, "not installed", False),
    ]
    assert [one.version for one in options] == ["2.4.1"] * 4 + [""]
    assert options[2].advice == "Run gemini login"


def test_a_chosen_agent_that_nothing_is_known_of_stays_in_the_list() -> None:
    options = agent_options(project_of(agent="codex", agent_command=None), [], NOON, "elsewhere")
    assert [(one.name, one.readiness) for one in options] == [
        ("codex", Readiness.UNKNOWN),
        ("elsewhere", Readiness.UNKNOWN),
    ]


def test_a_command_of_the_project_is_offered_beside_its_agent() -> None:
    project = project_of(agent="claude", agent_command=["make", "agent"])
    own = agent_options(project, found("claude"), NOON)[1]
    assert (own.value, own.note, own.version) == ("script", "your command", "make agent")


@pytest.mark.parametrize(
    ("minutes", "note"), [(5, "usage limit"), (-5, "ready"), (None, "usage limit")]
)
def test_an_account_at_its_limit_is_not_ready_until_that_ends(
    minutes: int | None, note: str
) -> None:
    until = None if minutes is None else NOON + timedelta(minutes=minutes)
    limit = UsageLimit(agent="claude", family="", until=until)
    project = project_of(agent="claude", agent_command=None, usage_limit=limit)
    (option,) = agent_options(project, found("claude"), NOON)
    assert option.note == note
    assert (option.readiness is Readiness.READY) == (note == "ready")


def test_only_agents_that_the_project_and_the_person_may_use_are_offered() -> None:
    findings = [*found("codex"), *found("claude"), *found("gemini")]
    project = project_of(agent="codex", agent_command=None, allowed_agents=["codex", "claude"])
    offered = [one.name for one in agent_options(project, findings, NOON)]
    assert offered == ["codex", "claude"]
    mine = agent_options(project, findings, NOON, mine=["claude", "gemini"])
    assert [one.name for one in mine] == ["claude"]
