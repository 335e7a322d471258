"""An agent that knows nothing but its prompt: it writes the lines that comments ask for.

They are ada's, or those of the person that its argument names.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# `file:line`, then quoted lines around it, the author, and the words that tell what to write
_PLACE = re.compile(r"(\S+):(\d+)")
_AUTHOR = "ada"
_WORDS = re.compile(r"> Write here: (.*)")


def asked_in(prompt: str, author: str = _AUTHOR) -> Iterator[tuple[str, int, str]]:
    """Return each line that a prompt tells an agent to write, after its file and number."""
    place, is_said = None, False
    for line in prompt.splitlines():
        if found := _PLACE.fullmatch(line):
            place, is_said = (found[1], int(found[2])), False
        elif line == f"{author}:":
            is_said = True
        elif place and is_said and (words := _WORDS.fullmatch(line)):
            yield (*place, words[1])


def main() -> None:
    """Write the lines, and commit them; without any, nothing is committed."""
    prompt = Path(os.environ["RUNYARD_PROMPT_FILE"]).read_text()
    for name, number, words in asked_in(prompt, *sys.argv[1:2]):
        lines = Path(name).read_text().split("\n")
        lines[number - 1] = words
        Path(name).write_text("\n".join(lines))
    subprocess.run(["git", "commit", "-qam", "Follow the review"], check=False)


if __name__ == "__main__":
    main()
