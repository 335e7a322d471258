"""Names the next step of a project in which nothing has run yet."""

from __future__ import annotations

from enum import Enum

from app.api.schemas import ProjectOut


class Step(Enum):
    """The steps in their order: the button's label, why it is the next one, and its deed."""

    CONNECT = ("Connect an agent", "Its agent is not ready on this machine.", "read_doctor")
    ADD = ("Add an issue", "Nothing is ready to be worked on yet.", "add_issue")
    RUN = ("Run the first issue", "An issue is ready, and so is the agent.", "start")

    def __init__(self, label: str, because: str, deed: str) -> None:
        self.label = label
        self.because = because
        self.deed = deed


def step_of(project: ProjectOut) -> Step | None:
    """Return the next step, None once something has run or while nothing can."""
    if project.archived_at is not None or project.last_run is not None:
        return None
    if project.state != "ready" or project.unreachable:
        return None
    if not project.agent_ready:
        return Step.CONNECT
    if project.ready_count is None:
        return None
    return Step.RUN if project.ready_count else Step.ADD
