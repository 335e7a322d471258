"""Agents of the in-memory world: they obey the few words of shell that real agents of tests use."""

from __future__ import annotations

import re
from functools import partial

from tests.drivers.planes import COMMIT
from tests.fakes.world import Copy, World

_IF = re.compile(r"if \[ (.*?) \]; then (.*?); (?:else (.*?); )?fi")
COMMIT_THE_REST = "git add -A && git commit -qm Second"
_LEAVES_A_FILE = re.compile(r"echo \w+ > \S+")


def act(world: World, run_id: str) -> None:
    """Let the agent of a run, if it lives, do what its line of shell says, and exit."""
    if not world.processes[run_id].is_alive:
        return
    order = world.orders[run_id]
    *_, text = order.argv
    for name, value in order.facts.items():
        text = text.replace(f"$RUNYARD_{name}", value)
    text = re.sub(r"\$RUNYARD_\w+", "", text)
    copy = world.copies[run_id]
    for line in _IF.sub(partial(_chosen, copy), text).split("; "):
        if line == COMMIT:
            world.commit(run_id)
        elif line == COMMIT_THE_REST:
            world.commit(run_id)
            copy.uncommitted = 0
        elif _LEAVES_A_FILE.fullmatch(line):
            world.leave_file(run_id)
        elif line.startswith("exit "):
            world.end(run_id, int(line.removeprefix("exit ")))
            return
        else:
            assert not line, f"agents of the in-memory world do not know {line!r}"
    world.end(run_id)


def _chosen(copy: Copy, found: re.Match[str]) -> str:
    condition, then, otherwise = found.groups()
    if condition.startswith("-e "):
        # the one file that agents of this world leave
        holds = copy.uncommitted > 0
    elif condition.startswith("-n "):
        holds = bool(condition.removeprefix("-n ").strip('"'))
    else:
        one, other = condition.split(" = ")
        holds = one == other
    return then if holds else otherwise or ""
