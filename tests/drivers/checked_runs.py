"""Runs whose project has checks: their start, their way to the end, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.control_plane import ControlPlane
from app.domain.projects.checks import Check
from app.records.runs.check_ledger import CheckLedger
from app.records.tables import CheckResult, Run
from tests.builders.repositories import tip_of
from tests.drivers.planes import SECONDS, RealPlane
from tests.fakes.agents.runs import until

# commits the word that a check expects, or another one where the prompt names none
OBEDIENT = r"""
word=$(sed -n 's/^answer.txt:1: expected //p' "$RUNYARD_PROMPT_FILE" | tail -n 1)
echo "${word:-wrong}" > answer.txt && git add -A && git commit -qm "Answer ${word:-wrong}"
"""
EXPECTS = "grep -qx right answer.txt || { echo 'answer.txt:1: expected right'; exit 3; }"


def check(line: str, name: str = "tests", **terms: Any) -> Check:
    """Return a check that is a line of shell."""
    return Check(name, ("/bin/sh", "-c", line), **terms)


def begin(plane: RealPlane, agent: str, *checks: Check, **settings: Any) -> Run:
    """Start a run of an issue in a project with these checks."""
    stored = [one.as_data() for one in checks]
    project = plane.add_project(agent, checks=stored, **settings)
    return plane.start_running_issue(project)


def to_the_end(plane: RealPlane, run: Run, seconds: float = SECONDS) -> Run:
    """Reap the run after the end of each of its steps, until it is released."""

    def is_released() -> bool:
        if plane.look(run).tree_gone:
            plane.reap(run)
        return plane.run(run.id).released_at is not None

    until(is_released, "the release", seconds)
    return plane.run(run.id)


def results(plane: ControlPlane, run: Run) -> list[CheckResult]:
    """Return the checks of a run, by round and position."""
    return CheckLedger(plane.ledgers.runs).of(run.id)


def ends(plane: ControlPlane, run: Run) -> list[tuple[int, str, str]]:
    """Return round, name and status of each check of a run."""
    return [(one.round, one.name, one.status) for one in results(plane, run)]


def at_origin(plane: RealPlane, run: Run) -> str:
    """Return the commit of a run's branch at origin, empty if it is not there."""
    return tip_of(Path(plane.project(run.project_id).origin), run.work_branch)


def log_of(plane: RealPlane, run: Run) -> str:
    return plane.adapters.engine.log(run.id).read().content.decode()
