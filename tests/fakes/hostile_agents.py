"""Agents that attack the machinery around them, each a shell script."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostileAgent:
    """A shell script, and the line on its run's page that shows what it did.

    The script may contain the placeholders `{seconds}` and `{pid}`. An agent that outlives its
    attack then creates the file `done` in its working copy.
    """

    script: str
    seen: str

    def told(self, **words: object) -> str:
        """Return the script with its placeholders filled in."""
        return self.script.format(**words)


UNPROVED = "Couldn't confirm that its processes have exited."

# its supervisor writes that record once more when the agent has begun
HAS_BEGUN = """
started="$(dirname "$RUNYARD_PROMPT_FILE")/started"
until grep -q '"agent": .*pid' "$started"; do sleep 0.05; done
"""

# kills its supervisor and leaves an unmarked daemon, so nothing can prove that the run is gone
KILLS_ITS_SUPERVISOR = HostileAgent(
    HAS_BEGUN
    + """
env -i /usr/bin/setsid /bin/sh -c 'exec sleep {seconds}' & echo $! > daemon
kill -9 $PPID; sleep 600
""",
    seen=UNPROVED,
)

# the same, and also forges the records that its supervisor writes when no process is left
FORGES_ITS_END = HostileAgent(
    HAS_BEGUN
    + """
folder="$(dirname "$RUNYARD_PROMPT_FILE")"
env -i /usr/bin/setsid /bin/sh -c 'exec sleep {seconds}' & echo $! > daemon
at='"at": "2026-01-01T00:00:00.000Z"'
echo '{{"code": 0, "signal": null, "reason": "exited", '"$at"'}}' > "$folder/exit"
echo "{{$at}}" > "$folder/gone"
kill -9 $PPID; sleep 600
""",
    seen=UNPROVED,
)

# stops its supervisor, whose clock alone enforces the deadline
STOPS_ITS_SUPERVISOR = HostileAgent(
    HAS_BEGUN + "kill -STOP $PPID; : > done; while :; do sleep 1; done",
    seen="Its time was used up, nothing delivered.",
)

# records another process as its own: a server that trusts the record kills that process
NAMES_ANOTHER_PROCESS = HostileAgent(
    HAS_BEGUN
    + """
pid={pid}
ticks=$(sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20)
sed -E 's/"pid": [0-9]+, "started": [0-9]+, "boot/"pid": '$pid', "started": '$ticks', "boot/' \\
  "$started" > "$started.new" && mv "$started.new" "$started"; : > done; echo written; sleep 600
""",
    seen="a record of its processes was changed while the run was going, and is not believed",
)
