"""What is known of one agent's command line, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """One agent's command line.

    `version` is the one these facts were seen with. `model_flag` is added only where a model is
    chosen. `exit_codes` are those that mean more than a failure, in words; `limit_messages` are
    patterns of what it says when its account has no usage left.
    """

    name: str
    executable: str
    version: str
    arguments: tuple[str, ...]
    model_flag: str
    stream: str
    continue_arguments: tuple[str, ...] = ()
    exit_codes: tuple[tuple[int, str], ...] = ()
    limit_messages: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    fixed_environment: tuple[tuple[str, str], ...] = ()


PROVIDER_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
