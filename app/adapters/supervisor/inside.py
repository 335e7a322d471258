"""Entry point of the programs that create a sandbox and run in it.

`python -I -S -X utf8 <this file> <program> <arguments> …`, where the program is a module of this
folder: an imported module is compiled once, an executed file at every start. Standard library
only.
"""

from __future__ import annotations

import os
import sys


def main(program: str, words: list[str]) -> None:
    """Run `enter`, `landlock` or, by default, `init`."""
    # appended, so that nothing of ours shadows the standard library
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
