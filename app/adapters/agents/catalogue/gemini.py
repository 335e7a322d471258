"""Gemini CLI."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Preset

GEMINI = Preset(
    name="gemini",
    executable="gemini",
    version="0.61.0",
    arguments=(
        *("-p", "{prompt}", "--output-format", "stream-json"),
        *("--approval-mode", "yolo", "--skip-trust"),
    ),
    model_flag="-m",
    stream="gemini",
    # it takes no name of a session, only its place in a list
    continue_arguments=("--resume", "latest"),
    exit_codes=(
        (41, "it is not signed in"),
        (42, "it refused its input"),
        (44, "its sandbox failed"),
        (52, "its configuration is wrong"),
        (53, "it has used up its turns"),
        (54, "one of its tools failed"),
        (55, "it does not trust the working copy"),
        (130, "it was cancelled"),
    ),
    limit_messages=(
        r"You have exhausted your (?:daily quota|capacity)",
        r"Usage limit reached for ",
    ),
    environment=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT"),
)
