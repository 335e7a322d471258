"""Hostile agents in a sandbox: no process survives, deadlines hold, and none gets out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import CANARY, PLAIN, ROOT, WAYS, Trial, in_soak, trial_of
from tests.drivers.web.run_pages import page_after
from tests.fakes.agents.runs import carrying

# as many as wait for a deadline: the others use the processor while those wait
AT_ONCE = 4
EVERY = [(user, *way) for user in (ROOT, PLAIN) for way in WAYS if way[0]]
# each user, each means and each level
CHOSEN = {
    (ROOT, Means.NAMESPACES, SandboxLevel.CONTAINED),
    (PLAIN, Means.BUBBLEWRAP, SandboxLevel.SANDBOXED),
}


@dataclass(frozen=True)
class Hostile:
    """An attack, how its run must end, and the line on its page that says so.

    THROUGH in its log means that it got out.
    """

    script: str
    code: int | None = None
    signal: int | None = None
    reason: str = "exited"
    says: str = ""
    seen: str = "Agent exited 0, nothing delivered."
    asked: dict[str, Any] = field(default_factory=dict)


# long enough for the shell to start on a busy machine, and to write its last output
SHORT = {"budget": 3, "grace": 5}
OVERDUE = "Its time was used up, nothing delivered."
AGENTS = {
    "kills its supervisor and leaves daemons with an empty environment": Hostile(
        'for n in 1 2 3; do env -i setsid sh -c "sleep 300; : $MARK" & done; '
        "kill -9 $PPID; kill -9 1; kill -9 -1; exit 0",
        # its last signal reaches every process inside except the sender
        code=0,
    ),
    "leaves two hundred daemons": Hostile(
        'for n in $(seq 200); do setsid sh -c "sleep 300; : $MARK" & done; exit 3',
        code=3,
        seen="Agent exited 3.",
    ),
    "stops its supervisor and works on": Hostile(
        "kill -STOP $PPID 1; while :; do sleep 0.1; done",
        signal=15,
        reason="deadline",
        seen=OVERDUE,
        asked=SHORT,
    ),
    "ignores TERM": Hostile(
        'trap "" TERM; while :; do sleep 0.1; done',
        signal=9,
        reason="deadline",
        seen=OVERDUE,
        asked=SHORT | {"grace": 1},
    ),
    "uses its grace for a last word": Hostile(
        'trap "echo bye; exit 4" TERM; while :; do sleep 0.1; done',
        code=4,
        reason="deadline",
        says="bye",
        seen=OVERDUE,
        asked=SHORT,
    ),
    "rewrites the records of its run": Hostile(
        'cd "$(dirname "$RUNYARD_PROMPT_FILE")" && for name in started exit gone log; do '
        "echo forged > $name; done; "
        "echo other > prompt.md && echo THROUGH; exit 0",
        code=0,
    ),
    "changes the mirror's settings and objects": Hostile(
        # where the data folder is replaced by a private one, this writes nothing outside
        'echo x >> "$DATA/mirror/config"; '
        'touch "$DATA/mirror/objects/planted" && echo THROUGH; exit 0',
        code=0,
    ),
    "reads the environment of the server and its supervisor": Hostile(
        f"cat /proc/*/environ 2>/dev/null | grep -aq {CANARY} && echo THROUGH; exit 0", code=0
    ),
    "traces process 1 and reads its memory and files": Hostile(
        "cat /proc/1/mem /proc/1/maps /proc/1/environ && echo THROUGH; "
        "ls -l /proc/1/fd/ /proc/1/cwd/ && echo THROUGH; exit 0",
        code=0,
    ),
    "takes the hiding mounts away, in user namespaces too": Hostile(
        'umount "$DATA" && echo THROUGH; umount -l "$DATA" && echo THROUGH; '
        'unshare --user --map-root-user --mount sh -c "umount $DATA; umount -l $DATA; '
        'cat $DATA/token" && echo THROUGH; exit 0',
        code=0,
    ),
    "mounts the disk or another proc": Hostile(
        "mkdir -p m; mount -t proc proc m && grep -qs "
        f"{CANARY} m/*/environ && echo THROUGH; "
        "unshare --user --map-root-user --mount --pid --fork "
        f'sh -c "mount -t proc proc m && grep -qsa {CANARY} m/*/environ" && echo THROUGH; exit 0',
        code=0,
    ),
}


@pytest.mark.parametrize(
    ("user", "means", "level"),
    [one if one in CHOSEN else in_soak(*one) for one in EVERY],
)
def test_no_hostile_agent_gets_through_or_outlives_its_run(
    user: str, means: Means, level: SandboxLevel
) -> None:
    with trial_of(user) as trial:
        assert not wrongs_of(trial, AGENTS, level, means)


def wrongs_of(
    trial: Trial, agents: Mapping[str, Hostile], level: SandboxLevel, means: Means
) -> dict[str, str]:
    """Return the first thing wrong with each agent's run, if anything is; several run at once."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = {
            what: threads.submit(try_agent, trial, agent, f"run_{number}", level, means)
            for number, (what, agent) in enumerate(agents.items())
        }
        return {what: one.result() for what, one in found.items() if one.result()}


def try_agent(trial: Trial, agent: Hostile, run: str, level: SandboxLevel, means: Means) -> str:
    """Return a description of the first thing wrong with this agent's run, or ""."""
    mark = f"mark-of-{os.getpid()}-{run}"
    asked = {"run": run, "copy": run, "env": {"MARK": mark}, **agent.asked}
    tried = trial.run(agent.script, level, means, **asked)
    ended = (tried.code, tried.signal, tried.reason)
    if ended != (agent.code, agent.signal, agent.reason):
        return f"it ended otherwise: {tried}"
    if not tried.is_gone or carrying(mark):
        return f"something of it is left: {carrying(mark)}"
    if "THROUGH" in tried.log or agent.says not in tried.log:
        return tried.log
    if page_after(tried) != agent.seen:
        return f"its page says otherwise: {page_after(tried)}"
    if (trial.data / "mirror" / "config").exists():
        return "it has changed the mirror"
    records = trial.data / "records" / run
    forged = [file.name for file in records.iterdir() if file.read_bytes() == b"forged\n"]
    return f"it has forged {forged}" if forged else ""
