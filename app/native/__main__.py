"""Entry point of the window's process: `python -I <this file>`, one line of JSON on stdin.

Prints `shown` on stdout once the first page has loaded. The window closes when stdin does.
"""

from __future__ import annotations

import json
import os
import sys

_PIECE = 4096


def main() -> None:
    """Read the order from stdin and show the window until it closes."""
    order = b""
    while not order.endswith(b"\n"):
        piece = os.read(0, _PIECE)
        if not piece:
            sys.exit("nobody waits for a window")
        order += piece
    # keep stdout for the answer: output of the web engine and its children goes to the log
    answers = os.dup(1)
    os.dup2(2, 1)
    # appended last: our modules must not shadow the standard library
    sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir)))
    from app.native.frame import Order, show

    show(Order(**json.loads(order), answers=answers, line=0))


if __name__ == "__main__":
    main()
