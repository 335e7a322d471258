"""Preset for Qwen Code."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, Renewal, SignIn, Stored

QWEN = Preset(
    name="qwen",
    executable="qwen",
    version="0.15.10",
    arguments=("-o", "stream-json", "-y"),
    model_flag="-m",
    stream="claude",
    install="npm install -g @qwen-code/qwen-code",
    sign_in=SignIn(
        mend="Run `qwen auth` as the server's user, or set OPENAI_API_KEY.",
        variables=("OPENAI_API_KEY",),
        files=(Stored("oauth_creds.json", "~/.qwen", holds=("token",)),),
        lent=(
            Lent(
                *("oauth_creds.json", "~/.qwen"),
                # not resource_url: the tokens would be sent there
                renewal=Renewal(
                    fields=("access_token", "refresh_token", "id_token", "expiry_date"),
                    newest="expiry_date",
                ),
            ),
            Lent(
                *("settings.json", "~/.qwen"),
                only=("security.auth.selectedType", "selectedAuthType"),
            ),
        ),
    ),
    continue_arguments=("-r", "{session}"),
    limit_messages=(
        r"\b(?P<person>insufficient_quota)\b",
        r"\bquota exceeded\b",
        r"\b(?:error|status(?: code)?)\W{1,3}429\b",
    ),
    # for keys, and for accounts
    hosts=("dashscope.aliyuncs.com", "api.openai.com", "chat.qwen.ai", "portal.qwen.ai"),
    root_environment=(("QWEN_SANDBOX", "false"), ("GEMINI_SANDBOX", "false")),
    environment=("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"),
)
