"""Codex."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Preset

CODEX = Preset(
    name="codex",
    executable="codex",
    version="0.169.0",
    arguments=(
        *("exec", "--json", "--dangerously-bypass-approvals-and-sandbox"),
        *("-C", "{workdir}", "{prompt}"),
    ),
    model_flag="-m",
    stream="codex",
    continue_arguments=("resume", "{session}"),
    exit_codes=((2, "it does not know its arguments"),),
    limit_messages=(
        r"You['’]ve hit your usage limit",
        r"Quota exceeded\. Check your plan",
        r"exceeded retry limit, last status: 429",
        r"\busage_limit_reached\b",
    ),
    environment=("OPENAI_API_KEY", "CODEX_HOME"),
)
