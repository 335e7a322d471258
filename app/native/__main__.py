"""Entry: `python -I <this file>`, the order as one line of JSON on stdin.

`shown` is answered on stdout once the page is there. The window ends when stdin does.
"""

from __future__ import annotations

import json
import os
import sys

_PIECE = 4096


def main() -> None:
    """Read the order, open the window, end with it."""
    order = b""
    while not order.endswith(b"\n"):
        piece = os.read(0, _PIECE)
        if not piece:
            sys.exit("nobody waits for a window")
        order += piece
    # the answer is ours alone: what the web engine starts and says belongs into the log
    answers = os.dup(1)
    os.dup2(2, 1)
    # behind the standard library: nothing of ours may shadow it
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir)))
    from app.native.frame import Order, show

    show(Order(**json.loads(order), answers=answers, line=0))


if __name__ == "__main__":
    main()
