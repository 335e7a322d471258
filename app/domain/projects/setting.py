"""The description of one project setting: its kind, its place on the page, its sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# settings that are code on this machine, those of the sandbox around it, and where work goes
CODE = frozenset(
    {
        *("agent_command", "setup_command", "checks", "owner_hooks"),
        *("sandbox", "network", "allowed_hosts", "allow", "toolchains", "limits"),
        "allowed_agents",
        # a credential for agents
        *("open_pr", "pr_sign_in", "agent_token"),
        "origin",
    }
)


class Kind(StrEnum):
    """The kinds of values: how they are typed, shown and bounded."""

    LINE = "one line"
    BRANCH = "a branch"
    TEXT = "text"
    COMMAND = "a command"
    SECONDS = "seconds"
    NUMBER = "a number"
    SWITCH = "yes or no"
    CHOICE = "one of"
    CHOICES = "any of"
    LINES = "a list"
    LIMIT = "a number or no limit"
    CHECKS = "a list of checks"


class Part(StrEnum):
    """The groups of fields on the settings page, in its order."""

    PROJECT = "Project"
    AGENT = "Agent"
    CHECKS = "Checks before delivery"
    AUTOLAND = "Merging without a person"
    FORGE = "At the forge"
    APPROVALS = "Approvals"
    LIMITS = "Limits"
    TOUCHED = "What agents may touch"
    CAPS = "Memory, processes, files"  # folded, below the group before it
    NAMES = "Names"


class OpenPr(StrEnum):
    """The opener of change requests."""

    RUNYARD = "runyard"
    AGENT = "agent"


@dataclass(frozen=True, kw_only=True)
class ProjectSetting:
    """One setting: its value, the sentences about it, its option and its place on the page.

    `means` is the sentence of API, command line and documentation, without its full stop; `more`
    follows it where there is room. `usual` names the default in words where `default`, the value
    of new projects, is not fixed. `label`, `hint` and `empty` (what no value means) are the page's;
    without a `part` the page has no field for it. `labels` are the page's words for the choices.
    `usage` ends the sentence of the command line. `least` and `most` bound the number, or `most`
    the length of a list.
    """

    name: str
    kind: Kind
    means: str
    more: str = ""
    default: Any = None
    usual: str = ""
    label: str = ""
    hint: str = ""
    empty: str = "none"
    part: Part | None = None
    beside: bool = False  # in the row of the field before it, if there is room
    choices: type[StrEnum] | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    option: str = ""
    metavar: str | None = None
    usage: str = ""
    least: int | None = None
    most: int | None = None

    @property
    def sentences(self) -> str:
        """The description in full sentences."""
        return f"{self.means}. {self.more}".strip()

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return self.option or f"--{self.name.replace('_', '-')}"
