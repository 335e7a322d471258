"""OpenCode."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import PROVIDER_KEYS, Preset

OPENCODE = Preset(
    name="opencode",
    executable="opencode",
    version="1.18.33",
    arguments=("run", "--format", "json", "--auto", "{prompt}"),
    model_flag="-m",
    stream="opencode",
    continue_arguments=("--session", "{session}"),
    # the words of whichever provider is behind it
    limit_messages=(r"\b(?:insufficient_quota|usage limit|quota exceeded|rate[ _]limit)\b",),
    environment=PROVIDER_KEYS,
    fixed_environment=(
        ("OPENCODE_DISABLE_AUTOUPDATE", "true"),
        ("OPENCODE_AUTO_SHARE", "false"),
    ),
)
