"""Presets as data: the facts about each agent's command line, and the version they are known for.

To add an agent, add a file here and an entry to `PRESETS`; its stream is one of `formats.FORMATS`.
"""

from __future__ import annotations

from app.adapters.agents.catalogue.aider import AIDER
from app.adapters.agents.catalogue.amp import AMP
from app.adapters.agents.catalogue.claude import CLAUDE
from app.adapters.agents.catalogue.codex import CODEX
from app.adapters.agents.catalogue.copilot import COPILOT
from app.adapters.agents.catalogue.cursor import CURSOR
from app.adapters.agents.catalogue.droid import DROID
from app.adapters.agents.catalogue.gemini import GEMINI
from app.adapters.agents.catalogue.opencode import OPENCODE
from app.adapters.agents.catalogue.preset import Preset
from app.adapters.agents.catalogue.qwen import QWEN

__all__ = ["PRESETS", "Preset"]

PRESETS = (CLAUDE, CODEX, GEMINI, OPENCODE, AIDER, AMP, CURSOR, COPILOT, QWEN, DROID)
