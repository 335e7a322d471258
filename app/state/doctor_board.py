"""What doctor found, sorted for people: the agents that are here, those that are not, the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.api.schemas import Finding

PARTS = {"machine": "This machine", "server": "This server"}


@dataclass(frozen=True)
class AgentSeen:
    """One installed agent with its findings."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def words(self) -> str:
        """How it stands, in a word or two."""
        levels = {one.check: one.level for one in self.findings}
        if levels.get("sign-in") == "look":
            return "Signed out"
        if "look" in levels.values():
            return "Needs a look"
        return "Ready" if levels.get("sign-in") == "ok" else "Installed"

    @property
    def tone(self) -> str:
        """The tone of that word."""
        if any(one.level == "look" for one in self.findings):
            return "wait"
        return "go" if self.words == "Ready" else "idle"


@dataclass(frozen=True)
class DoctorBoard:
    """Doctor's findings, apart: installed agents, absent ones, and what else there is by part."""

    agents: tuple[AgentSeen, ...]
    absent: tuple[Finding, ...]
    parts: tuple[tuple[str, tuple[Finding, ...]], ...]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> DoctorBoard:
        """Sort them, in the order in which they come."""
        of_agents: dict[str, list[Finding]] = defaultdict(list)
        of_parts: dict[str, list[Finding]] = defaultdict(list)
        for one in findings:
            (of_parts if one.about in PARTS else of_agents)[one.about].append(one)
        here = {name: found for name, found in of_agents.items() if not _is_absent(found)}
        return cls(
            agents=tuple(AgentSeen(name, tuple(found)) for name, found in here.items()),
            absent=tuple(found[0] for name, found in of_agents.items() if name not in here),
            parts=tuple((PARTS[name], tuple(found)) for name, found in of_parts.items()),
        )

    @property
    def to_look_at(self) -> int:
        """How many findings want something done."""
        everything = [one for agent in self.agents for one in agent.findings]
        everything += [one for _, found in self.parts for one in found]
        return sum(one.level == "look" for one in everything)


def _is_absent(findings: list[Finding]) -> bool:
    return [one.level for one in findings] == ["none"]
