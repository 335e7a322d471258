"""Commands as text that people write: one argument per line, or a JSON list."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from app.domain.json.values import JsonValue

# what a shell reads as it stands between double quotes
_PLAIN_QUOTED = re.compile(r"[^\"$`\\!]+")


def read_argv(words: str) -> list[str]:
    """Parse arguments, one per line or a JSON list. Raises ValueError with a sentence."""
    if not words.lstrip().startswith("["):
        return [line.strip() for line in words.splitlines() if line.strip()]
    if (argv := read_json_argv(words)) is None:
        raise ValueError('Write one argument per line, or a JSON list such as ["make", "test"].')
    return argv


def read_json_argv(words: str) -> list[str] | None:
    """Parse a JSON list of texts; None for anything else."""
    try:
        given: JsonValue = json.loads(words)
    except ValueError:
        return None
    if not isinstance(given, list):
        return None
    argv = [one for one in given if isinstance(one, str)]
    return argv if len(argv) == len(given) else None


def argv_words(argv: Sequence[str] | None) -> str:
    """Format arguments one per line, or as a JSON list if lines would not parse back the same."""
    given = list(argv or [])
    lines = "\n".join(given)
    try:
        is_plain = read_argv(lines) == given
    except ValueError:
        is_plain = False
    return lines if is_plain else json.dumps(given, ensure_ascii=False)


def shell_words(argv: Sequence[str]) -> str:
    """Return arguments as a person would type them in a shell, quoted as little as can be."""
    return " ".join(map(_quoted, argv))


def _quoted(word: str) -> str:
    return f'"{word}"' if "'" in word and _PLAIN_QUOTED.fullmatch(word) else shlex.quote(word)
