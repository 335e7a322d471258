"""Entry of what makes a sandbox and runs in it.

`python -I -S -X utf8 <this file> <program> <its words> …`, where the program is a module of this
folder: one that is imported is compiled once, a file that is executed at every start. Standard
library only.
"""

from __future__ import annotations

import os
import sys


def main(program: str, words: list[str]) -> None:
    """Run `enter`, `init` or `landlock`."""
    # behind the standard library: nothing of ours may shadow it
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)))
    if program == "enter":
        from app.adapters.supervisor.enter import enter

        enter(words)
    elif program == "landlock":
        from app.adapters.supervisor.landlock import hold_in

        hold_in(words)
    else:
        from app.adapters.supervisor.init import serve

        serve()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
