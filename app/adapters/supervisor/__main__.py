"""Entry: `python -I -S -X utf8 <this file> <instance> <run folder>`, the order as JSON on stdin.

One line of JSON is answered on stdout once the agent was executed or could not be.
"""

from __future__ import annotations

import json
import os
import sys


def main(run_folder: str) -> None:
    """Read the order, leave the caller's session and its care, run the agent."""
    with os.fdopen(0, "rb", closefd=False) as stdin:
        order = json.loads(stdin.readline())
    if os.fork():
        # the caller reaps this process at once; the other one belongs to init
        os._exit(0)
    # behind the standard library: nothing of ours may shadow it
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))
    from app.adapters.supervisor.supervision import supervise

    supervise(run_folder, order)


if __name__ == "__main__":
    main(sys.argv[-1])
