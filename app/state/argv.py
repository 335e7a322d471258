"""A command as a person writes it: one argument a line, or one JSON list."""

from __future__ import annotations

import json
from collections.abc import Sequence


def argv_from(words: str) -> list[str]:
    """The arguments; empty lines mean nothing. Raises ValueError for a list that is none."""
    if not words.lstrip().startswith("["):
        return [line.strip() for line in words.splitlines() if line.strip()]
    try:
        argv = json.loads(words)
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not all(isinstance(one, str) for one in argv):
        raise ValueError('Write one argument per line, or a JSON list such as ["make", "test"].')
    return argv


def argv_words(argv: Sequence[str] | None) -> str:
    """The same to read: a JSON list only where lines would say something else."""
    given = list(argv or [])
    lines = "\n".join(given)
    try:
        is_plain = argv_from(lines) == given
    except ValueError:
        is_plain = False
    return lines if is_plain else json.dumps(given, ensure_ascii=False)
