"""The agents that a run form offers, each with its readiness on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.api.schemas import Finding, ProjectOut

# the agent of a command that a person wrote
SCRIPT = "script"
UNKNOWN_VERSION = "version unknown"
READY = "ready"


class Readiness(StrEnum):
    """The readiness of an agent, as the last look at this machine found it."""

    READY = "true"
    NOT_READY = "false"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class AgentOption:
    """An agent to choose: `value` is what the form keeps, empty for the project's own agent.

    `note` is its readiness in words, `until` (UTC) when its usage limit ends; `is_here` is False if
    it is not installed.
    """

    value: str
    name: str
    readiness: Readiness
    note: str
    version: str = ""
    advice: str = ""
    until: datetime | None = None
    is_here: bool = True


def agent_options(
    project: ProjectOut,
    findings: Sequence[Finding],
    now: datetime,
    chosen: str = "",
    mine: Sequence[str] = (),
) -> list[AgentOption]:
    """Return the agents to choose from: the project's own first, then those that are ready.

    A chosen agent that nothing is known of stays in the list. Agents that may not run in the
    project, or that are not among `mine`, the person's where there are any, are left out.
    """
    known = {one.about for one in findings if one.check == "program"}
    own, names = project.agent, set(known)
    names |= {name for name in (own, chosen) if name}
    if project.agent_command:
        names.add(SCRIPT)
    for allowed in (project.allowed_agents, mine):
        names = names & set(allowed) if allowed else names
    options = [_option(project, name, findings, now) for name in names]
    order = list(Readiness)
    return sorted(
        options,
        key=lambda one: (bool(one.value), not one.is_here, order.index(one.readiness), one.name),
    )


def _option(
    project: ProjectOut, name: str, findings: Sequence[Finding], now: datetime
) -> AgentOption:
    value = "" if name == project.agent else name
    if name == SCRIPT:
        words = " ".join(project.agent_command or ())
        return AgentOption(value, name, Readiness.READY, "your command", words)
    found = {one.check: one for one in findings if one.about == name}
    program, sign_in = found.get("program"), found.get("sign-in")
    if program is None:
        return AgentOption(value, name, Readiness.UNKNOWN, "not looked for yet")
    if program.level == "none":
        return AgentOption(
            value, name, Readiness.NOT_READY, "not installed", "", program.advice, is_here=False
        )
    version = program.found.partition(" · ")[0]
    version = "" if version == UNKNOWN_VERSION else version
    limit = project.usage_limit
    if limit is not None and limit.agent == name and (limit.until is None or limit.until > now):
        return AgentOption(
            value, name, Readiness.NOT_READY, "usage limit", version, until=limit.until
        )
    if sign_in is not None and sign_in.level == "look":
        return AgentOption(value, name, Readiness.NOT_READY, "signed out", version, sign_in.advice)
    for doubt in (found.get("root"), sign_in):
        if doubt is not None and doubt.level != "ok":
            words = "sign-in not known" if doubt is sign_in else doubt.found
            return AgentOption(value, name, Readiness.UNKNOWN, words, version, doubt.advice)
    return AgentOption(value, name, Readiness.READY, READY, version)
