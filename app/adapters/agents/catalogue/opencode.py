"""Preset for OpenCode."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import (
    PROVIDER_HOSTS,
    PROVIDER_KEYS,
    Lent,
    Preset,
    Renewal,
    SignIn,
    Stored,
)

OPENCODE = Preset(
    name="opencode",
    executable="opencode",
    version="1.18.33",
    arguments=("run", "--format", "json", "--auto"),
    model_flag="-m",
    stream="opencode",
    install="npm install -g opencode-ai",
    # older versions have another name for --auto
    floor="1.18.33",
    help_arguments=("run", "--help"),
    # some of its models need no account: a missing sign-in proves nothing
    sign_in=SignIn(
        mend="Run `opencode auth login` as the server's user, or set a provider's key.",
        variables=PROVIDER_KEYS,
        files=(Stored("auth.json", "~/.local/share/opencode", holds=("key", "access", "refresh")),),
        lent=(
            Lent(
                *("auth.json", "~/.local/share/opencode"),
                # one account per provider
                renewal=Renewal(
                    fields=("access", "refresh", "expires"), newest="expires", part="*"
                ),
            ),
        ),
    ),
    continue_arguments=("--session", "{session}"),
    # messages of the providers behind it
    limit_messages=(
        r"\b(?P<person>insufficient_quota)\b",
        r"\b(?:usage limit|quota exceeded|rate[ _]limit)\b",
    ),
    # it fetches its list of models at startup
    hosts=(*PROVIDER_HOSTS, "models.dev", "opencode.ai", "api.opencode.ai"),
    environment=PROVIDER_KEYS,
    fixed_environment=(
        ("OPENCODE_DISABLE_AUTOUPDATE", "true"),
        ("OPENCODE_AUTO_SHARE", "false"),
    ),
)
