"""Entry point: `python -I -S -X utf8 <this file> <instance> <run folder>`, the order on stdin.

The order is one line of JSON. The answers are lines of JSON on stdout: first this process's
identity, then, after the caller's `go`, the agent's, or why it could not be started.
"""

from __future__ import annotations

import json
import os
import sys


def main(run_folder: str) -> None:
    """Read the order, detach from the caller, and run the agent."""
    with os.fdopen(0, "rb", closefd=False) as stdin:
        order = json.loads(stdin.readline())
    if os.fork():
        # the caller reaps this process at once; its child is adopted by init
        os._exit(0)
    # appended, so that nothing of ours shadows the standard library
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))
    from app.adapters.supervisor.supervision import supervise

    supervise(run_folder, order)


if __name__ == "__main__":
    main(sys.argv[-1])
