"""An agent that only writes: `floods.py <bytes> [one-line]`, lines of 16 bytes or one long line."""

import sys

count = int(sys.argv[1])
if sys.argv[2:] == ["one-line"]:
    sys.stdout.write("x" * count + "\n")
else:
    for first in range(0, count // 16, 4096):
        last = min(first + 4096, count // 16)
        sys.stdout.write("".join(f"{number:015d}\n" for number in range(first, last)))
