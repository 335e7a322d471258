"""The agents of this machine: how each is started, read and resumed, by its preset."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from urllib.parse import urlsplit

from app.adapters.agents.catalogue.preset import Preset, built_in
from app.adapters.agents.formats import JSON_FORMATS
from app.adapters.agents.formats.entries import entries_of
from app.adapters.agents.formats.report import StreamReader
from app.adapters.agents.probes import (
    find_sign_in,
    is_older,
    is_wrapper,
    may_set,
    read_version,
    unknown_flags,
)
from app.domain.agents.final_output import Failure
from app.domain.agents.reports import Entry
from app.domain.sandbox.levels import SandboxLevel
from app.domain.sandbox.network_rules import HTTP_PORT, HTTPS_PORT, Target, read_host
from app.domain.secret_masks import Secret, secret_in
from app.domain.words import Cause
from app.services.ports import AgentFinding, Job, PromptTooLong, SignedIn, Unready, root_remedy

AT_ONCE = 4
SCRIPT = "script"
# Linux accepts 131,072 bytes in one argument
LONGEST_ARGUMENT = 100_000
TOO_LONG = (
    "The prompt is too long for an argument of the project's command (more than 100 KB). "
    "Use {prompt_file} instead of {prompt} in the command."
)
# agents name their sessions: a name must not be parsed as an option
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

# set in a sandbox: agents that refuse root accept it with this
_INSIDE = {"IS_SANDBOX": "1"}

# needed by any program to run as its user; includes nothing of Runyard's own
COMMON_ENVIRONMENT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"),
)


class AgentPresets:
    """The presets, and `script` for custom commands."""

    def __init__(
        self, environment: Mapping[str, str], presets: Sequence[Preset] | None = None
    ) -> None:
        self._environment = environment
        self._given = presets

    @cached_property
    def _presets(self) -> dict[str, Preset]:
        # read at first use: a server starts faster without them
        known = built_in() if self._given is None else self._given
        return {preset.name: preset for preset in known}

    def names(self) -> list[str]:
        """Return every preset's name, `script` first."""
        return [SCRIPT, *self._presets]

    def command(self, agent: str, job: Job, own_command: Sequence[str] | None) -> list[str]:
        """Return the argv, with placeholders replaced and no shell. Raises PromptTooLong."""
        if agent == SCRIPT:
            own = own_command or ()
            is_argument = any("{prompt}" in argument for argument in own)
            if is_argument and len(job.prompt.encode(errors="replace")) > LONGEST_ARGUMENT:
                raise PromptTooLong(TOO_LONG)
            return [_fill(argument, job) for argument in own]
        preset = self._presets[agent]
        model = (preset.model_flag, job.model) if job.model else ()
        first, *rest = _arguments(preset, job)
        # the model goes after a subcommand, else first: never between a flag and its value
        arguments = [first, *model, *rest] if not first.startswith("-") else [*model, first, *rest]
        return [preset.executable, *(_fill(argument, job) for argument in arguments)]

    def reads_stdin(self, agent: str) -> bool:
        """Return True if the agent reads its prompt from stdin."""
        preset = self._presets.get(agent)
        return preset is not None and "{prompt_file}" not in preset.arguments

    def unready(
        self,
        agent: str,
        own_command: Sequence[str] | None,
        level: SandboxLevel = SandboxLevel.NONE,
    ) -> Unready | None:
        """Return why the agent is known not to work here, else None; starts no program."""
        if agent == SCRIPT:
            sentence = self._why_no_script(own_command)
            return Unready(Cause.AGENT_MISSING, sentence) if sentence else None
        preset = self._presets.get(agent)
        if preset is None:
            # from a newer Runyard, or from a preset that was removed
            return Unready(Cause.AGENT_MISSING, f"No agent is called {agent!r}.")
        path, environment = self._find(preset.executable), self.environment(agent, level)
        if path is None:
            sentence = f"{_not_found(preset.executable)} To install it: {preset.install}."
            return Unready(Cause.AGENT_MISSING, sentence)
        if _wants_variable(preset, path, environment):
            sentence = f"{agent} refuses to work as root. {root_remedy(preset.root_variable)}"
            return Unready(Cause.LAUNCH_FAILED, sentence)
        if _look_for_sign_in(preset, path, environment)[0] is SignedIn.NO:
            sentence = f"{agent} is not signed in. {preset.sign_in.remedy}"
            return Unready(Cause.AUTH, sentence, preset.sign_in.repository_doubts)
        return None

    def environment(self, agent: str, level: SandboxLevel = SandboxLevel.NONE) -> dict[str, str]:
        """Return the allow-listed environment, with what this agent's sign-in needs.

        In a sandbox it says so, and keeps root's agents from nesting a sandbox of their own.
        """
        preset = self._presets.get(agent)
        names = COMMON_ENVIRONMENT + (preset.environment if preset else ())
        found = {name: self._environment[name] for name in names if name in self._environment}
        found |= dict(preset.fixed_environment if preset else ())
        if level is SandboxLevel.NONE:
            return found
        is_root = os.geteuid() == 0
        return found | _INSIDE | dict(preset.root_environment if preset and is_root else ())

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret that the environment of any agent may contain."""
        return self._secrets

    @cached_property
    def _secrets(self) -> tuple[Secret, ...]:
        # a server's environment stays as it is; every answer about a run asks for these
        known = {name for preset in self._presets.values() for name in preset.sign_in.variables}
        names = dict.fromkeys((*COMMON_ENVIRONMENT, *self._passed()))
        found = (
            secret_in(name, self._environment.get(name, ""), is_known=name in known)
            for name in names
        )
        return tuple(secret for secret in found if secret is not None)

    def _passed(self) -> Iterator[str]:
        for preset in self._presets.values():
            yield from preset.environment

    def hosts(self, agent: str) -> tuple[str, ...]:
        """Return the hosts that this agent cannot work without, as `host` or `host:port`."""
        preset = self._presets.get(agent)
        return preset.hosts if preset else ()

    def chosen_hosts(self, agent: str) -> list[str]:
        """Return the hosts that this agent's environment sets in place of its vendor's."""
        environment = self.environment(agent)
        urls = (environment[name] for name in environment if name.endswith("_BASE_URL"))
        return [host for host in map(_host_of, urls) if host]

    def account(self, agent: str) -> str:
        """Return an id of this agent's sign-in, which changes with its key, folder and home."""
        preset = self._presets.get(agent)
        names = ("HOME", *(preset.environment if preset else ()))
        told = "\0".join(f"{name}={self._environment.get(name, '')}" for name in names)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def can_continue(self, agent: str, session_id: str) -> bool:
        """Return True if the preset can resume sessions and `session_id` is a valid name of one."""
        preset = self._presets.get(agent)
        has_a_way = preset is not None and bool(preset.continue_arguments)
        return has_a_way and _SESSION.fullmatch(session_id) is not None

    def reader(self, agent: str) -> StreamReader | None:
        """Return a new reader of this agent's output, None if its format is unknown."""
        preset = self._presets.get(agent)
        return StreamReader(preset.stream, preset.limit_messages) if preset else None

    def entry_parser(self, agent: str) -> Callable[[bytes], list[Entry]] | None:
        """Return a function from an output line to entries, None if the agent writes no events."""
        preset = self._presets.get(agent)
        parse = JSON_FORMATS.get(preset.stream) if preset else None
        return partial(entries_of, parse=parse) if parse else None

    def exit_words(self, agent: str, code: int) -> str:
        """Return the meaning of this agent's exit code, empty if it has no special one."""
        preset = self._presets.get(agent)
        return dict(preset.exit_codes).get(code, "") if preset else ""

    def exit_failure(self, agent: str, code: int) -> Failure | None:
        """Return the failure that this agent's exit code stands for, None if none."""
        preset = self._presets.get(agent)
        return dict(preset.exit_failures).get(code) if preset else None

    def continue_command(self, agent: str, session_id: str) -> str:
        """Return the command line that resumes a session by hand, empty if there is none."""
        preset = self._presets.get(agent)
        if preset is None or not preset.continue_arguments:
            return ""
        words = [word.replace("{session}", session_id) for word in preset.continue_arguments]
        return shlex.join([preset.executable, *words])

    def findings(self) -> list[AgentFinding]:
        """Return every preset as found on this machine; takes seconds if many are installed."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="doctor") as threads:
            return list(threads.map(self._finding, self._presets.values()))

    def _finding(self, preset: Preset) -> AgentFinding:
        path = self._find(preset.executable)
        if path is None:
            return AgentFinding(preset.name, preset.install)
        environment = self.environment(preset.name)
        version = read_version(path, environment)
        signed_in, evidence = _look_for_sign_in(preset, path, environment)
        wants_variable = _wants_variable(preset, path, environment)
        return AgentFinding(
            preset.name,
            preset.install,
            path,
            version,
            floor=preset.floor,
            is_old=is_older(version, preset.floor),
            seen_with=preset.version,
            unknown_flags=unknown_flags(path, preset, environment),
            signed_in=signed_in,
            evidence=evidence,
            sign_in=preset.sign_in.remedy,
            root_variable=preset.root_variable if wants_variable else "",
        )

    def _why_no_script(self, own_command: Sequence[str] | None) -> str | None:
        if not own_command:
            return "This project has no agent command: set one, or choose another agent."
        program = own_command[0]
        if "{" in program or self._find(program):
            return None
        if os.path.isabs(program) and os.path.isfile(program):
            return f"The agent's command {program!r} cannot be executed: allow it by chmod +x."
        return _not_found(program)

    def _find(self, program: str) -> str | None:
        if os.path.isabs(program):
            return program if os.access(program, os.X_OK) and os.path.isfile(program) else None
        return shutil.which(program, path=self._environment.get("PATH"))


def _look_for_sign_in(
    preset: Preset, path: str, environment: Mapping[str, str]
) -> tuple[SignedIn, str]:
    signed_in, evidence = find_sign_in(preset.sign_in, environment)
    if signed_in is SignedIn.NO and is_wrapper(path):
        return SignedIn.UNKNOWN, f"{preset.executable} is a script, and may sign in on its own"
    return signed_in, evidence


def _wants_variable(preset: Preset, path: str, environment: Mapping[str, str]) -> bool:
    """Return True if we are root and the program is known to refuse root."""
    if os.geteuid() != 0 or not preset.root_variable or is_wrapper(path):
        return False
    is_set = environment.get(preset.root_variable) == "1"
    return not is_set and not may_set(preset.root_files, environment)


def _arguments(preset: Preset, job: Job) -> tuple[str, ...]:
    """Return the preset's arguments, with those that resume a session."""
    known = preset.arguments
    if job.session is None:
        return known
    # `-`, for the prompt on stdin, stays last: it must follow a subcommand that resumes
    at = known.index("-") if "-" in known else len(known)
    return (*known[:at], *preset.continue_arguments, *known[at:])


def _host_of(url: str) -> str:
    """Return `host:port` of a URL, empty if it is not valid."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": HTTPS_PORT, "http": HTTP_PORT}.get(parts.scheme, 0)
        return str(Target(read_host(parts.hostname or ""), port)) if port else ""
    except ValueError:
        return ""


def _not_found(program: str) -> str:
    return f"The agent's command {program!r} was not found on this machine."


def _fill(argument: str, job: Job) -> str:
    values = {
        "{prompt_file}": str(job.prompt_file),
        # a text that begins with a dash would be parsed as an option
        "{prompt}": f" {job.prompt}" if job.prompt.startswith("-") else job.prompt,
        "{workdir}": str(job.workdir),
        "{branch}": job.branch,
        "{issue}": "" if job.issue is None else str(job.issue),
        "{model}": job.model or "",
        "{session}": job.session or "",
    }
    found = [(argument.find(name), name) for name in values if name in argument]
    if not found:
        return argument
    at, name = min(found)
    return argument[:at] + values[name] + _fill(argument[at + len(name) :], job)
