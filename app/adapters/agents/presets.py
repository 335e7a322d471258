"""The agent presets: for each command line, how it is run unattended (agents.md)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.services.ports import AgentFinding, Job

VERSION_SECONDS = 10
SCRIPT = "script"

# what any program needs to run as its user; nothing of Runyard's own is among it
COMMON_ENVIRONMENT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
)


@dataclass(frozen=True)
class Preset:
    """One agent's command line; `model_flag` is added only where a model is chosen."""

    name: str
    executable: str
    arguments: tuple[str, ...]
    model_flag: str
    environment: tuple[str, ...] = ()
    fixed_environment: tuple[tuple[str, str], ...] = ()


PRESETS = (
    Preset(
        "claude",
        "claude",
        (
            *("-p", "{prompt}", "--output-format", "stream-json", "--verbose"),
            "--dangerously-skip-permissions",
        ),
        "--model",
        ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR", "IS_SANDBOX"),
    ),
    Preset(
        "codex",
        "codex",
        (
            *("exec", "--json", "--dangerously-bypass-approvals-and-sandbox"),
            *("-C", "{workdir}", "{prompt}"),
        ),
        "-m",
        ("OPENAI_API_KEY", "CODEX_HOME"),
    ),
    Preset(
        "gemini",
        "gemini",
        (
            *("-p", "{prompt}", "--output-format", "stream-json"),
            *("--approval-mode", "yolo", "--skip-trust"),
        ),
        "-m",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT"),
    ),
    Preset(
        "opencode",
        "opencode",
        ("run", "--format", "json", "--auto", "{prompt}"),
        "-m",
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
        (("OPENCODE_DISABLE_AUTOUPDATE", "true"), ("OPENCODE_AUTO_SHARE", "false")),
    ),
    Preset(
        "aider",
        "aider",
        (
            *("--message-file", "{prompt_file}", "--yes-always"),
            *("--no-stream", "--no-pretty", "--no-check-update"),
        ),
        "--model",
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
    ),
)


class AgentPresets:
    """The presets, and `script` for any command of one's own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._presets = {preset.name: preset for preset in PRESETS}

    def names(self) -> list[str]:
        """Every preset's name, `script` first."""
        return [SCRIPT, *self._presets]

    def command(self, agent: str, job: Job, own_command: Sequence[str] | None) -> list[str]:
        """The argv: placeholders are replaced inside whole arguments, no shell reads them."""
        if agent == SCRIPT:
            return [_fill(argument, job) for argument in own_command or ()]
        preset = self._presets[agent]
        model = (preset.model_flag, job.model) if job.model else ()
        first, *rest = preset.arguments
        # the model goes behind a subcommand or the prompt's flag, never between flag and value
        arguments = [first, *model, *rest] if not first.startswith("-") else [*model, first, *rest]
        return [preset.executable, *(_fill(argument, job) for argument in arguments)]

    def missing(self, agent: str, own_command: Sequence[str] | None) -> str | None:
        """Why the agent cannot be started here, or None."""
        if agent == SCRIPT:
            if not own_command:
                return "This project has no agent command: set one, or choose another agent."
            program = own_command[0]
        else:
            program = self._presets[agent].executable
        if "{" in program or self._find(program):
            return None
        return f"The agent's command {program!r} was not found on this machine."

    def environment(self, agent: str) -> dict[str, str]:
        """The allow-listed environment, with what this agent's sign-in needs."""
        preset = self._presets.get(agent)
        names = COMMON_ENVIRONMENT + (preset.environment if preset else ())
        found = {name: self._environment[name] for name in names if name in self._environment}
        return found | dict(preset.fixed_environment if preset else ())

    def findings(self) -> list[AgentFinding]:
        """Every preset as found on this machine, with its version."""
        return [self._finding(preset) for preset in self._presets.values()]

    def _finding(self, preset: Preset) -> AgentFinding:
        path = self._find(preset.executable)
        if path is None:
            return AgentFinding(preset.name, installed=False)
        return AgentFinding(preset.name, True, path, self._version(path, preset.name))

    def _version(self, path: str, agent: str) -> str | None:
        try:
            answer = subprocess.run(
                [path, "--version"],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=VERSION_SECONDS,
                env=self.environment(agent),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        lines = answer.stdout.decode(errors="replace").strip().splitlines()
        return lines[0][:80] if lines else None

    def _find(self, program: str) -> str | None:
        if os.path.isabs(program):
            return program if os.access(program, os.X_OK) and os.path.isfile(program) else None
        return shutil.which(program, path=self._environment.get("PATH"))


def _fill(argument: str, job: Job) -> str:
    values = {
        "{prompt_file}": str(job.prompt_file),
        # a text that begins with a dash would be read as an option
        "{prompt}": f" {job.prompt}" if job.prompt.startswith("-") else job.prompt,
        "{workdir}": str(job.workdir),
        "{branch}": job.branch,
        "{issue}": "" if job.issue is None else str(job.issue),
        "{model}": job.model or "",
    }
    found = [(argument.find(name), name) for name in values if name in argument]
    if not found:
        return argument
    at, name = min(found)
    return argument[:at] + values[name] + _fill(argument[at + len(name) :], job)
