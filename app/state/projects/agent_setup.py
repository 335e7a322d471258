"""Reads from doctor's findings what an agent lacks: the advice, and the command that helps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.api.schemas import Finding

_COMMAND = re.compile(r"`([^`]+)`")
_WORDS_OF_A_SENTENCE = re.compile(r"[.;:]\s|\.$")


@dataclass(frozen=True)
class Lack:
    """One thing that an agent lacks; `command` is empty where no command helps."""

    check: str
    found: str
    advice: str
    command: str


def lacks_of(agent: str, findings: Iterable[Finding]) -> list[Lack]:
    """Return what doctor has found amiss with an agent, in the order in which to fix it."""
    return [
        Lack(one.check, one.found, one.advice, command_in(one.advice))
        for one in findings
        if one.about == agent and one.level != "ok"
    ]


def command_in(advice: str) -> str:
    """Return the command that an advice names in backquotes, or that it is as a whole."""
    if found := _COMMAND.search(advice):
        return found[1]
    is_sentence = " " in advice and _WORDS_OF_A_SENTENCE.search(advice)
    return "" if is_sentence or not advice else advice
