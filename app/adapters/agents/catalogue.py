"""The presets as data: what is known of each command line, and of which version it is known.

A further agent is an entry here: its stream is one of `streams.STREAMS`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """One agent's command line.

    `version` is the one these facts were seen with. `model_flag` is added only where a model is
    chosen. `exit_codes` are those that mean more than a failure, in words; `limit_messages` are
    patterns of what it says when its account has no usage left.
    """

    name: str
    executable: str
    version: str
    arguments: tuple[str, ...]
    model_flag: str
    stream: str
    continue_arguments: tuple[str, ...] = ()
    exit_codes: tuple[tuple[int, str], ...] = ()
    limit_messages: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    fixed_environment: tuple[tuple[str, str], ...] = ()


_PROVIDER_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")

PRESETS = (
    Preset(
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
    ),
    Preset(
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
    ),
    Preset(
        name="gemini",
        executable="gemini",
        version="0.61.0",
        arguments=(
            *("-p", "{prompt}", "--output-format", "stream-json"),
            *("--approval-mode", "yolo", "--skip-trust"),
        ),
        model_flag="-m",
        stream="gemini",
        # it takes no name of a session, only its place in a list
        continue_arguments=("--resume", "latest"),
        exit_codes=(
            (41, "it is not signed in"),
            (42, "it refused its input"),
            (44, "its sandbox failed"),
            (52, "its configuration is wrong"),
            (53, "it has used up its turns"),
            (54, "one of its tools failed"),
            (55, "it does not trust the working copy"),
            (130, "it was cancelled"),
        ),
        limit_messages=(
            r"You have exhausted your (?:daily quota|capacity)",
            r"Usage limit reached for ",
        ),
        environment=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT"),
    ),
    Preset(
        name="opencode",
        executable="opencode",
        version="1.18.33",
        arguments=("run", "--format", "json", "--auto", "{prompt}"),
        model_flag="-m",
        stream="opencode",
        continue_arguments=("--session", "{session}"),
        # the words of whichever provider is behind it
        limit_messages=(r"\b(?:insufficient_quota|usage limit|quota exceeded|rate[ _]limit)\b",),
        environment=_PROVIDER_KEYS,
        fixed_environment=(
            ("OPENCODE_DISABLE_AUTOUPDATE", "true"),
            ("OPENCODE_AUTO_SHARE", "false"),
        ),
    ),
    Preset(
        name="aider",
        executable="aider",
        version="its documentation of 2026-11",
        arguments=(
            *("--message-file", "{prompt_file}", "--yes-always"),
            *("--no-stream", "--no-pretty", "--no-check-update"),
        ),
        model_flag="--model",
        stream="aider",
        limit_messages=(
            r"\blitellm\.(?:exceptions\.)?RateLimitError\b",
            r"\binsufficient_quota\b",
        ),
        environment=_PROVIDER_KEYS,
    ),
)
