"""Preset for Claude Code."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, Renewal, SignIn, Stored

CLAUDE = Preset(
    name="claude",
    executable="claude",
    version="2.1.197",
    arguments=(
        *("-p", "--output-format", "stream-json", "--verbose"),
        "--dangerously-skip-permissions",
    ),
    model_flag="--model",
    stream="claude",
    install="npm install -g @anthropic-ai/claude-code",
    # since about this version it reports its usage limit as an event
    floor="2.1.45",
    sign_in=SignIn(
        mend="Run `claude` and type /login as the server's user, or set ANTHROPIC_API_KEY.",
        variables=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        files=(
            Stored(".credentials.json", "~/.claude", "CLAUDE_CONFIG_DIR", ("accessToken",)),
            Stored(".claude.json", "~", "CLAUDE_CONFIG_DIR", ("primaryApiKey",)),
        ),
        # a user's program that prints the key, or another provider's account
        doubts=(
            Stored("settings.json", "~/.claude", "CLAUDE_CONFIG_DIR", ("apiKeyHelper", '"env"')),
            Stored("managed-settings.json", "/etc/claude-code"),
        ),
        # observed: a program named in a project's own settings supplies the key
        repository_doubts=(".claude/settings.json",),
        is_whole=True,
        lent=(
            Lent(
                *(".credentials.json", "~/.claude", "CLAUDE_CONFIG_DIR"),
                only=("claudeAiOauth", "organizationUuid"),
                renewal=Renewal(
                    fields=("accessToken", "refreshToken", "expiresAt"),
                    newest="expiresAt",
                    part="claudeAiOauth",
                    # facts about the account's plan that a renewal refreshes
                    unsteady=(
                        *("scopes", "subscriptionType", "rateLimitTier"),
                        *("refreshTokenExpiresAt", "clientId"),
                    ),
                ),
            ),
            # the rest is the user's history in each folder
            Lent(
                *(".claude.json", "~", "CLAUDE_CONFIG_DIR"),
                only=(
                    *("primaryApiKey", "oauthAccount", "customApiKeyResponses"),
                    *("hasCompletedOnboarding", "userID"),
                ),
            ),
            Lent("settings.json", "~/.claude", "CLAUDE_CONFIG_DIR", only=("apiKeyHelper", "env")),
        ),
    ),
    # observed: without it, root gets exit code 1 and an error on stderr; the user's settings can
    # set it, a project's cannot
    root_variable="IS_SANDBOX",
    root_files=(
        Stored("settings.json", "~/.claude", "CLAUDE_CONFIG_DIR", ("IS_SANDBOX",)),
        Stored("managed-settings.json", "/etc/claude-code", holds=("IS_SANDBOX",)),
    ),
    continue_arguments=("--resume", "{session}"),
    limit_messages=(
        r"You['’]ve hit your (?P<person>monthly spend) limit\b",
        r"You['’]ve hit your (?:(?P<family>[a-z]+) )?(?:[a-z]+ )?limit\b",
        r"You['’]re out of extra usage",
        r"Claude AI usage limit reached\|(?P<epoch>[0-9]{10})\b",
        r"group['’]s usage limit is set to (?P<person>\S+)",
        r"(?P<person>Credit balance is too low)",
    ),
    # the last two renew its token once the sign-in is a few hours old
    hosts=("api.anthropic.com", "claude.ai", "platform.claude.com", "console.anthropic.com"),
    environment=(
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"),
        *("CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR", "IS_SANDBOX"),
    ),
)
