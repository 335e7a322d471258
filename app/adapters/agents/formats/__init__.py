"""The formats of agents' output, by the names that presets use; each is parsed in one place."""

from __future__ import annotations

from app.adapters.agents.formats.aider import AiderText
from app.adapters.agents.formats.claude import parse_claude
from app.adapters.agents.formats.codex import parse_codex
from app.adapters.agents.formats.events import Parse
from app.adapters.agents.formats.gemini import parse_gemini
from app.adapters.agents.formats.opencode import parse_opencode

# JSON events, one per line; `report.py` and `entries.py` read them
JSON_FORMATS: dict[str, Parse] = {
    "claude": parse_claude,
    "codex": parse_codex,
    "gemini": parse_gemini,
    "opencode": parse_opencode,
}
# text for people, of which only a report is made
TEXT_FORMATS = {"aider": AiderText}
FORMATS = frozenset({*JSON_FORMATS, *TEXT_FORMATS})
