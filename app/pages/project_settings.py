"""The settings tab of a project: every setting, to read."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.markup import clean, text
from app.pages.components.tabs import Tabs
from app.pages.visit import Visit
from app.state.durations import took
from app.state.wire import ProjectOut


class SettingsTab:
    """What the project was told."""

    def __init__(self, visit: Visit, project: ProjectOut, tabs: Tabs) -> None:
        ui.html(settings_html(project), sanitize=clean).classes("card")

    async def load(self) -> None:
        """Nothing more to ask for: the project came with its settings."""


def settings_of(project: ProjectOut) -> list[tuple[str, str]]:
    """Names and values, as people read them."""
    after = "resumed by itself" if project.resume_after_limit else "a person resumes it"
    stall = took(project.stall_seconds) if project.stall_seconds else "never"
    return [
        ("Origin", project.origin),
        ("Base branch", project.base_branch),
        ("Tracker", project.tracker),
        ("Agent", project.agent),
        ("Command", "\n".join(project.agent_command or []) or "the agent's own"),
        ("Setup command", "\n".join(project.setup_command or []) or "none"),
        ("Prompt", project.prompt or "the usual one"),
        ("Time for a run", took(project.budget_seconds)),
        ("Ended when silent for", stall),
        ("After a usage limit", after),
        ("Runs at once", str(project.max_concurrency)),
        ("Opens the change", project.open_pr),
        ("Branch of an issue", project.branch_pattern),
        ("Frameworks", ", ".join(project.frameworks)),
        ("Sandbox", project.sandbox if project.sandbox != "none" else "none: unsandboxed"),
        ("Id", project.id),
    ]


def settings_html(project: ProjectOut) -> str:
    """The settings as a list of definitions."""
    rows = "".join(
        f'<dt>{text(name)}</dt><dd class="pre">{text(value)}</dd>'
        for name, value in settings_of(project)
    )
    return f'<dl class="facts-list">{rows}</dl>'
