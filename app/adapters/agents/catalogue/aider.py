"""Preset for Aider."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import PROVIDER_HOSTS, PROVIDER_KEYS, Lent, Preset, SignIn

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
    install="python -m pip install aider-chat",
    # it also reads keys from files of the repository, and some of its models need none
    sign_in=SignIn(
        mend="Set the key of the model's provider.",
        variables=PROVIDER_KEYS,
        lent=(
            # the same file also names commands, which are not lent
            Lent(
                *(".aider.conf.yml", "~"),
                only=("api-key", "openai-api-key", "anthropic-api-key", "openai-api-base", "model"),
            ),
            Lent("oauth-keys.env", "~/.aider", only=("OPENROUTER_API_KEY",)),
        ),
    ),
    limit_messages=(
        r"\b(?P<person>insufficient_quota)\b",
        r"\blitellm\.(?:exceptions\.)?RateLimitError\b",
    ),
    hosts=PROVIDER_HOSTS,
    environment=PROVIDER_KEYS,
)
