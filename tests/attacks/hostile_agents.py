"""Agents that act against the machinery around them; each is a line of shell with its story."""

from __future__ import annotations

# kills its supervisor, and leaves a daemon that no mark names: nothing could show that it is gone
KILLS_ITS_SUPERVISOR = """
env -i /usr/bin/setsid /bin/sh -c 'exec sleep {seconds}' & echo $! > daemon; sleep 0.5
kill -9 $PPID; sleep 600
"""

# the same, and writes the records that its supervisor writes when nothing is left
FORGES_ITS_END = """
folder="$(dirname "$RUNYARD_PROMPT_FILE")"
env -i /usr/bin/setsid /bin/sh -c 'exec sleep {seconds}' & echo $! > daemon; sleep 0.5
at='"at": "2026-01-01T00:00:00.000Z"'
echo '{{"code": 0, "signal": null, "reason": "exited", '"$at"'}}' > "$folder/exit"
echo "{{$at}}" > "$folder/gone"; touch forged
kill -9 $PPID; sleep 600
"""

# stops its supervisor, whose clock was the only one that ended it
STOPS_ITS_SUPERVISOR = "sleep 1.5; kill -STOP $PPID; touch stopped; while :; do sleep 1; done"

# writes another process into the record of its own: whoever believes it ends that one
NAMES_ANOTHER_PROCESS = """
started="$(dirname "$RUNYARD_PROMPT_FILE")/started"
ticks=$(sed 's/.*) //' /proc/{pid}/stat | cut -d' ' -f20)
sed -E 's/"pid": [0-9]+, "started": [0-9]+, "boot/"pid": {pid}, "started": '"$ticks"', "boot/' \
  "$started" > "$started.new" && mv "$started.new" "$started"; echo written; sleep 600
"""
