"""Preset for GitHub Copilot's command line."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, SignIn, Stored

_TOKENS = ("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")

COPILOT = Preset(
    name="copilot",
    executable="copilot",
    version="1.0.102",
    arguments=(
        *("--output-format", "json", "-s"),
        *("--allow-all", "--no-ask-user"),
    ),
    model_flag="--model",
    stream="claude",
    install="npm install -g @github/copilot",
    # /login stores its token in the system's keyring, if there is one
    sign_in=SignIn(
        mend="Run `copilot` and type /login as the server's user, or set COPILOT_GITHUB_TOKEN.",
        variables=_TOKENS,
        files=(Stored("hosts.yml", "~/.config/gh", holds=("oauth_token",)),),
        lent=(
            Lent("hosts.yml", "~/.config/gh", only=("github.com",)),
            Lent(
                *("config.json", "~/.copilot"),
                only=("copilot_tokens", "logged_in_users", "last_logged_in_user"),
            ),
        ),
    ),
    continue_arguments=("--resume", "{session}"),
    limit_messages=(
        r"\b(?:hit|reached|exceeded) (?:a|the|your) (?:[a-z]+ ){0,2}rate limit\b",
        r"\bexceeded your (?:[a-z]+ ){0,2}premium requests?\b",
        r"\brate limit exceeded\b",
    ),
    # the second exchanges its token; the plan determines which of the others it uses
    hosts=(
        *("github.com", "api.github.com", "api.githubcopilot.com"),
        *("api.individual.githubcopilot.com", "api.business.githubcopilot.com"),
        *("api.enterprise.githubcopilot.com", "copilot-proxy.githubusercontent.com"),
    ),
    environment=_TOKENS,
)
