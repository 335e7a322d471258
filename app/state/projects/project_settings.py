"""All settings of a project's page: labels, hints, formatting and parsing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.api.schemas import ProjectOut
from app.domain.sandbox.settings import LIMIT_BOUNDS
from app.domain.text.argv import argv_words, read_argv
from app.domain.text.durations import clock_words, read_clock
from app.domain.words import FRAMEWORKS
from app.state.projects.sandbox_settings import HIDDEN, LEVELS, NETWORKS, SERVICES

EMPTY = {
    "agent_command": "the agent's own",
    "prompt": "the default one",
    "stall_seconds": "never",
    **dict.fromkeys(LIMIT_BOUNDS, "no limit"),
}
AFTER_LIMIT = {"yes": "The run is resumed by itself", "no": "A person resumes the run"}
HOOKS = {"no": "Not run", "yes": "Run as they are now"}


@dataclass(frozen=True)
class Setting:
    """One setting: its texts, how its value is written to text and read back.

    `read` raises ValueError with a sentence; None clears the setting. `choices` maps the values of
    a pick list to labels; with `is_many` several can be chosen, one per line.
    """

    name: str
    label: str
    hint: str
    write: Callable[[ProjectOut], str]
    read: Callable[[str], Any]
    choices: Mapping[str, str] = field(default_factory=dict[str, str])
    is_many: bool = False

    def in_words(self, written: str) -> str:
        """Return a written value with each choice replaced by its label."""
        return "\n".join(self.choices.get(word, word) for word in written.split("\n"))


def _line(name: str, label: str, hint: str) -> Setting:
    return Setting(name, label, hint, lambda p: getattr(p, name), lambda t: t.strip() or None)


def _text(name: str, label: str, hint: str) -> Setting:
    return Setting(
        name, label, hint, lambda p: getattr(p, name) or "", lambda t: t if t.strip() else None
    )


def _argv(name: str, label: str, hint: str) -> Setting:
    return Setting(
        name, label, hint, lambda p: argv_words(getattr(p, name)), lambda t: read_argv(t) or None
    )


def _time(name: str, label: str, hint: str) -> Setting:
    def write(project: ProjectOut) -> str:
        seconds = getattr(project, name)
        return "" if seconds is None else clock_words(seconds)

    return Setting(name, label, hint, write, lambda t: read_clock(t) if t.strip() else None)


def _number(words: str) -> int | None:
    if words.strip() and not (words.strip().isascii() and words.strip().isdigit()):
        raise ValueError("Give a whole number.")
    return int(words) if words.strip() else None


def _list(name: str, label: str, hint: str, choices: Mapping[str, str] | None = None) -> Setting:
    def write(project: ProjectOut) -> str:
        return "\n".join(map(str, getattr(project, name)))

    return Setting(name, label, hint, write, _lines, choices or {}, is_many=bool(choices))


def _limit(name: str, label: str) -> Setting:
    def write(project: ProjectOut) -> str:
        most = getattr(project.limits, name)
        return "" if most is None else str(most)

    return Setting(name, label, "Empty: no limit.", write, _number)


def _own_frameworks(project: ProjectOut) -> str:
    return "\n".join(name for name in project.frameworks if name not in FRAMEWORKS)


def _lines(words: str) -> list[str]:
    return [line.strip() for line in words.splitlines() if line.strip()]


SETTINGS = {
    one.name: one
    for one in (
        _line("name", "Name", "Its name here; its address stays the same."),
        _line("base_branch", "Base branch", "Runs start from it, and changes are merged into it."),
        _line(
            "agent",
            "Agent",
            "A known command line (claude, codex, gemini, opencode, aider, …) or script for a "
            "command of your own.",
        ),
        _argv(
            "agent_command",
            "Command of the script agent",
            "One argument per line, no shell. {prompt}, {prompt_file}, {workdir}, {branch}, "
            "{issue} and {model} are filled in.",
        ),
        _argv(
            "setup_command",
            "Setup command",
            "Runs in each working copy before the agent. One argument per line.",
        ),
        _text(
            "prompt",
            "Prompt",
            "The agent's instructions if a run has no task. Empty: the default ones.",
        ),
        _time("budget_seconds", "Time for a run", "Hours:minutes:seconds, or whole minutes."),
        _time(
            "stall_seconds",
            "Ended when silent for",
            "Hours:minutes:seconds, or whole minutes. Empty: never.",
        ),
        Setting(
            "max_concurrency",
            "Runs at once",
            "How many runs of this repository may be open, 1 to 100.",
            lambda p: str(p.max_concurrency),
            _number,
        ),
        Setting(
            "resume_after_limit",
            "After a usage limit",
            "Once the agent's account works again.",
            lambda p: "yes" if p.resume_after_limit else "no",
            lambda t: t == "yes",
            AFTER_LIMIT,
        ),
        Setting(
            "owner_hooks",
            "Hooks of the repository",
            "Whether the folder's own hooks and filters run at each push and merge into it. Once "
            "switched on, they run until one of them changes.",
            lambda p: "yes" if p.owner_hooks else "no",
            lambda t: t == "yes",
            HOOKS,
        ),
        _line(
            "branch_pattern",
            "Branch of an issue",
            "<N> is the issue's number. It cannot change while a run has an issue.",
        ),
        Setting(
            "frameworks",
            "Frameworks of your own",
            "To choose from in New run, in addition to the known ones. One per line.",
            _own_frameworks,
            _lines,
        ),
        Setting(
            "sandbox",
            "Sandbox",
            "How much of this machine agents see.",
            lambda p: str(p.sandbox),
            lambda t: t,
            LEVELS,
        ),
        Setting(
            "network",
            "Network",
            "What agents can reach.",
            lambda p: str(p.network),
            lambda t: t,
            NETWORKS,
        ),
        _list(
            "allowed_hosts",
            "Allowed hosts",
            "One per line, such as example.org or example.org:8443, in addition to those that the "
            "agent and the package managers need.",
        ),
        _list(
            "allow",
            "Services of this machine",
            HIDDEN,
            SERVICES,
        ),
        _list(
            "toolchains",
            "Toolchain folders",
            "Read-only for agents, such as /home/me/.pyenv. One per line.",
        ),
        _limit("memory_mb", "Memory, MB"),
        _limit("processes", "Processes"),
        _limit("file_mb", "Largest file, MB"),
        _limit("disk_mb", "Working copy, MB"),
    )
}


def has_setting(origin: str, name: str) -> bool:
    """Return True if a project with this origin has a setting: only local folders have hooks."""
    return name != "owner_hooks" or origin.startswith("/")


def settings_in_words(project: ProjectOut, *, only_fixed: bool) -> list[tuple[str, str]]:
    """Return labels and values as text: only the fixed ones, or the editable ones as well."""
    fixed = [
        ("Origin", project.origin),
        ("Tracker", project.tracker),
        ("Opens the change", project.open_pr),
        ("ID", project.id),
    ]
    if only_fixed:
        return fixed
    shown = [one for one in SETTINGS.values() if has_setting(project.origin, one.name)]
    told = [(one.label, _in_words(one, project)) for one in shown]
    return [*told, *fixed]


def _in_words(setting: Setting, project: ProjectOut) -> str:
    written = setting.write(project)
    return setting.in_words(written) if written else EMPTY.get(setting.name, "none")
