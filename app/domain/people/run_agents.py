"""The agent of a run as the author of what its token does: how people and the audit name it."""

from __future__ import annotations

from dataclasses import dataclass

# the part of a run's id that screens show
_SEEN = 6
_BETWEEN = " · "
_SIGN = f"{_BETWEEN}run …"
# what the audit calls those who are no people and no agents
_OTHERS = frozenset({"runyard", "not signed in"})
NOT_A_PERSONS = "The audit uses this name for somebody else. Choose another one."


@dataclass(frozen=True)
class RunAgent:
    """An agent and the run that it works in; neither is a person."""

    agent: str
    run_id: str

    @property
    def shown(self) -> str:
        """The name for people: `claude · run …b7f3k1`."""
        return f"{self.agent}{_SIGN}{self.run_id[-_SEEN:]}"

    @property
    def token_name(self) -> str:
        """The name of its token in the audit, which outlives the run: `claude · run_01…`."""
        return f"{self.agent}{_BETWEEN}{self.run_id}"


def is_taken_name(name: str) -> bool:
    """Return True for a name that the audit gives to agents, or to nobody in particular."""
    return name.casefold() in _OTHERS or _SIGN in name


def read_token_name(name: str) -> RunAgent | None:
    """Return the agent whose token has this name, None for a name in another form."""
    agent, _, run_id = name.rpartition(_BETWEEN)
    return RunAgent(agent, run_id) if agent and run_id.startswith("run_") else None
