"""What doctor says: one line a finding, and the lines of each agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.services.ports import AgentFinding, SignedIn, root_mend


class Level(StrEnum):
    """How good a finding is; `none` is what is not there, and need not be."""

    OK = "ok"
    LOOK = "look"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True)
class Checked:
    """One finding: what was looked at, of which agent or part, and how to mend it."""

    level: Level
    check: str
    found: str
    advice: str = ""
    about: str = "machine"


def agent_findings(agent: AgentFinding) -> Iterator[Checked]:
    """One agent's lines, in the order in which they are mended."""
    if agent.path is None:
        yield Checked(Level.NONE, "program", "not installed", agent.install, agent.name)
        return
    yield _program(agent, agent.path)
    yield _sign_in(agent)
    yield _flags(agent)
    if agent.root_variable:
        yield Checked(
            Level.LOOK,
            "root",
            "it refuses to work as root outside a sandbox",
            root_mend(agent.root_variable),
            agent.name,
        )


def _program(agent: AgentFinding, path: str) -> Checked:
    level, advice = Level.OK, ""
    if agent.version is None:
        level, advice = Level.UNKNOWN, "It took too long to tell its version: look again later."
    elif not agent.version:
        level, advice = (
            Level.LOOK,
            f"It does not tell its version: see what `{path} --version` says.",
        )
    elif agent.is_old:
        level = Level.LOOK
        advice = f"Older than {agent.floor}, with which it is known to work: `{agent.install}`"
    found = f"{agent.version or 'version unknown'} · {path}"
    return Checked(level, "program", found, advice, agent.name)


def _sign_in(agent: AgentFinding) -> Checked:
    how = agent.sign_in
    level, word, advice = {
        SignedIn.YES: (Level.OK, "signed in", ""),
        SignedIn.NO: (Level.LOOK, "signed out", how),
        SignedIn.UNKNOWN: (
            *(Level.UNKNOWN, "cannot tell"),
            f"If it is signed out: {how[:1].lower()}{how[1:]}",
        ),
    }[agent.signed_in]
    return Checked(level, "sign-in", f"{word}: {agent.evidence}", advice, agent.name)


def _flags(agent: AgentFinding) -> Checked:
    if agent.unknown_flags is None:
        found, advice = "cannot tell: its help could not be read", "Its first run will show it."
        return Checked(Level.UNKNOWN, "flags", found, advice, agent.name)
    if not agent.unknown_flags:
        found = f"its help knows them all, as in {agent.seen_with}"
        return Checked(Level.OK, "flags", found, "", agent.name)
    found = f"its help does not know {', '.join(agent.unknown_flags)}"
    advice = f"Install the version that Runyard knows: {agent.seen_with}."
    return Checked(Level.LOOK, "flags", found, advice, agent.name)
