"""Masking of keys in agents' error messages, which are shown, stored and sent to people."""

from __future__ import annotations

import re

# prefixes of the keys of model providers, forges and chats, and of Runyard's own
_KEY = re.compile(
    r"(\b(?:sk-|gh[oprsu]_|github_pat_|glpat-|xox[abprs]-|AIza|AKIA|ry_)|\b[Bb]earer\s+)"
    r"[\w.~+/=-]{12,}",
    re.ASCII,
)


def hide_keys(text: str) -> str:
    """Return the text with each key cut down to its prefix."""
    return _KEY.sub(r"\1…", text)
