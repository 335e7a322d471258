"""An agent that knows nothing but its prompt: it resolves the conflicts that this names."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

_FILE = re.compile(r"- (.+)")
_MARK = re.compile(r"(<<<<<<< |=======$|>>>>>>> )")
# the commands that it knows, if the prompt names them
_ADD, _COMMIT = "`git add`", "`git commit --no-edit`"


def named_in(prompt: str) -> Iterator[str]:
    """Return the files that a prompt names as being in conflict."""
    is_list = False
    for line in prompt.splitlines():
        if line.endswith("conflicts in these files:"):
            is_list = True
        elif is_list and (found := _FILE.fullmatch(line)):
            yield found[1]
        elif is_list and line:
            return


def without_marks(text: str) -> str:
    """Return a file with the lines of both sides."""
    return "".join(line for line in text.splitlines(True) if not _MARK.match(line.rstrip("\n")))


def main() -> None:
    """Keep both sides of each conflict, and do to git what the prompt says."""
    prompt = Path(os.environ["RUNYARD_PROMPT_FILE"]).read_text()
    files = list(named_in(prompt))
    for name in files:
        Path(name).write_text(without_marks(Path(name).read_text()))
    if _ADD in prompt:
        subprocess.run(["git", "add", "--", *files], check=True)
    if _COMMIT in prompt:
        subprocess.run(["git", "commit", "-q", "--no-edit"], check=True)


if __name__ == "__main__":
    main()
