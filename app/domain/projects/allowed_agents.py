"""The agents that may run in a project, or that a person may start, and what they are given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from app.domain.projects.setting import Kind, Part, ProjectSetting
from app.domain.sandbox.levels import NetworkRule, SandboxLevel, read_level

NAME = "allowed_agents"
MOST_AGENTS = 100
ALLOWED_AGENTS = ProjectSetting(
    name=NAME,
    kind=Kind.LINES,
    means="The only agents that may run in this project",
    more="Empty: any agent. The project's own agent must be among them.",
    default=(),
    label="Allowed agents",
    hint="One per line, such as claude. Empty: any agent.",
    empty="any",
    part=Part.AGENT,
    option="--allow-agent",
    metavar="AGENT",
    most=MOST_AGENTS,
)

# a credential that agents get from Runyard
AGENT_TOKEN = ProjectSetting(
    name="agent_token",
    kind=Kind.SWITCH,
    means="Whether the agent of a run gets a token for the run's own issue",
    more="With it the agent can read that issue and comment on it, and nothing else, until its "
    "run ends. Only for issues of the built-in tracker.",
    default=False,
    label="Token for agents",
    hint="With it an agent reads its own issue and comments on it, until its run ends. Only for "
    "issues kept here, and not with a limited network.",
    part=Part.TOUCHED,
    labels={"no": "None", "yes": "For the run's own issue"},
)


class TokenTerms(Protocol):
    """The settings of a project that decide whether its agents get tokens."""

    @property
    def agent_token(self) -> bool: ...
    @property
    def forge_id(self) -> str | None: ...
    @property
    def sandbox(self) -> str: ...
    @property
    def network(self) -> str: ...


def gets_token(project: TokenTerms) -> bool:
    """Return True if agents of a project get tokens: it says so, and they can reach this server."""
    try:
        is_sandboxed = read_level(project.sandbox) is SandboxLevel.SANDBOXED
    except ValueError:
        return False
    reaches = not is_sandboxed or project.network == NetworkRule.ALL
    return project.agent_token and project.forge_id is None and reaches


def agents_problem(
    settings: Mapping[str, Any], agent: str, before: Collection[str], known: Collection[str]
) -> tuple[str, str] | None:
    """Return the field and the sentence of what is wrong with a project's agents, None if nothing.

    `agent` and `before` are its agent and its allowed agents so far, `known` all agents.
    """
    if NAME not in settings and "agent" not in settings:
        return None
    allowed = settings.get(NAME, before) or ()
    for name in settings.get(NAME) or ():
        if name not in known:
            return NAME, f"No agent is called {name!r}."
    agent = settings.get("agent") or agent
    if allowed and agent not in allowed:
        if NAME in settings:
            return NAME, f"The project's own agent {agent} must be among them."
        return "agent", f"Only these agents may run in this project: {', '.join(allowed)}."
    return None


def not_allowed(agent: str, here: Collection[str], mine: Collection[str]) -> str:
    """Return why an agent may not be started: the project's list, or the person's."""
    if here and agent not in here:
        return f"{agent} may not run in this project. Allowed: {', '.join(here)}."
    return f"You may not start {agent}. You may start: {', '.join(mine)}."
