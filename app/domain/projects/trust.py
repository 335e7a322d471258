"""The configuration of agents in a repository, which a person has to have looked at."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.safe_text import reveal

# wherever they are in the tree: agents also read those of folders below
AGENT_FOLDERS = (".claude", ".codex", ".cursor", ".gemini")
AGENT_FILES = (".mcp.json", "AGENTS.md", "CLAUDE.md", "GEMINI.md", "RUNYARD.md")
# programs that git or its helpers start
HOOK_FOLDERS = (".githooks", ".husky")
HOOK_FILES = (".pre-commit-config.yaml", "lefthook.yml")
# as patterns of git's `glob` magic; a link or a submodule may stand in place of a folder
AGENT_CONFIG = tuple(
    pattern
    for name in (*AGENT_FOLDERS, *HOOK_FOLDERS, *AGENT_FILES, *HOOK_FILES)
    for pattern in (f"**/{name}", f"**/{name}/**")
)
MOST_NAMED = 3


def trust_words(base: str, files: Sequence[str]) -> str:
    """Return why the loop waits for a person, naming the first of the files that changed."""
    named = ", ".join(reveal(one) for one in files[:MOST_NAMED])
    more = len(files) - MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"{named}{rest} changed on {base}: look, and trust this state"
