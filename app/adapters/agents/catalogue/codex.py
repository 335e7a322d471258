"""Preset for Codex."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, Renewal, SignIn, Stored

CODEX = Preset(
    name="codex",
    executable="codex",
    version="0.169.0",
    arguments=(
        *("exec", "--json", "--dangerously-bypass-approvals-and-sandbox"),
        *("-C", "{workdir}", "-"),
    ),
    model_flag="-m",
    stream="codex",
    install="npm install -g @openai/codex",
    # the oldest version that others are known to run with these arguments
    floor="0.124.0",
    help_arguments=("exec", "--help"),
    sign_in=SignIn(
        mend="Run `codex login` as the server's user, or set CODEX_API_KEY.",
        variables=("CODEX_API_KEY", "CODEX_ACCESS_TOKEN"),
        files=(
            Stored(*("auth.json", "~/.codex", "CODEX_HOME"), ("access_token", "OPENAI_API_KEY")),
        ),
        # a custom provider, or credentials kept in a keyring
        doubts=(
            Stored(
                *("config.toml", "~/.codex", "CODEX_HOME"),
                ("model_provider", "credentials_store", "oss_provider", "profile"),
            ),
        ),
        # `codex login status` ignores it; not verified for `codex exec`
        doubtful_variables=("OPENAI_API_KEY",),
        repository_doubts=(".codex/config.toml",),
        is_whole=True,
        lent=(
            Lent(
                *("auth.json", "~/.codex", "CODEX_HOME"),
                # each renewal invalidates the token before it
                renewal=Renewal(
                    fields=(
                        *("tokens.id_token", "tokens.access_token", "tokens.refresh_token"),
                        "last_refresh",
                    ),
                    newest="last_refresh",
                    unsteady=("auth_mode",),
                    is_end=False,
                ),
            ),
            # its providers; the commands that it names are not lent
            Lent(
                *("config.toml", "~/.codex", "CODEX_HOME"),
                only=(
                    *("model", "model_provider", "model_providers", "profile", "profiles"),
                    *("oss_provider", "cli_auth_credentials_store"),
                ),
            ),
        ),
    ),
    continue_arguments=("resume", "{session}"),
    exit_codes=((2, "it does not know its arguments"),),
    limit_messages=(
        # needs a person, unless a time is given too
        r"You['’]ve hit your usage limit(?=.*(?P<person>send a request to your admin))"
        r"(?=(?P<until>.*try again)?)",
        r"You['’]ve hit your usage limit",
        r"(?P<person>Quota exceeded)\. Check your plan",
        r"exceeded retry limit, last status: 429",
        r"\busage_limit_reached\b",
    ),
    # the first is used with a key, the second with a plan; the third renews a sign-in
    hosts=("api.openai.com", "chatgpt.com", "auth.openai.com"),
    environment=(
        *("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_HOME"),
        *("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    ),
)
