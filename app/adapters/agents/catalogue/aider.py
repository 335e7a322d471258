"""Aider."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import PROVIDER_KEYS, Preset

AIDER = Preset(
    name="aider",
    executable="aider",
    version="its documentation of 2026-11",
    arguments=(
        *("--message-file", "{prompt_file}", "--yes-always"),
        *("--no-stream", "--no-pretty", "--no-check-update"),
    ),
    model_flag="--model",
    stream="aider",
    limit_messages=(
        r"\blitellm\.(?:exceptions\.)?RateLimitError\b",
        r"\binsufficient_quota\b",
    ),
    environment=PROVIDER_KEYS,
)
