"""A project's settings on the command line: the options that `add` and `edit` share."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.client.connection import Misused
from app.domain.sandbox.levels import HostService, NetworkRule, SandboxLevel
from app.domain.sandbox.settings import LIMIT_BOUNDS
from app.domain.text.argv import read_json_argv

CLEARS = ' "" empties it.'
NO_LIMIT = ' "" sets no limit.'


class OpenPr(StrEnum):
    """The opener of change requests."""

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
OwnerHooks = Annotated[
    bool | None,
    typer.Option(
        help="Whether pushes into a folder run its own hooks and filters, as they are now."
    ),
]
BranchPattern = Annotated[
    str | None, typer.Option(help="How branches of AFK runs are named, as afk/<N>.")
]
Frameworks = Annotated[
    list[str] | None,
    typer.Option("--framework", help="A test framework to choose from; may be repeated."),
]
OpenPrBy = Annotated[OpenPr | None, typer.Option("--open-pr", help="Who opens change requests.")]
Sandbox = Annotated[
    SandboxLevel | None, typer.Option(help="How much of this machine its agents can see and touch.")
]
Network = Annotated[
    NetworkRule | None,
    typer.Option(
        help="What sandboxed agents can reach: everything, allowed hosts only, or nothing."
    ),
]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST[:PORT]",
        help="A host that agents can reach with --network allowed; may be repeated, replaces "
        f"the list.{CLEARS}",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SERVICE",
        help=f"A service of this machine that agents may use: {', '.join(HostService)}; may be "
        f"repeated, replaces the list.{CLEARS}",
    ),
]
Toolchains = Annotated[
    list[str] | None,
    typer.Option(
        "--toolchain",
        metavar="FOLDER",
        help="A folder that sandboxed agents can read, such as ~/.pyenv; may be repeated, replaces "
        f"the list.{CLEARS}",
    ),
]
MemoryMb = Annotated[
    str | None, typer.Option(metavar="MB", help=f"How much memory a run may use.{NO_LIMIT}")
]
Processes = Annotated[
    str | None,
    typer.Option(metavar="N", help=f"How many processes a run may have.{NO_LIMIT}"),
]
FileMb = Annotated[
    str | None, typer.Option(metavar="MB", help=f"How large a file may get.{NO_LIMIT}")
]
DiskMb = Annotated[
    str | None, typer.Option(metavar="MB", help=f"How large a working copy may get.{NO_LIMIT}")
]


@dataclass(frozen=True)
class ProjectSettings:
    """The options for a project's runs."""

    agent: Agent = None
    agent_command: AgentCommand = None
    setup_command: SetupCommand = None
    prompt: Prompt = None
    budget_seconds: BudgetSeconds = None
    stall_seconds: StallSeconds = None
    max_concurrency: MaxConcurrency = None
    resume_after_limit: ResumeAfterLimit = None
    owner_hooks: OwnerHooks = None
    branch_pattern: BranchPattern = None
    frameworks: Frameworks = None
    open_pr: OpenPrBy = None
    sandbox: Sandbox = None
    network: Network = None
    allowed_hosts: AllowedHosts = None
    allow: Allow = None
    toolchains: Toolchains = None
    memory_mb: MemoryMb = None
    processes: Processes = None
    file_mb: FileMb = None
    disk_mb: DiskMb = None

    def given(self) -> dict[str, Any]:
        """Return the settings as the API takes them. Raises Misused."""
        prompt = sys.stdin.read() if self.prompt == "-" else self.prompt
        rest = {name: value for name, value in vars(self).items() if name not in LIMIT_BOUNDS}
        return {
            **rest,
            **{name: _listed(rest[name]) for name in ("frameworks", "allowed_hosts", "allow")},
            "toolchains": _folders(self.toolchains),
            "limits": self._limits() or None,
            "agent_command": read_argv("--agent-command", self.agent_command),
            "setup_command": read_argv("--setup-command", self.setup_command),
            "prompt": prompt,
        }

    def _limits(self) -> dict[str, int | None]:
        typed = {name: getattr(self, name) for name in LIMIT_BOUNDS}
        return {n: _number(n, words) for n, words in typed.items() if words is not None}


def _number(name: str, words: str) -> int | None:
    if not words.strip():
        return None
    try:
        return int(words)
    except ValueError as error:
        raise Misused(f"--{name.replace('_', '-')} takes a whole number.") from error


def _listed(given: list[str] | None) -> list[str] | None:
    # a single empty value clears the list
    return [one for one in given if one.strip()] if given else None


def _folders(given: list[str] | None) -> list[str] | None:
    named = _listed(given)
    return named and [str(Path(one).expanduser().absolute()) for one in named]


def read_argv(option: str, given: list[str] | None) -> list[str] | None:
    """Read a command from repeated words or one JSON list. Raises Misused."""
    if not given:
        return None
    if len(given) > 1 or not given[0].startswith("["):
        return given
    argv = read_json_argv(given[0])
    if not argv:
        raise Misused(f'{option} takes a JSON list of words, such as ["my-agent", "{{prompt}}"].')
    return argv


def chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that were given, without None."""
    return {name: value for name, value in given.items() if value is not None}
