"""Agents that act against the machinery around them; each is a line of shell with its story."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostileAgent:
    """A line of shell, and the line of its run's page by which a person sees what it did.

    What the line of shell waits to be told stands in it as `{seconds}` or `{pid}`. One that lives
    on when it has done its worst then writes to the file `done` in its working copy.
    """

    script: str
    seen: str

    def told(self, **words: object) -> str:
        """The line of shell with its words filled in."""
        return self.script.format(**words)


UNPROVED = "Couldn't confirm that its processes have exited."

# kills its supervisor, and leaves a daemon that no mark names: nothing could show that it is gone
KILLS_ITS_SUPERVISOR = HostileAgent(
    """
env -i /usr/bin/setsid /bin/sh -c 'exec sleep {seconds}' & echo $! > daemon; sleep 0.5
kill -9 $PPID; sleep 600
""",
    seen=UNPROVED,
)

# the same, and writes the records that its supervisor writes when nothing is left
FORGES_ITS_END = HostileAgent(
    """
folder="$(dirname "$RUNYARD_PROMPT_FILE")"
env -i /usr/bin/setsid /bin/sh -c 'exec sleep {seconds}' & echo $! > daemon; sleep 0.5
at='"at": "2026-01-01T00:00:00.000Z"'
echo '{{"code": 0, "signal": null, "reason": "exited", '"$at"'}}' > "$folder/exit"
echo "{{$at}}" > "$folder/gone"
kill -9 $PPID; sleep 600
""",
    seen=UNPROVED,
)

# stops its supervisor, whose clock was the only one that ended it
STOPS_ITS_SUPERVISOR = HostileAgent(
    "sleep 1.5; kill -STOP $PPID; : > done; while :; do sleep 1; done",
    seen="Its time was used up, nothing delivered.",
)

# writes another process into the record of its own: whoever believes it ends that one
NAMES_ANOTHER_PROCESS = HostileAgent(
    """
started="$(dirname "$RUNYARD_PROMPT_FILE")/started"; pid={pid}
# its supervisor writes there once more when it has begun
until grep -q '"agent": .*pid' "$started"; do sleep 0.05; done
ticks=$(sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20)
sed -E 's/"pid": [0-9]+, "started": [0-9]+, "boot/"pid": '$pid', "started": '$ticks', "boot/' \\
  "$started" > "$started.new" && mv "$started.new" "$started"; : > done; echo written; sleep 600
""",
    seen="a record of its processes was changed while the run was going, and is not believed",
)
