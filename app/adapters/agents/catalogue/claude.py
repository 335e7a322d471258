"""Claude Code."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Preset

CLAUDE = Preset(
    name="claude",
    executable="claude",
    version="2.1.197",
    arguments=(
        *("-p", "{prompt}", "--output-format", "stream-json", "--verbose"),
        "--dangerously-skip-permissions",
    ),
    model_flag="--model",
    stream="claude",
    continue_arguments=("--resume", "{session}"),
    limit_messages=(
        r"You['’]ve hit your (?:[a-z]+ ){0,2}limit\b",
        r"You['’]re out of extra usage",
        r"Claude AI usage limit reached\|(?P<epoch>[0-9]{10})\b",
        r"group['’]s usage limit is set to",
        r"Credit balance is too low",
    ),
    environment=(
        *("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"),
        # as root it refuses to work without this one
        "IS_SANDBOX",
    ),
)
