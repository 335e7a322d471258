"""What a project can be told on its page: every setting, its words, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.api.schemas import ProjectOut
from app.domain.words import FRAMEWORKS
from app.state.argv import argv_from, argv_words
from app.state.durations import seconds_from, took

EMPTY = {
    "agent_command": "the agent's own",
    "prompt": "the usual one",
    "stall_seconds": "never",
}
AFTER_LIMIT = {"yes": "The run is resumed by itself", "no": "A person resumes the run"}
HOOKS = {"no": "Not run", "yes": "Run as they are now"}
# settings that are one of a few, by their words
CHOICES = {"resume_after_limit": AFTER_LIMIT, "owner_hooks": HOOKS}


@dataclass(frozen=True)
class Setting:
    """One setting: its words, how a project's is written, and what is read from what was typed.

    `read` raises ValueError with a sentence; None empties the setting.
    """

    name: str
    label: str
    hint: str
    write: Callable[[ProjectOut], str]
    read: Callable[[str], Any]


def _line(name: str, label: str, hint: str) -> Setting:
    return Setting(name, label, hint, lambda p: getattr(p, name), lambda t: t.strip() or None)


def _text(name: str, label: str, hint: str) -> Setting:
    return Setting(
        name, label, hint, lambda p: getattr(p, name) or "", lambda t: t if t.strip() else None
    )


def _argv(name: str, label: str, hint: str) -> Setting:
    return Setting(
        name, label, hint, lambda p: argv_words(getattr(p, name)), lambda t: argv_from(t) or None
    )


def _time(name: str, label: str, hint: str) -> Setting:
    def write(project: ProjectOut) -> str:
        seconds = getattr(project, name)
        return "" if seconds is None else took(seconds)

    return Setting(name, label, hint, write, lambda t: seconds_from(t) if t.strip() else None)


def _number(words: str) -> int | None:
    if words.strip() and not (words.strip().isascii() and words.strip().isdigit()):
        raise ValueError("Give a whole number.")
    return int(words) if words.strip() else None


def _own_frameworks(project: ProjectOut) -> str:
    return "\n".join(name for name in project.frameworks if name not in FRAMEWORKS)


def _lines(words: str) -> list[str]:
    return [line.strip() for line in words.splitlines() if line.strip()]


SETTINGS = {
    one.name: one
    for one in (
        _line("name", "Name", "How it is called here; its address stays the same."),
        _line("base_branch", "Base branch", "Where runs start, and what is merged into."),
        _line(
            "agent",
            "Agent",
            "A known command line (claude, codex, gemini, opencode, aider, …) or script for a "
            "command of your own.",
        ),
        _argv(
            "agent_command",
            "Command of the script agent",
            "One argument a line, no shell. {prompt}, {prompt_file}, {workdir}, {branch}, {issue} "
            "and {model} are filled in.",
        ),
        _argv(
            "setup_command",
            "Setup command",
            "Run in each working copy before the agent. One argument a line.",
        ),
        _text(
            "prompt",
            "Prompt",
            "What the agent is told when no task is given. Empty: the usual one.",
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
        ),
        Setting(
            "owner_hooks",
            "Hooks of the repository",
            "The folder's own hooks and filters, at each push and merge into it. Once switched on "
            "they run until one of them changes.",
            lambda p: "yes" if p.owner_hooks else "no",
            lambda t: t == "yes",
        ),
        _line(
            "branch_pattern",
            "Branch of an issue",
            "<N> is the issue's number. It cannot change while an issue is claimed.",
        ),
        Setting(
            "frameworks",
            "Frameworks of your own",
            "To choose from in New run, beside the known ones. One a line.",
            _own_frameworks,
            _lines,
        ),
    )
}


def has_setting(origin: str, name: str) -> bool:
    """True where a project of this origin has a setting: only folders have hooks that run here."""
    return name != "owner_hooks" or origin.startswith("/")


def settings_in_words(project: ProjectOut, *, only_fixed: bool) -> list[tuple[str, str]]:
    """Names and values as people read them: those that nobody can change, or all of them."""
    fixed = [
        ("Origin", project.origin),
        ("Tracker", project.tracker),
        ("Opens the change", project.open_pr),
        ("Sandbox", project.sandbox if project.sandbox != "none" else "none: unsandboxed"),
        ("Id", project.id),
    ]
    if only_fixed:
        return fixed
    shown = [one for one in SETTINGS.values() if has_setting(project.origin, one.name)]
    told = [(one.label, _in_words(one, project)) for one in shown]
    return [*told, *fixed]


def _in_words(setting: Setting, project: ProjectOut) -> str:
    written = setting.write(project)
    if setting.name in CHOICES:
        return CHOICES[setting.name][written]
    return written or EMPTY.get(setting.name, "none")
