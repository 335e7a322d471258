"""Keys in what agents say of their failures: evidence is shown, kept and sent to people."""

from __future__ import annotations

import re

# how the keys of models, forges and chats begin, and Runyard's own
_KEY = re.compile(
    r"(\b(?:sk-|gh[oprsu]_|github_pat_|glpat-|xox[abprs]-|AIza|AKIA|ry_)|\b[Bb]earer\s+)"
    r"[\w.~+/=-]{12,}",
    re.ASCII,
)


def hide_keys(text: str) -> str:
    """The text with only the beginning of each key in it."""
    return _KEY.sub(r"\1…", text)
