"""Actions of people on the auto loop, over a driven plane."""

from __future__ import annotations

from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.auto.afk import Plan
from app.services.runs.requests import Accepted
from tests.builders.rows import runs_of
from tests.drivers.planes import DrivenPlane

SLEEP = "sleep 60"


def start(
    plane: DrivenPlane, project: Project, issue: int | None = None, key: str | None = None
) -> Accepted:
    """Start an AFK run manually and wait for its launch."""
    plane.clock.advance(1)
    accepted = plane.services.afk.start(project.id, issue, plane.requester(key), plane.clock())
    plane.rest()
    return accepted


def switch(plane: DrivenPlane, project: Project, *, on: bool) -> None:
    deed = Deed(plane.person, "auto", "by a test", "test", project.id)
    plane.services.afk.set_auto(project.id, deed, plane.clock(), enabled=on)
    plane.rest()


def reset(plane: DrivenPlane, project: Project) -> None:
    plane.clock.advance(1)
    deed = Deed(plane.person, "reset", "by a test", "test", project.id)
    plane.services.afk.reset(project.id, deed, plane.clock())
    plane.rest()


def plan(plane: DrivenPlane, project: Project) -> Plan:
    return plane.services.afk.plan(project.id, plane.clock())


def tick(plane: DrivenPlane) -> None:
    """Sweep once, one second later."""
    plane.clock.advance(1)
    plane.tick()


def runs(plane: DrivenPlane, project: Project) -> list[Run]:
    """Return the project's runs, oldest first."""
    return runs_of(plane.stores, project.id)[::-1]


def add_issues(plane: DrivenPlane, project: Project, count: int) -> list[int]:
    return [plane.add_issue(project, f"Part {n}").number for n in range(count)]


def fail(plane: DrivenPlane, project: Project, times: int) -> None:
    """Start `times` AFK runs manually, each for a new issue, and let each die."""
    for _ in range(times):
        plane.clock.advance(1)
        number = plane.add_issue(project).number
        plane.see_end(plane.run(start(plane, project, number).run.id))
