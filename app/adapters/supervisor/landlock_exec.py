"""Entry of landlock: `python -I -S -X utf8 <this file> <plan as JSON> <command> …`."""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Hold the command in by what the plan names."""
    # behind the standard library: nothing of ours may shadow it
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))
    from app.adapters.supervisor.landlock import hold_in

    hold_in(json.loads(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    main()
