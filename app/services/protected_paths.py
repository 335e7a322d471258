"""Protected paths: patterns as in a .gitignore, and which changed files they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pathspec import GitIgnoreSpec

from app.domain.projects.autoland import MAX_PATTERN, Autoland
from app.domain.review.autoland import ChangeSize
from app.domain.safe_text import reveal
from app.services.ports import ChangedFile

# in the name of a file, the mark of bytes that are not UTF-8
UNREADABLE = "\N{REPLACEMENT CHARACTER}"


def patterns_problem(patterns: Iterable[str]) -> str | None:
    """Return why these patterns cannot protect paths, None if they can."""
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN:
            return f"A pattern has at most {MAX_PATTERN} characters."
        if "\0" in pattern or "\n" in pattern or "\r" in pattern:
            return "A pattern is one line of text."
        if not pattern.strip() or pattern.startswith("#"):
            return f"This protects nothing: {reveal(pattern) or 'an empty line'}"
        if pattern.startswith("./") or ".." in pattern.split("/"):
            return f"Paths begin at the top of the repository, without dots: {reveal(pattern)}"
        try:
            GitIgnoreSpec.from_lines([pattern])
        except (ValueError, re.error):
            return f"This is not a pattern of a .gitignore: {reveal(pattern)}"
    return None


def autoland_problems(settings: Mapping[str, Any]) -> dict[str, str | None]:
    """Return a sentence if the given rules of autoland are invalid, None if they are fine."""
    given: Mapping[str, Any] = settings.get("autoland") or {}
    return {"autoland.protected_paths": patterns_problem(given.get("protected_paths", ()))}


def size_of(rules: Autoland, files: Sequence[ChangedFile]) -> ChangeSize:
    """Return the size of a change, and the first of its paths that the rules protect."""
    spec = GitIgnoreSpec.from_lines(rules.protected_paths)
    paths = [path for one in files for path in (one.previous, one.path) if path is not None]
    counts = [
        None if one.additions is None or one.deletions is None else one.additions + one.deletions
        for one in files
    ]
    known = [count for count in counts if count is not None]
    return ChangeSize(
        files=len(files),
        lines=sum(known) if len(known) == len(counts) else None,
        protected=next((path for path in paths if _is_protected(spec, path)), None),
        unreadable=any(UNREADABLE in path for path in paths),
    )


def _is_protected(spec: GitIgnoreSpec, path: str) -> bool:
    # a link or a submodule in place of a protected folder is no folder to a pattern with a slash
    return spec.match_file(path) or spec.match_file(f"{path}/")
