"""OpenCode."""

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
    # older ones call --auto by another name
    floor="1.18.33",
    help_arguments=("run", "--help"),
    # some of its models want no account: what is not found proves nothing
    sign_in=SignIn(
        mend="Run `opencode auth login` as the server's user, or set a provider's key.",
        variables=PROVIDER_KEYS,
        files=(Stored("auth.json", "~/.local/share/opencode", holds=("key", "access", "refresh")),),
        lent=(
            Lent(
                *("auth.json", "~/.local/share/opencode"),
                # an account of each provider
                renewal=Renewal(
                    fields=("access", "refresh", "expires"), newest="expires", part="*"
                ),
            ),
        ),
    ),
    continue_arguments=("--session", "{session}"),
    # the words of whichever provider is behind it
    limit_messages=(
        r"\b(?P<person>insufficient_quota)\b",
        r"\b(?:usage limit|quota exceeded|rate[ _]limit)\b",
    ),
    # it reads its list of models before it begins
    hosts=(*PROVIDER_HOSTS, "models.dev", "opencode.ai", "api.opencode.ai"),
    environment=PROVIDER_KEYS,
    fixed_environment=(
        ("OPENCODE_DISABLE_AUTOUPDATE", "true"),
        ("OPENCODE_AUTO_SHARE", "false"),
    ),
)
