"""What a project can be told on the command line: the options that `add` and `edit` share."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from app.cli.connection import Misused


class Sandbox(StrEnum):
    """What surrounds a project's agents."""

    NONE = "none"
    BUBBLEWRAP = "bubblewrap"


class OpenPr(StrEnum):
    """Who opens change requests."""

    RUNYARD = "runyard"
    AGENT = "agent"


BaseBranch = Annotated[
    str | None, typer.Option(help="Where work starts; what origin's HEAD names by default.")
]
Agent = Annotated[str | None, typer.Option(help="An agent preset, or script.")]
AgentCommand = Annotated[
    list[str] | None,
    typer.Option(help="The script agent's command: one word each time, or one JSON list."),
]
SetupCommand = Annotated[
    list[str] | None,
    typer.Option(help="Run before the agent: one word each time, or one JSON list."),
]
Prompt = Annotated[
    str | None, typer.Option(help="The prompt's template; - reads it from standard input.")
]
BudgetSeconds = Annotated[
    int | None, typer.Option(min=1, help="How long a run may take; 7200 by default.")
]
StallSeconds = Annotated[int | None, typer.Option(min=1, help="How long a run may stay silent.")]
MaxConcurrency = Annotated[int | None, typer.Option(min=1, max=100, help="How many runs at once.")]
ResumeAfterLimit = Annotated[
    bool | None,
    typer.Option(help="Whether runs go on by themselves after their agent's usage limit."),
]
BranchPattern = Annotated[
    str | None, typer.Option(help="How branches of AFK runs are named, as afk/<N>.")
]
Frameworks = Annotated[
    list[str] | None,
    typer.Option("--framework", help="A test framework to choose from; may be repeated."),
]
OpenPrBy = Annotated[OpenPr | None, typer.Option("--open-pr", help="Who opens change requests.")]
SandboxKind = Annotated[Sandbox | None, typer.Option(help="What surrounds the agent.")]


@dataclass(frozen=True)
class ProjectSettings:
    """How a project's runs are made."""

    agent: Agent = None
    agent_command: AgentCommand = None
    setup_command: SetupCommand = None
    prompt: Prompt = None
    budget_seconds: BudgetSeconds = None
    stall_seconds: StallSeconds = None
    max_concurrency: MaxConcurrency = None
    resume_after_limit: ResumeAfterLimit = None
    branch_pattern: BranchPattern = None
    frameworks: Frameworks = None
    open_pr: OpenPrBy = None
    sandbox: SandboxKind = None

    def given(self) -> dict[str, Any]:
        """The settings in the API's words. Raises Misused."""
        prompt = sys.stdin.read() if self.prompt == "-" else self.prompt
        return {
            **self.__dict__,
            "agent_command": read_argv("--agent-command", self.agent_command),
            "setup_command": read_argv("--setup-command", self.setup_command),
            "prompt": prompt,
        }


def read_argv(option: str, given: list[str] | None) -> list[str] | None:
    """A command out of repeated words or of one JSON list. Raises Misused."""
    if not given:
        return None
    if len(given) > 1 or not given[0].startswith("["):
        return given
    try:
        argv = json.loads(given[0])
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not argv or not all(isinstance(one, str) for one in argv):
        raise Misused(f'{option} takes a JSON list of words, such as ["my-agent", "{{prompt}}"].')
    return argv


def chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is there of what may have been given."""
    return {name: value for name, value in given.items() if value not in (None, [], ())}
