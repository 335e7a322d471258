"""The demo project: a small repository, issues that tell a story, and a scripted agent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from app.domain.words import READY_LABEL
from app.records.projects.project_ledger import ProjectLedger
from app.records.tables import Project
from app.services.projects.projects import ProjectService
from app.services.tracker.issues import IssueService

# long enough for the issues that can be done, short enough to watch one run time out
BUDGET_SECONDS = 15
# the agent acts on the title in its prompt: a success, three failures, a success
ISSUES = (
    (
        "Greet people by their name",
        "`greet` does not know whom it greets. Give it a name parameter, with a test.",
    ),
    (
        "Remove greet without touching a test",
        "A test calls `greet`, and every test has to pass. This is impossible: the agent tries, "
        "and gives up with exit code 1.",
    ),
    (
        "Greet everybody on Earth, one by one",
        f"This takes longer than the {BUDGET_SECONDS} seconds that a run of this project may "
        "take: the agent is ended when they are up.",
    ),
    (
        "See whether the tests pass",
        "They do. There is nothing to change and nothing to commit; without a delivery, exit "
        "code 0 is not a success.",
    ),
    (
        "Say goodbye too",
        "Add `farewell` in a separate module, with a test.",
    ),
)


class DemoService:
    """Creates demo projects, a new one at each request."""

    def __init__(
        self,
        projects: ProjectLedger,
        project_service: ProjectService,
        issues: IssueService,
        make_repository: Callable[[Path], None],
        folder: Path,
        agent: Path,
    ) -> None:
        self._projects = projects
        self._project_service = project_service
        self._issues = issues
        self._make_repository = make_repository
        self._folder = folder
        self._agent = agent

    def add(self, now: datetime) -> Project:
        """Create a demo repository, register it as a project, and add its issues."""
        number, name = 1, "demo"
        while self._projects.find_named(name) is not None or (self._folder / name).exists():
            number += 1
            name = f"demo-{number}"
        self._make_repository(self._folder / name)
        project = self._project_service.add(
            name,
            str(self._folder / name),
            now,
            agent="script",
            agent_command=[sys.executable, "-I", str(self._agent), "{prompt_file}"],
            budget_seconds=BUDGET_SECONDS,
            **self._project_service.sandboxes.settle_demo(),
        )
        for title, body in ISSUES:
            self._issues.add(project.id, title, body, [READY_LABEL], now)
        return project
